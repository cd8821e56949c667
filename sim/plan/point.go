package plan

import (
	"math"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
)

// point is an operating point of one instance: how many sequences a rank decodes
// and how many prompt tokens it takes in the mean step, and what follows.
type point struct {
	rate  float64 // requests a second of the instance
	ttft  float64 // s, mean request; 0 for decode
	tpot  float64 // s, mean request; 0 for prefill
	e2e   float64 // s of the nine-in-ten request in this pool
	over  float64 // the nine-in-ten request's latency over its limit, the worst of them; 1 and less meets the SLO
	limit string  // which of them that is, or what else keeps the rate from being higher
}

// beyond governs layouts that miss the SLO even when almost empty: they are loaded
// until the latency is so many times that of the least load.
const beyond = 1.1

// resolution is the part of a load to which a bisection finds it: finer than what the
// estimate is good for, and half the steps of an exact search.
const resolution = 128

// nearly is from where a load counts as the most that there can be: what a bisection
// cannot tell from it.
func nearly(most int64) int64 { return most * (resolution - 1) / resolution }

// A request arrives anywhere in the step under way: in the mean half of it is left,
// and in nine of ten cases no more than nine tenths.
const (
	meanRest = 0.5
	tailRest = 0.9
)

// fullest load that the formula of the queue is asked about; it has no bound at 1.
const saturated = 0.999

// highest finds the largest load in [1, most] whose point is within the limits, by
// bisection to 1/resolution; when not even 1 is, the largest within beyond of the least.
func highest(most int64, at func(load int64) point) (int64, point) {
	bound := 1.0
	best := at(1)
	if best.over > 1 {
		bound = best.over * beyond
	}
	lo, hi := int64(1), most+1
	for hi-lo > max(1, lo/resolution) {
		mid := (lo + hi) / 2
		if p := at(mid); p.over <= bound {
			lo, best = mid, p
		} else {
			hi = mid
		}
	}
	return lo, best
}

// decode: a token takes a step over the tokens that a step yields. A request pays
// on top its wait for the step it joins, spread over its tokens; the tenth
// shortest answer feels it most.
func (b *bench) decode(out *priced) {
	most, limit := b.mostSequences()
	n, p := highest(most, b.decodeAt)
	if n < nearly(most) {
		limit = p.limit
		if p.over <= 1 { // the batch fluctuates around its mean
			ranks := float64(len(b.loads))
			n = max(1, int64(headroom(float64(n)*ranks)/ranks))
			p = b.decodeAt(n)
		}
	}
	b.settle(out, n, p, limit, b.decodeAt)
	b.demand.decodeLoads(b.loads, n)
	out.cause = mainCause(b.st.Step(b.loads))
}

func (b *bench) decodeAt(n int64) point {
	b.demand.decodeLoads(b.loads, n)
	step := b.st.Step(b.loads).Time.Seconds()
	p := point{
		rate: float64(n) * float64(len(b.loads)) * b.accepted() / (step * b.demand.out),
		tpot: step / b.accepted(), e2e: b.answer(step),
	}
	p.over, p.limit = b.tokenOver(step)
	b.judgeE2E(&p)
	return p
}

// tokenOver is how far the gaps between tokens, and those between output events, are
// over their limits.
func (b *bench) tokenOver(step float64) (over float64, limit string) {
	tail := step/b.accepted() + meanRest*step/b.shortAnswer()
	over, limit = tail/limitSeconds(b.slo.TPOT), "TPOT"
	if itl := tail * b.accepted() / limitSeconds(b.slo.ITL); itl > over {
		over, limit = itl, "ITL"
	}
	return over, limit
}

// answer is the time that the tenth longest answer takes.
func (b *bench) answer(step float64) float64 {
	return meanRest*step + float64(max(1, b.demand.outP90)-1)*step/b.accepted()
}

// judgeE2E compares what a request spends in this pool alone with what it may spend in
// all: see splitter.together.
func (b *bench) judgeE2E(p *point) {
	if over := p.e2e / limitSeconds(b.slo.E2E); over > p.over {
		p.over, p.limit = over, "E2E"
	}
}

