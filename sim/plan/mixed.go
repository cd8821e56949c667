package plan

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// mixed: an instance that serves takes in as many prompts a step as it ends answers. What
// a prompt adds to a step holds up every sequence that decodes meanwhile.
func (b *bench) mixed(out *priced) {
	most, limit := b.mostSequences()
	rows := float64(1 + b.config.Drafts)
	most = max(1, min(most, math.Floor((float64(b.config.MaxTokens)-1)/rows)))
	n, p := highest(most, &out.alone, b.mixedAt)
	if n < nearly(most) {
		limit = p.limit
	}
	b.settle(out, n, p, limit, b.mixedAt)
	_, _, c, chunk := b.balance(int64(max(1, n)))
	out.cause = mainCause(b.mixedStep(int64(max(1, n)), c, chunk))
}

// prompting is what prompts do to the steps of an instance that decodes.
type prompting struct {
	room    float64 // tokens of a rank and step
	steps   float64 // of a mean prompt
	chunk   float64 // tokens of it in each
	fastest float64 // prompt tokens a second of a rank that always has some
	first   bool    // prompts run in steps of their own
	poll    float64 // steps between two looks at what has arrived
	plain   float64 // s of a step without prompts
	crowded float64 // the same beside as many as one time in ten
	offered float64 // prompts in a step that looks, in the mean
	most    float64 // that a step has room for
	extra   []float64
}

// count is the i-th number of prompts in a step that is priced; between two of them what
// prompts add is linear.
func (q *prompting) count(i int) float64 { return min(q.most, float64(int64(1)<<i)) }

// added is how much longer m prompts make a step: beyond what it has room for, as long as
// the further steps take.
func (q *prompting) added(m float64) float64 {
	last := len(q.extra) - 1
	if m >= q.count(last) {
		return q.extra[last] * m / q.count(last)
	}
	from, below := 0.0, 0.0
	for i, extra := range q.extra {
		to := q.count(i)
		if m <= to {
			return below + (extra-below)*(m-from)/(to-from)
		}
		from, below = to, extra
	}
	return below
}

// burst is the seconds that prompts add between two looks at what has arrived, when so
// many requests end a step and one takes so many seconds. Where prompts run first, those
// that come meanwhile run before decoding goes on.
func (q *prompting) burst(ended, step float64) float64 {
	if !q.first {
		return q.mean(q.offered, q.added)
	}
	rate := ended * q.steps / step
	sum, last := 0.0, q.poll*q.plain
	for range 64 {
		last = q.mean(rate*last, q.added)
		sum += last
		if last < 1e-3*sum || sum > 100*q.poll*step {
			break
		}
	}
	return sum
}

// mean is E[f(m)] over a Poisson number m of prompts.
func (q *prompting) mean(offered float64, f func(m float64) float64) float64 {
	if offered <= 0 {
		return f(0)
	}
	sum := 0.0
	sd := math.Sqrt(offered)
	lo, hi := math.Floor(max(0, offered-6*sd)), math.Ceil(offered+6*sd+6)
	step := math.Ceil((hi - lo + 1) / 256)
	weights := 0.0
	for m := lo; m <= hi; m += step {
		log, _ := math.Lgamma(m + 1)
		w := math.Exp(m*math.Log(offered) - offered - log)
		weights += w
		sum += w * f(m)
	}
	return sum / weights
}

// prompting prices steps with prompts beside n sequences a rank.
func (b *bench) prompting(n float64) *prompting {
	d := &b.demand
	ranks := float64(len(b.loads))
	first := b.config.Engine.PrefillFirst
	q := &prompting{first: first, room: float64(b.config.MaxTokens), poll: float64(max(1, b.config.Engine.PollSteps))}
	if !first {
		q.room = max(1, q.room-n*float64(1+b.config.Drafts))
	}
	b.decodeLoads(n + (1+crowd(n*ranks)/math.Sqrt(b.instances))/ranks)
	q.crowded = b.st.Step(b.loads).Time.Seconds()
	b.decodeLoads(n + 1/ranks) // the one that looks and the others
	q.plain = b.st.Step(b.loads).Time.Seconds()
	for _, in := range d.promptStrata {
		q.steps += math.Ceil(float64(in)/q.room) / strata
	}
	q.chunk = d.in / q.steps
	q.poll = min(q.poll, max(1, b.meanSteps()))
	q.offered = n * ranks / b.meanSteps() * q.steps * q.poll
	q.most = max(1, math.Floor(q.room/q.chunk)) * ranks
	chunks := make([]float64, strata)
	for i, in := range d.promptStrata {
		chunks[i] = float64(in) / math.Ceil(float64(in)/q.room)
	}
	for i := 0; ; i++ {
		m := q.count(i)
		longest := max(q.chunk, expectedMaxOf(chunks, int(min(m, ranks))))
		extra := b.prompts(n, q, m, longest)
		if !first {
			extra -= q.plain
		}
		q.extra = append(q.extra, extra)
		if m >= q.most || m > 8*(q.offered+1) {
			break
		}
	}
	// A rank that always has prompts, beside others that have some at times.
	room := q.room
	if b.config.Engine.WholePrompts {
		room = max(q.chunk, room-d.inBiased/2)
	}
	others := min(ranks-1, q.offered/q.poll)
	q.fastest = room / (b.prompts(n, q, 1, room) + q.added(1+others) - q.added(1))
	return q
}

