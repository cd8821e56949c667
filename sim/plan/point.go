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
	over  float64 // the nine-in-ten request's latency over its limit, or the share that misses over a tenth: 1 and less meets the SLO
	limit string  // which of them that is, or what else keeps the rate from being higher
}

// beyond governs layouts that miss the SLO even when almost empty: they are loaded
// until the latency is so many times that of the least load.
const beyond = 1.1

// resolution is the part of a load to which a bisection finds it: finer than what the
// estimate is good for.
const resolution = 128

// leastLoad is the part of the largest load that counts as almost empty.
const leastLoad = 1e-7

// nearly is from where a load counts as the most that there can be: what a bisection
// cannot tell from it.
func nearly(most float64) float64 { return most * (resolution - 1) / resolution }

// highest finds the largest load up to most whose point is within the limits, by
// bisection to 1/resolution. An instance that misses them when it is almost empty is
// loaded until a latency is beyond times that of a request alone.
func highest(most float64, alone *lonely, at func(load float64) point) (float64, point) {
	within := func(p *point) bool { return p.over <= 1 }
	if alone.over > 1 {
		within = func(p *point) bool { return p.ttft <= beyond*alone.ttft && p.tpot <= beyond*alone.tpot }
	}
	if p := at(most); within(&p) {
		return most, p
	}
	lo, hi := most*leastLoad, most
	best := at(lo)
	for hi > lo*(1+1.0/resolution) {
		mid := math.Sqrt(lo * hi)
		if p := at(mid); within(&p) {
			lo, best = mid, p
		} else {
			hi = mid
		}
	}
	return lo, best
}

// A request arrives anywhere in the step under way: in the mean half of it is left,
// and in nine of ten cases no more than nine tenths.
const (
	meanRest = 0.5
	tailRest = 0.9
)

// fullest load that the formula of the queue is asked about; it has no bound at 1.
const saturated = 0.999

// decode: a token takes a step over the tokens that a step yields. A request pays
// on top its wait for the step it joins, spread over its tokens; the tenth
// shortest answer feels it most.
func (b *bench) decode(out *priced) {
	most, limit := b.mostSequences()
	n, p := highest(most, &out.alone, b.decodeAt)
	if n < nearly(most) {
		limit = p.limit
	}
	b.settle(out, n, p, limit, b.decodeAt)
	b.decodeLoads(n)
	out.cause = mainCause(b.st.Step(b.loads))
}

func (b *bench) decodeAt(n float64) point {
	b.decodeLoads(n)
	step := b.st.Step(b.loads).Time.Seconds()
	p := point{
		rate: n * float64(len(b.loads)) * b.accepted() / (step * b.demand.out),
		tpot: step / b.accepted(), e2e: b.answer(step),
	}
	ranks := float64(len(b.loads))
	b.decodeLoads(n + crowd(n*ranks)/(ranks*math.Sqrt(b.instances)))
	p.over, p.limit = b.tokenOver(b.st.Step(b.loads).Time.Seconds())
	b.judgeE2E(&p)
	return p
}

// crowd is how many more sequences than n in the mean there are one time in ten, over
// the time of an answer: the mean over such a time of a number of Poisson's distribution
// that changes as answers end has two thirds of its variance.
func crowd(n float64) float64 { return nineOfTen * math.Sqrt(n*2/3) }

// decodeLoads fills the loads for a mean of n sequences a rank: as many on each, or where
// that is less than one, one on as many ranks as there are sequences.
func (b *bench) decodeLoads(n float64) {
	if n >= 1 {
		b.demand.decodeLoads(b.loads, int64(math.Round(n)))
		return
	}
	clear(b.loads)
	some := max(1, int(math.Round(n*float64(len(b.loads)))))
	b.demand.decodeLoads(b.loads[:some], 1)
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
	most := max(1, busiest*float64(budget))
	c, p := highest(most, &out.alone, b.prefillAt)
	limit := p.limit
	if c >= nearly(most) {
		limit = "prompt throughput"
	}
	b.settle(out, c, p, limit, b.prefillAt)
	out.cause = mainCause(b.prefillStep(max(1, int64(c)), b.fullest(c)))
}

