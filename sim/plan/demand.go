package plan

import (
	"math"
	"slices"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
)

// lengths are the tokens of one request.
type lengths struct{ in, out int64 }

// demand is a workload reduced to the moments that capacity depends on. All of
// them are averages over a sample of its requests, so that a trace, a
// distribution and growing sessions are treated alike.
type demand struct {
	in, out  float64 // mean tokens of a request
	inBiased float64 // E[in²]/E[in]: prompt length that a prompt token finds itself in
	inP90    int64
	outP10   int64
	outP90   int64
	outP999  int64
	total999 int64   // prompt and answer
	longest  lengths // the request that needs most cache
	// context[j] is E[min(L, Breaks[j])] of a sequence found decoding at a random
	// moment, in tokens, and contextSD[j] its standard deviation. Each request
	// weighs as much as its output is long, and L is uniform on (in, in+out].
	context, contextSD         [models.MaxBreaks]float64
	prompts, answers           []int64       // lengths, sorted
	promptStrata, answerStrata [strata]int64 // means of equal parts of them
	rate                       float64       // requests a second of a trace; 0 when the workload is generated
	sample                     []lengths     // what the moments are of
}

// within cuts a request to so many tokens, the prompt first. A generated workload's
// tail beyond what the model was made for is rejected where it does not fit; no
// layout is chosen for its sake.
func (l lengths) within(most int64) lengths {
	l.out = min(l.out, most-1)
	l.in = min(l.in, most-l.out)
	return l
}

// tenth of the requests may miss the SLO: those with the longest prompts by TTFT, those
// with the shortest answers by TPOT, those with the longest by E2E. Nearly all of them are as long as is planned for:
// the longest of a workload without bound is a matter of luck.
const (
	tenth     = 1 - WithinSLO
	nearlyAll = 0.999
)

// newDemand takes at least one request.
func newDemand(sample []lengths, breaks []int64) demand {
	var d demand
	var in, out, in2 float64
	for _, r := range sample {
		in += float64(r.in)
		in2 += float64(r.in) * float64(r.in)
		out += float64(r.out)
		if r.in+r.out > d.longest.in+d.longest.out {
			d.longest = r
		}
		d.prompts, d.answers = append(d.prompts, r.in), append(d.answers, r.out)
		for j, b := range breaks {
			m1, m2 := truncatedMoments(float64(r.in), float64(r.out), float64(b))
			d.context[j] += float64(r.out) * m1
			d.contextSD[j] += float64(r.out) * m2
		}
	}
	for j := range breaks {
		d.context[j] /= out
		d.contextSD[j] = math.Sqrt(max(0, d.contextSD[j]/out-d.context[j]*d.context[j]))
	}
	n := float64(len(sample))
	d.sample, d.in, d.out, d.inBiased = sample, in/n, out/n, in2/in
	slices.Sort(d.prompts)
	slices.Sort(d.answers)
	d.promptStrata, d.answerStrata = stratified(d.prompts), stratified(d.answers)
	d.inP90 = d.prompts[min(len(sample)-1, int((1-tenth)*n))]
	d.outP999 = quantile(sample, nearlyAll, func(r lengths) int64 { return r.out })
	d.total999 = quantile(sample, nearlyAll, func(r lengths) int64 { return r.in + r.out })
	d.outP90 = quantile(sample, 1-tenth, func(r lengths) int64 { return r.out })
	d.outP10 = quantile(sample, tenth, func(r lengths) int64 { return r.out })
	return d
}

// truncatedMoments are the first two moments of min(L, b) for L uniform on
// (in, in+out].
func truncatedMoments(in, out, b float64) (m1, m2 float64) {
	if b <= in {
		return b, b * b
	}
	top := min(b, in+out)
	grown, flat := top-in, in+out-top
	m1 = ((in+top)/2*grown + b*flat) / out
	m2 = ((in*in+in*top+top*top)/3*grown + b*b*flat) / out
	return m1, m2
}

func quantile(sample []lengths, q float64, of func(lengths) int64) int64 {
	v := make([]int64, len(sample))
	for i, r := range sample {
		v[i] = of(r)
	}
	slices.Sort(v)
	return v[min(len(v)-1, int(q*float64(len(v))))]
}

// decodeLoads fills the loads of an instance whose ranks decode n sequences
// each. Ranks hold different contexts; the first one stands for the fullest of
// them, expectedMax standard deviations above the mean.
func (d *demand) decodeLoads(loads []cost.Load, n int64) {
	above := expectedMax(len(loads)) * math.Sqrt(float64(n))
	for i := range loads {
		loads[i] = cost.Load{Sequences: n}
		for j := range d.context {
			c := float64(n) * d.context[j]
			if i == 0 {
				c += above * d.contextSD[j]
			}
			loads[i].Context[j] = int64(c * (1 << cost.ContextShift))
		}
	}
}

// addChunk gives a rank c prompt tokens of a cost each, on top of what it decodes.
func (d *demand) addChunk(l *cost.Load, c int64, each *promptCost) {
	if c <= 0 {
		return
	}
	l.ChunkTokens = c
	l.Chunks = max(1, int64(math.Round(float64(c)/d.in)))
	l.LastChunks = l.Chunks
	for j, pairs := range each.pairs {
		l.Pairs[j] = int64(float64(c) * pairs)
	}
	l.Prefix = int64(float64(c) * each.prefix)
}

// gumbel is e^−γ, γ Euler's constant.
const gumbel = 0.5615

// longestOf is about the longest of m prompts: Gumbel's 1 − e^−γ/m quantile.
func (d *demand) longestOf(m float64) int64 {
	q := 1 - gumbel/math.Max(1, m)
	return d.prompts[min(len(d.prompts)-1, int(q*float64(len(d.prompts))))]
}

// expectedMax approximates the expected maximum of n standard normal variables
// by Blom's Φ⁻¹((n−0.375)/(n+0.25)), within 2 % for n up to 10⁴.
func expectedMax(n int) float64 {
	if n < 2 {
		return 0
	}
	p := (float64(n) - 0.375) / (float64(n) + 0.25)
	return math.Sqrt2 * math.Erfinv(2*p-1)
}