// shortAnswer is the number of gaps between tokens of the tenth shortest answer.
func (b *bench) shortAnswer() float64 { return float64(max(1, b.demand.outP10-1)) }

// prefill: the load is a rank's mean prompt tokens in a step. Prompts that arrive
// during a step go into the next one, so that a step is as long as what arrived
// during the one before; the budget bounds it, and what does not fit waits.
func (b *bench) prefill(out *priced) {
	budget := int64(b.config.MaxTokens)
	b.fastest = float64(budget) / b.prefillStep(budget, budget).Time.Seconds()
	most := max(1, int64(busiest*float64(budget)))
	c, p := highest(most, b.prefillAt)
	limit := p.limit
	if c >= nearly(most) {
		limit = "prompt throughput"
	}
	b.settle(out, c, p, limit, b.prefillAt)
	out.cause = mainCause(b.prefillStep(c, b.fullest(float64(c))))
}

func (b *bench) prefillAt(c int64) point {
	ranks := float64(len(b.loads))
	full := b.fullest(float64(c))
	step := b.prefillStep(c, full).Time.Seconds()
	own := func(prompt float64) float64 {
		if int64(prompt) <= full {
			return step
		}
		return b.prefillStep(c, int64(prompt)).Time.Seconds()
	}
	p := point{rate: float64(c) * ranks / (step * b.demand.in)}
	p.ttft, p.e2e, p.over = b.firstToken(float64(c)/step/b.fastest, float64(b.config.MaxTokens), step, b.fastest, own)
	p.limit = "TTFT"
	b.judgeE2E(&p)
	return p
}

// fullest is the prompt tokens of the fullest rank when the mean one has c: a
// compound Poisson number of prompts each, or the longest prompt of all ranks, cut at
// the budget.
func (b *bench) fullest(c float64) int64 {
	ranks := len(b.loads)
	if ranks == 1 {
		return int64(c)
	}
	most := int64(c + expectedMax(ranks)*math.Sqrt(c*b.demand.inBiased)*spread)
	most = max(most, b.demand.longestOf(float64(ranks)*c/b.demand.in))
	return min(int64(b.config.MaxTokens), most)
}

// spread is how much of the variance of independent arrivals is left between ranks
// when a router prefers the less loaded.
const spread = 0.5

func (b *bench) prefillStep(mean, full int64) cost.Step {
	budget := int64(b.config.MaxTokens)
	full = min(budget, max(full, mean))
	for i := range b.loads {
		b.loads[i] = cost.Load{}
		c, each := mean, &b.mean
		if i == 0 {
			c, each = full, &b.heavy
		}
		b.demand.addChunk(&b.loads[i], c, each)
	}
	return b.st.Step(b.loads)
}

// firstToken is the mean TTFT, its ninth decile and that one's share of its limit, when
// ranks are busy for a share rho of what they can do: the rest of the step under way, the
// queue, then the steps of the prompt itself, budget tokens each. fastest is the
// tokens a second of a rank whose steps are full. The queue is M/G/k in tokens
// (Sakasegawa, Ann. Inst. Statist. Math. 29, 1977), k the ranks of one instance, with
// an exponential tail. In a pipeline the last step's micro-batch comes out later than
// the cycle ends, by up to (PP−1)/PP of it: a prompt ends anywhere in what is left of
// a full budget behind its own length.
func (b *bench) firstToken(rho, budget, step, fastest float64, own func(prompt float64) float64) (mean, tail, over float64) {
	d := &b.demand
	k := float64(len(b.loads))
	rho = min(rho, saturated)
	wait := d.inBiased / fastest / 2 * math.Pow(rho, math.Sqrt(2*(k+1))-1) / (k * (1 - rho))
	chunks := func(prompt float64) float64 {
		return math.Max(0, math.Ceil(prompt/budget)-1)*step + own(min(prompt, budget))
	}
	front := b.config.Engine.Fitted.TTFTMs / 1e3
	fill := 1 - 1/float64(b.config.Layout.PP)
	mean = front + step/2 + wait + chunks(d.in) + fill*own(min(d.in, budget))*(1+min(1, d.in/budget))/2
	p90 := float64(d.inP90)
	tail = front + tailRest*step + wait*math.Log(10) + chunks(p90) + fill*own(min(p90, budget))
	return mean, tail, tail / (limitSeconds(b.slo.TTFT.Limit) * b.slo.TTFT.Factor(p90))
}