func (b *bench) prefillAt(c float64) point {
	ranks, mean := float64(len(b.loads)), int64(math.Ceil(c))
	full := b.fullest(c)
	step := b.prefillStep(mean, full).Time.Seconds()
	busy := min(1, c/float64(mean))
	p := point{rate: c * ranks / (step * b.demand.in)}
	// A prompt longer than the fullest rank's makes a longer step: the longer, by a
	// straight line up to a full one.
	budget := float64(b.config.MaxTokens)
	longest, least, whole := step, b.firstChunk(max(1, full)), b.firstChunk(int64(budget))
	if full < int64(budget) {
		longest = b.prefillStep(mean, int64(budget)).Time.Seconds()
	}
	own := func(prompt int64) float64 {
		first := min(float64(prompt), budget)
		shared, alone := step, b.firstChunk(int64(first))
		if first > float64(full) {
			shared, alone = line(first, float64(full), budget, step, longest), line(first, float64(full), budget, least, whole)
		}
		return b.promptAlone(prompt) * max(1, shared/alone)
	}
	w := waiting{rho: c / step / b.fastest, fastest: b.fastest, queues: ranks, rest: busy * step / 2, tailRest: busy * tailRest * step, own: own}
	b.firstToken(&p, &w)
	b.judgeE2E(&p)
	return p
}

// firstChunk is the seconds of a step with nothing but the first n tokens of a prompt.
func (b *bench) firstChunk(n int64) float64 {
	t, ok := b.firsts[n]
	if !ok {
		t = b.chunkAlone(0, n, true)
		b.firsts[n] = t
	}
	return t
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

// waiting is what a prompt meets on its way to the first token.
type waiting struct {
	rho            float64                    // share of what ranks can do that they do
	fastest        float64                    // prompt tokens a second of a rank whose steps are full
	queues         float64                    // that share the load of ranks
	rest, tailRest float64                    // s of the step under way, in the mean and in nine of ten cases
	own            func(prompt int64) float64 // s of the prompt's own steps
}

// firstToken sets the TTFT of a point and how many more than a tenth miss its limit: the
// rest of the step under way, the queue, then the steps of the prompt itself. The queue is
// M/G/k in tokens (Sakasegawa, Ann. Inst. Statist. Math. 29, 1977), k the ranks among which
// the router picks by what they have left to do, and those that wait do so for an
// exponential time.
func (b *bench) firstToken(p *point, w *waiting) {
	d := &b.demand
	k := w.queues
	rho := min(w.rho, saturated)
	some := math.Pow(rho, math.Sqrt(2*(k+1))-1) // of prompts wait
	each := d.inBiased / w.fastest / 2 / (k * (1 - rho))
	front := b.config.Engine.Fitted.TTFTMs / 1e3
	missed, last := 0.0, int64(-1)
	var own, miss float64
	var tails []float64
	for _, in := range d.promptStrata {
		if in != last {
			last, own = in, front+w.own(in)
			spare := limitSeconds(b.slo.TTFT.Limit)*b.slo.TTFT.Factor(float64(in)) - own - w.tailRest
			miss = 1
			if spare >= 0 {
				miss = some * math.Exp(-spare/each)
			}
		}
		p.ttft += (own + w.rest + some*each) / strata
		missed += miss / strata
		tails = append(tails, own+w.tailRest+each*math.Log(math.Max(1, some/tenth)))
	}
	p.e2e = nineInTen(tails)
	p.over, p.limit = missed/tenth, "TTFT"
}

// balance is a rank's room for prompt tokens beside n sequences, its share of
// requests a step, their prompt tokens c, and the tokens of a step that has a chunk: the
// mean of a Poisson number of chunks, where it is not 0.
func (b *bench) balance(n int64) (room, requests, c, chunk float64) {
	d := &b.demand
	room = max(1, float64(b.config.MaxTokens)-float64(n)*float64(1+b.config.Drafts))
	requests = float64(n) * b.accepted() / d.out
	c = requests * d.in
	one := d.in / math.Ceil(d.in/room)
	chunk = min(room, c/-math.Expm1(-c/one))
	return room, requests, c, chunk
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
func (b *bench) settle(c *priced, load float64, p point, limit string, at func(load float64) point) {
	c.point, c.point.limit = p, limit
	if b.slo.E2E == 0 {
		return
	}
	for k := range c.below {
		c.below[k] = at(load * max(leastLoad, float64(k)/float64(len(c.below))))
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
