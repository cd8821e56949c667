package plan

import (
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/cost"
)

// lonely is what a request has that finds an instance empty and shares it with no other:
// what a closed loop of one client measures.
type lonely struct {
	ttft, tpot float64 // s, mean request; 0 where the pool does not do that
	e2e        float64 // s of the nine-in-ten request in this pool
	over       float64 // the nine-in-ten request's latency over its limit, the worst of them
	limit      string
}

// strata is how many requests stand for all: the means of as many equal parts of the
// workload, in order of length.
const strata = 20

// alone prices single requests in a role, step by step.
func (b *bench) alone(role cost.Role) lonely {
	var out lonely
	d := &b.demand
	var shares, times []float64
	if role != cost.Decode {
		front := b.config.Engine.Fitted.TTFTMs / 1e3
		for _, in := range d.promptStrata {
			t := front + b.promptAlone(in)
			out.ttft += t / strata
			shares = append(shares, t/(limitSeconds(b.slo.TTFT.Limit)*b.slo.TTFT.Factor(float64(in))))
			times = append(times, t)
		}
		out.over, out.limit, out.e2e = nineInTen(shares), "TTFT", nineInTen(times)
	}
	if role != cost.Prefill {
		step := b.tokenAlone()
		var gaps []float64
		for _, n := range d.answerStrata {
			t := step * b.stepsOf(n) / float64(max(1, n-1))
			out.tpot += t / strata
			gaps = append(gaps, t)
		}
		if over := nineInTen(gaps) / limitSeconds(b.slo.TPOT); over > out.over || out.limit == "" {
			out.over, out.limit = over, "TPOT"
		}
		if over := step / limitSeconds(b.slo.ITL); over > out.over {
			out.over, out.limit = over, "ITL"
		}
		out.e2e += step * b.stepsOf(d.outP90)
	}
	if over := out.e2e / limitSeconds(b.slo.E2E); over > out.over {
		out.over, out.limit = over, "E2E"
	}
	return out
}

// stratified are the mean lengths of as many equal parts of a sorted list.
func stratified(sorted []int64) (means [strata]int64) {
	for i := range means {
		part := sorted[i*len(sorted)/strata : max(i*len(sorted)/strata+1, (i+1)*len(sorted)/strata)]
		sum := int64(0)
		for _, n := range part {
			sum += n
		}
		means[i] = (sum + int64(len(part))/2) / int64(len(part))
	}
	return means
}

// nineInTen is the ninth decile.
func nineInTen(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)*9/10]
}

// line is a straight line between two points.
func line(x, from, to, atFrom, atTo float64) float64 {
	if to <= from {
		return atFrom
	}
	return atFrom + (atTo-atFrom)*(x-from)/(to-from)
}

// stepsOf is the mean number of decode steps of an answer: its first token comes out of
// the prefill, and no step yields more than one and the drafts.
func (b *bench) stepsOf(out int64) float64 {
	gaps := float64(max(1, out) - 1)
	return min(gaps, max(math.Ceil(gaps/float64(1+b.config.Drafts)), gaps/b.accepted()))
}

// tokenAlone is the seconds of a decode step of one sequence of mean context.
func (b *bench) tokenAlone() float64 {
	clear(b.loads)
	b.loads[0].Sequences = 1
	for j := range b.demand.context {
		b.loads[0].Context[j] = int64(b.demand.context[j] * (1 << cost.ContextShift))
	}
	return b.st.Step(b.loads).Time.Seconds()
}

// promptAlone is the seconds of the steps of one prompt: chunks of the whole budget, each
// behind those before it, and what is left; one step where the engine does not cut prompts. In a pipeline the last micro-batch of the last
// chunk comes out later than the cycle ends.
func (b *bench) promptAlone(prompt int64) float64 {
	if t, ok := b.single[prompt]; ok {
		return t
	}
	budget := int64(b.config.MaxTokens)
	if b.config.Engine.WholePrompts {
		budget = max(budget, prompt)
	}
	whole := max(0, prompt-1) / budget
	rest := prompt - whole*budget
	last := b.chunkAlone(whole*budget, rest, true)
	stages := int64(b.config.Layout.PP)
	size := (rest + stages - 1) / stages
	lag := float64((rest-1)/max(1, size)) / float64(stages)
	t := b.wholeChunks(whole) + last*(1+lag)
	b.single[prompt] = t
	return t
}

// exactChunks are summed one by one; the time of those behind grows with the context
// almost in a straight line between chunk numbers that grow by a quarter.
const exactChunks = 16

// wholeChunks is the seconds of a prompt's first n chunks.
func (b *bench) wholeChunks(n int64) float64 {
	budget := int64(b.config.MaxTokens)
	sum := 0.0
	for k := range min(n, exactChunks) {
		sum += b.chunkAlone(k*budget, budget, false)
	}
	for k := int64(exactChunks); k < n; {
		to := min(n-1, k+k/4)
		sum += float64(to-k+1) * (b.chunkAlone(k*budget, budget, false) + b.chunkAlone(to*budget, budget, false)) / 2
		k = to + 1
	}
	return sum
}

// chunkAlone is the seconds of a step with nothing but n tokens of a prompt behind prefix.
func (b *bench) chunkAlone(prefix, n int64, last bool) float64 {
	clear(b.loads)
	b.loads[0] = b.chunk(prefix, n, last)
	return b.st.Step(b.loads).Time.Seconds()
}

func (b *bench) chunk(prefix, n int64, last bool) cost.Load {
	l := cost.Load{ChunkTokens: n, Chunks: 1, Prefix: prefix}
	if last {
		l.LastChunks = 1
	}
	for j, limit := range b.packs.breaks {
		l.Pairs[j] = cost.PairSum(prefix, n, limit)
	}
	return l
}
