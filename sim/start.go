package sim

import (
	"context"
	"fmt"
	"math"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/traces"
)

// stationarySample is how many requests in flight are drawn to learn their mean
// context.
const stationarySample = 4096

// stationary draws the requests that are decoding when a system that has run for
// long is first looked at: as many as Little's law has for the step time that they
// themselves cause, each found with a chance in proportion to its output, at a
// uniform age. Where prompts run in the same steps, how they fall on these decides their
// length, and short runs of one instance show it.
func (r *run) stationary() []route.Initial {
	drawer, err := r.load.stationary.Drawer()
	if err != nil {
		panic(fmt.Sprintf("sim: a workload that resolved has no drawer: %v", err)) // Generator has resolved it
	}
	p := &r.pools[len(r.pools)-1]
	ranks := int64(p.Asked.Instances * p.spec.Ranks)
	sample := sampleOf(drawer, p.spec.Breaks)
	bound := min(r.prefillRate(sample), r.decodeRate(sample))
	rate := min(r.load.stationary.Rate, bound)
	perRank := r.inFlight(p, sample, rate/float64(ranks))
	over, mixed := r.load.stationary.Rate > overloaded*bound, p.spec.Role == cost.Mixed
	if !over {
		r.warm = r.warmup()
	}
	switch {
	case over && mixed:
		perRank = r.most(p, sample)
	case mixed:
		perRank = r.piloted(p, drawer, sample, perRank)
	}
	most := math.Floor(r.most(p, sample) * float64(ranks))
	return decoding(drawer, min(most, math.Round(perRank*float64(ranks))))
}

// overloaded is the load, of what a pool can do at most, beyond which no queue is built up
// before the measured window: it would be as long as one cares to wait.
const overloaded = 1.2

// decoding draws so many requests in flight.
func decoding(d traces.Drawer, n float64) []route.Initial {
	out := make([]route.Initial, int64(n))
	for i := range out {
		out[i].Input, out[i].Output, out[i].Age = d.LengthBiased(int64(i))
	}
	return out
}

// Sizes of a pilot.
const (
	pilots       = 4
	pilotPrompts = 200 // that arrive in it, where these take no more steps than
	pilotSteps   = 4000
	pilotFewest  = 100  // steps
	pilotSettled = 0.02 // change of the number in flight that needs no further one
	warmupSteps  = 32   // for every step that a mean prompt takes
)

// piloted corrects the number of sequences that a rank decodes, of a pool that prefills as
// well: n = f(n), rate × steps of a request × what a step takes in a short run that starts
// with n, by secants.
func (r *run) piloted(p *pool, d traces.Drawer, s contextSample, n float64) float64 {
	ranks := float64(p.spec.Ranks)
	rate := r.load.stationary.Rate / (ranks * float64(p.Asked.Instances)) // a rank's
	most := r.most(p, s)
	var before, after float64 // the last n and f(n)
	for i := range pilots {
		step := r.pilot(p, d, s, n, rate*ranks)
		if step <= 0 {
			return n
		}
		r.warm = min(r.warm, des.FromSeconds(warmupSteps*step*math.Ceil(s.input/float64(p.spec.MaxTokens))))
		f := min(rate*r.steps(p, s)*step, most)
		next := f
		if slope := (f - after) / (n - before); i > 0 && slope < 1 {
			next = min(max(0, (f-slope*n)/(1-slope)), most)
		}
		before, after = n, f
		if math.Abs(next-n) <= pilotSettled*n {
			return next
		}
		n = next
	}
	return n
}