// mixed: in balance a step that yields n·accepted tokens a rank ends that many
// answers' share of requests, and as many prompts must be taken in.
func (b *bench) mixed(out *priced) {
	most, limit := b.mostSequences()
	rows := int64(1 + b.config.Drafts)
	most = max(1, min(most, (int64(b.config.MaxTokens)-1)/rows))
	n, p := highest(most, b.mixedAt)
	if n < nearly(most) {
		limit = p.limit
		if p.over <= 1 {
			ranks := float64(len(b.loads))
			n = max(1, int64(headroom(float64(n)*ranks)/ranks))
			p = b.mixedAt(n)
		}
	}
	out.point, out.point.limit = p, limit
	_, _, c, chunk := b.balance(n)
	out.cause = mainCause(b.mixedStep(n, c, chunk))
}

// balance is a rank's room for prompt tokens beside n sequences, its share of
// requests a step, their prompt tokens c, and the tokens of a step that has a chunk.
func (b *bench) balance(n int64) (room, requests, c, chunk float64) {
	d := &b.demand
	room = max(1, float64(b.config.MaxTokens)-float64(n)*float64(1+b.config.Drafts))
	requests = float64(n) * b.accepted() / d.out
	c = requests * d.in
	chunk = min(room, max(c, d.in/math.Ceil(d.in/room)))
	return room, requests, c, chunk
}

func (b *bench) mixedAt(n int64) point {
	room, requests, c, chunk := b.balance(n)
	b.demand.decodeLoads(b.loads, n)
	plain := b.st.Step(b.loads).Time.Seconds()
	busy := b.mixedStep(n, c, chunk).Time.Seconds()
	ranks := float64(len(b.loads))
	some := b.prompted(c, chunk)
	step := (1-some)*plain + some*busy
	p := point{rate: requests * ranks / step, tpot: step / b.accepted()}
	p.over, p.limit = b.tokenOver(step)
	var overTTFT float64
	fastest := room / b.mixedStep(n, room, room).Time.Seconds()
	p.ttft, p.e2e, overTTFT = b.firstToken(c/step/fastest, room, busy, fastest, func(float64) float64 { return busy })
	if overTTFT > p.over {
		p.over, p.limit = overTTFT, "TTFT"
	}
	p.e2e += b.answer(step)
	b.judgeE2E(&p)
	if c > busiest*room && p.over <= 1 {
		p.over, p.limit = c/(busiest*room), "prompt throughput"
	}
	return p
}

// prompted is the share of steps in which some rank has a chunk.
func (b *bench) prompted(c, chunk float64) float64 {
	return 1 - math.Pow(1-min(1, c/chunk), float64(len(b.loads)))
}

// mixedStep is a step in which one rank has a chunk and the others their mean.
func (b *bench) mixedStep(n int64, c, chunk float64) cost.Step {
	b.demand.decodeLoads(b.loads, n)
	for i := range b.loads {
		share, each := c, &b.mean
		if i == 0 {
			share, each = chunk, &b.heavy
		}
		b.demand.addChunk(&b.loads[i], int64(share), each)
	}
	return b.st.Step(b.loads)
}

// settle keeps the point of a pool's highest load and, where E2E is limited, what the pool
// does below it.
func (b *bench) settle(c *priced, load int64, p point, limit string, at func(load int64) point) {
	c.point, c.point.limit = p, limit
	if b.slo.E2E == 0 {
		return
	}
	for k := range int64(len(c.below)) {
		c.below[k] = at(max(1, load*k/int64(len(c.below))))
	}
}

// mainCause is the key of the resource that a step spends most of its time for want of.
func mainCause(s cost.Step) string {
	best, most := "", int64(-1)
	for _, r := range result.Resources {
		time := int64(0)
		for _, c := range r.Causes {
			time += int64(s.Causes[c])
		}
		if time > most {
			best, most = r.Key, time
		}
	}
	return best
}