// prompts is the seconds of a step with m prompts over the ranks, one of which is longest,
// beside n sequences on each.
func (b *bench) prompts(n float64, q *prompting, m, longest float64) float64 {
	ranks := float64(len(b.loads))
	if b.config.Engine.PrefillFirst {
		clear(b.loads)
	} else {
		b.decodeLoads(n + 1/ranks)
	}
	for r := range b.loads {
		tokens := q.chunk * math.Ceil((m-float64(r))/ranks)
		if r == 0 {
			tokens = min(max(q.room, longest), max(0, tokens-q.chunk)+longest)
		}
		b.demand.addChunk(&b.loads[r], int64(tokens), &b.mean)
	}
	return b.st.Step(b.loads).Time.Seconds()
}

// meanSteps is the mean number of decode steps of an answer.
func (b *bench) meanSteps() (steps float64) {
	for _, out := range b.demand.answerStrata {
		steps += b.stepsOf(out) / strata
	}
	return max(steps, 0.5)
}

// mixedAt is the operating point with n sequences a rank in the mean.
func (b *bench) mixedAt(n float64) point {
	q := b.prompting(n)
	ranks, steps := float64(len(b.loads)), b.meanSteps()
	busy := q.mean(q.offered, func(m float64) float64 { return q.added(m + 1) })
	beside := busy - b.chunkAlone(0, int64(math.Ceil(q.chunk)), true)
	if !b.config.Engine.PrefillFirst {
		beside += q.plain
	}
	own := func(prompt int64) float64 {
		return b.promptAlone(prompt) + math.Ceil(float64(prompt)/q.room)*max(0, beside)
	}
	// Prompts that came during its own prefill wait behind it, and hold up its tokens.
	first := own(int64(b.demand.in))
	behind := first * min(1, steps/q.steps)
	if ranks > 1 { // they run beside it: the rest of them follows
		behind *= (1 + 1/q.steps) / 2
	}
	met, step, burst := 1.0, q.plain, 0.0
	for range 16 {
		burst = q.burst(n*ranks/steps, step)
		met = b.met(n * ranks * (1 + first/(steps*step)))
		step = (step + q.plain + met*burst/q.poll*(1+behind/(steps*step))) / 2
	}
	p := point{rate: n * ranks / (steps * step), tpot: step / b.accepted()}
	phases := q.poll * q.plain
	rest := (phases*phases + burst*burst) / (phases + burst)
	w := waiting{rho: p.rate / ranks * b.demand.in / q.fastest, fastest: q.fastest, queues: 1, rest: rest / 2, tailRest: tailRest * rest, own: own}
	b.firstToken(&p, &w)
	late, limit := b.tokensLate(q, step, met*(steps*step+behind)*p.rate/steps)
	if late > p.over*tenth {
		p.limit = limit
	}
	p.over = (1 - (1-min(1, late))*(1-min(1, p.over*tenth))) / tenth
	p.e2e += b.answer(step)
	b.judgeE2E(&p)
	if w.rho > busiest && p.over <= 1 {
		p.over, p.limit = w.rho/busiest, "prompt throughput"
	}
	return p
}

// met is the share of prompts that come to where somebody is, when there are n requests
// in an instance: the router sends them to an empty one, while there is any.
func (b *bench) met(n float64) float64 {
	return min(1, b.instances*math.Pow(-math.Expm1(-n), b.instances-1))
}

// tokensLate is the share of requests whose tokens come too late, when so many prompts a
// step hold up an answer: they fall into its steps, and into its own prefill behind which
// they then wait, as a Poisson process; together they add what makes the mean step what it is. The sum is close to a
// gamma variable. The sequences beside it fluctuate too: over an answer's own time their
// mean has two thirds of the variance of their number.
func (b *bench) tokensLate(q *prompting, step, prompts float64) (share float64, limit string) {
	d := &b.demand
	spread := d.inBiased / d.in // E[in²]/E[in]²
	limit = "TPOT"
	added := step - q.plain
	for _, out := range d.answerStrata {
		steps := b.stepsOf(out)
		if out < 2 {
			continue
		}
		within := limitSeconds(b.slo.TPOT) * float64(out-1)
		if itl := limitSeconds(b.slo.ITL) * steps; itl < within {
			within, limit = itl, "ITL"
		}
		spare := within - (steps+meanRest)*q.crowded
		if spare <= 0 {
			share += 1.0 / strata
			continue
		}
		each := added / prompts
		if !(each > 0) || math.IsInf(spare, 1) {
			continue
		}
		some := -math.Expm1(-prompts * steps) // at least one
		share += min(some, mathext.GammaIncRegComp(prompts*steps/spread, spare/(each*spread))) / strata
	}
	return share, limit
}