// pilot is the mean time in seconds between two tokens of a sequence in a short run of one
// instance of which every rank decodes n.
func (r *run) pilot(p *pool, d traces.Drawer, s contextSample, n, rate float64) float64 {
	load := *r.load.stationary
	load.Rate, load.Requests, load.Duration = rate, 0, 0
	source, err := traces.Generate(load)
	if err != nil {
		return 0 // the rate of one instance is below what a source can have
	}
	defer source.Close()
	step := r.meanStep(p, s, n, rate/float64(p.spec.Ranks))
	span := max(min(pilotPrompts/rate, pilotSteps*step), pilotFewest*step)
	rec := metrics.NewRecorder(metrics.Config{Pools: []string{p.Name}})
	c := route.Config{
		Seed: r.scenario.Seed, Policy: r.policy, Weight: r.weight(), Source: source, RejectTooLong: true,
		Pools: []route.Pool{{Name: p.Name, Spec: p.spec, Instances: 1}}, Drafting: r.drafting(),
		Initial: decoding(d, math.Round(n*float64(p.spec.Ranks))), Warmup: des.FromSeconds(span / 5), MostTime: des.FromSeconds(span),
	}
	cluster := route.NewCluster(c, rec)
	if _, err := cluster.Run(context.Background()); err != nil {
		return 0 // the run itself will say what is wrong with its workload
	}
	return rec.Summary(cluster.Now()).ITL.Mean / 1e9
}

// drafting is that of the pool that decodes.
func (r *run) drafting() (d serve.Drafting) {
	if c := r.pools[len(r.pools)-1].Stepper.Config(); c.Drafts > 0 {
		d = serve.NewDrafting(c.Drafts, c.Accepted)
	}
	return d
}

// decodeRate is the requests a second that the pool that decodes finishes when it holds as
// many as it can and no prompt runs in between.
func (r *run) decodeRate(s contextSample) float64 {
	p := &r.pools[len(r.pools)-1]
	loads, n := make([]cost.Load, p.spec.Ranks), r.most(p, s)
	s.decode(loads, n, len(p.spec.Breaks))
	return n * float64(p.Asked.Instances*p.spec.Ranks) / (r.steps(p, s) * p.Stepper.Step(loads).Time.Seconds())
}

// prefillRate is the requests a second that a pool finishes the prompts of when every step
// of every rank is full: however many arrive, no more of them reach the decode pool.
func (r *run) prefillRate(s contextSample) float64 {
	p := &r.pools[0]
	tokens := p.spec.MaxTokens
	l := cost.Load{ChunkTokens: tokens, Chunks: max(1, int64(float64(tokens)/s.input+0.5))}
	l.LastChunks = l.Chunks
	for j, limit := range p.spec.Breaks {
		l.Pairs[j] = l.Chunks * cost.PairSum(0, tokens/l.Chunks, limit)
	}
	loads := make([]cost.Load, p.spec.Ranks)
	for i := range loads {
		loads[i] = l
	}
	full := float64(tokens) / p.Stepper.Step(loads).Time.Seconds()
	return full * float64(p.Asked.Instances*p.spec.Ranks) / s.input
}

// contextSample is the mean of what stationary requests bring to a rank's sums.
type contextSample struct {
	context [models.MaxBreaks][]float64 // Σ min(L, break) over the first so many of the sample, tokens
	length  float64
	output  float64                   // mean tokens of an arriving request's answer
	pairs   [models.MaxBreaks]float64 // mean Σ min(position, break) over its prompt
	input   float64
}

func sampleOf(d traces.Drawer, breaks []int64) contextSample {
	var s contextSample
	for j := range breaks {
		s.context[j] = make([]float64, stationarySample+1)
	}
	for i := range int64(stationarySample) {
		in, _, age := d.LengthBiased(i)
		for j, limit := range breaks {
			s.context[j][i+1] = s.context[j][i] + float64(min(int64(in+age), limit))
		}
		s.length += float64(in+age) / stationarySample
		in, out := d.Draw(i)
		s.input += float64(in) / stationarySample
		for j, limit := range breaks {
			s.pairs[j] += float64(cost.PairSum(0, int64(in), limit)) / stationarySample
		}
		s.output += float64(out) / stationarySample
	}
	return s
}

// upTo is Σ min(L, break) over the first n sequences of a sample that begins again at its
// end.
func (s *contextSample) upTo(n int64, j int) float64 {
	all := s.context[j]
	return float64(n/stationarySample)*all[stationarySample] + all[n%stationarySample]
}

// decode puts n sequences in the mean on every rank: their numbers as even as they can be,
// the contexts of each those of the sample in turn, so that the longest rank is longer than
// the mean one, and all together as long as the sample's mean has them.
func (s *contextSample) decode(loads []cost.Load, n float64, breaks int) {
	all := max(1, int64(n*float64(len(loads))+0.5))
	var scale [models.MaxBreaks]float64
	for j := range breaks {
		scale[j] = (1 << cost.ContextShift) * float64(all) / stationarySample * s.context[j][stationarySample] / s.upTo(all, j)
	}
	first := int64(0)
	for i := range loads {
		next := all * int64(i+1) / int64(len(loads))
		loads[i] = cost.Load{Sequences: next - first}
		for j := range breaks {
			loads[i].Context[j] = int64((s.upTo(next, j) - s.upTo(first, j)) * scale[j])
		}
		first = next
	}
}

// steps are those of a mean answer.
func (r *run) steps(p *pool, s contextSample) float64 {
	steps := max(s.output-1, 0)
	if c := p.Stepper.Config(); c.Drafts > 0 {
		steps /= c.Accepted
	}
	return steps
}

// most is how many mean sequences a rank can hold.
func (r *run) most(p *pool, s contextSample) float64 {
	most := float64(p.spec.MaxSequences)
	if bytes := p.spec.Memory.SequenceBytes(int64(s.length)); bytes > 0 {
		most = min(most, float64(p.spec.Memory.Free-p.spec.Watermark)/float64(bytes))
	}
	return most
}

// inFlight is the number n of decoding sequences a rank holds for which
// n = rate × steps a request × step time(n), or the most that it can hold.
func (r *run) inFlight(p *pool, s contextSample, rate float64) float64 {
	steps, most := r.steps(p, s), r.most(p, s)
	demand := func(n float64) float64 { return rate * steps * r.meanStep(p, s, n, rate) }
	low, high := 0.0, most
	if demand(most) > most {
		return most
	}
	for range 40 {
		if mid := (low + high) / 2; demand(mid) > mid {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// mostRounds bounds the search for a step that takes in what arrives during it; close
// to saturation it settles slowly.
const mostRounds = 64

// meanStep is the time in seconds of a step in which the ranks decode n sequences each in
// the mean and, in a pool that prefills as well, take what arrives in it.
func (r *run) meanStep(p *pool, s contextSample, n, rate float64) float64 {
	loads := make([]cost.Load, p.spec.Ranks)
	s.decode(loads, n, len(p.spec.Breaks))
	seconds, chunk := 0.0, 0.0
	for range mostRounds {
		seconds = p.Stepper.Step(loads).Time.Seconds()
		if p.spec.Role != cost.Mixed {
			return seconds
		}
		next := min(rate*s.input*seconds, float64(p.spec.MaxTokens)-n)
		if math.Abs(next-chunk) < 0.5 {
			break
		}
		chunk = next
		s.prefill(loads, int64(max(0, chunk)), len(p.spec.Breaks))
	}
	return seconds
}

// prefill puts so many prompt tokens of mean prompts on every rank.
func (s *contextSample) prefill(loads []cost.Load, tokens int64, breaks int) {
	if tokens == 0 {
		return
	}
	for i := range loads {
		l := &loads[i]
		l.ChunkTokens, l.Chunks = tokens, 1+tokens/max(1, int64(s.input))
		l.Prefix = l.Chunks * max(0, int64(s.input)-tokens/l.Chunks) / 2
		for j := range breaks {
			l.Pairs[j] = int64(s.pairs[j] / s.input * float64(tokens))
		}
	}
}
