package sim

import (
	"crypto/sha256"
	"fmt"
	"math"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/traces"
)

// open makes the scenario's requests ready to be taken.
func open(s *scenario.Scenario, opt Options) (*workload, error) {
	if s.Trace != nil {
		return openTrace(s, opt)
	}
	w := s.Workload
	g, err := plant.Generator(w, s.Patches, s.Seed)
	if err != nil {
		return nil, err
	}
	out := &workload{measure: w.Requests, until: des.Time(w.Duration), name: "workload"}
	out.offered = result.Workload{InputTokens: g.Input.String(), OutputTokens: g.Output.String(), Sessions: g.Sessions != nil}
	out.digest = func() scenario.Input { return plant.Digest("workload", w.Profile, g) }
	if w.Profile != "" {
		out.name = "workload " + w.Profile
	}
	if w.Concurrency > 0 {
		out.loop = &traces.ClosedLoop{Concurrency: w.Concurrency, Requests: w.Requests, Input: g.Input, Output: g.Output, Seed: s.Seed}
		if w.ThinkTime > 0 {
			out.loop.ThinkTime = traces.Constant(int(w.ThinkTime / 1_000_000))
		}
		return out, out.loop.Validate()
	}
	if out.source, err = traces.Generate(g); err != nil {
		return nil, err
	}
	out.offered.Arrivals = g.Arrivals.String()
	out.blockTokens, out.endless = out.source.BlockTokens(), !w.AllAtOnce()
	if w.Start == "stationary" {
		out.stationary = &g
	}
	return out, nil
}

func openTrace(s *scenario.Scenario, opt Options) (*workload, error) {
	out := &workload{name: s.Trace.File}
	source, err := plant.OpenTrace(s.Trace, s.Seed, opt.Stdin, func(w string) { out.warnings = append(out.warnings, w) })
	if err != nil {
		return nil, err
	}
	out.source, out.blockTokens = source, source.BlockTokens()
	out.offered.Format = traces.FormatOf(source)
	if name := s.Trace.File; name == "-" || name == "sample" {
		stream := &streamed{Source: source, name: name, sum: sha256.New()}
		out.source, out.digest = stream, stream.digest
		return out, nil
	}
	file, err := digestFile(s.Trace.File)
	out.digest = func() scenario.Input { return file }
	return out, err
}

// counted is a source that sums up what has been taken of it.
type counted struct {
	traces.Source
	requests      int64
	input, output float64
	first, last   des.Time
}

func (c *counted) Next() (traces.Request, error) {
	r, err := c.Source.Next()
	if err == nil {
		if c.requests == 0 {
			c.first = r.Arrival
		}
		c.requests++
		c.input, c.output, c.last = c.input+float64(r.InputTokens), c.output+float64(r.OutputTokens), r.Arrival
	}
	return r, err
}

// count has the source counted; a closed loop has none.
func (w *workload) count() {
	if w.source != nil {
		w.taken = &counted{Source: w.source}
		w.source = w.taken
	}
}

// summary is what has been offered.
func (w *workload) summary() result.Workload {
	out := w.offered
	if c := w.taken; c != nil && c.requests > 0 {
		n := float64(c.requests)
		out.Requests, out.SpanS = c.requests, (c.last - c.first).Seconds()
		out.MeanInputTokens, out.MeanOutputTokens = c.input/n, c.output/n
	}
	return out
}

// stationarySample is how many requests in flight are drawn to learn their mean
// context.
const stationarySample = 4096

// stationary draws the requests that are decoding when a system that has run for
// long is first looked at: as many as Little's law has for the step time that they
// themselves cause, each found with a chance in proportion to its output, at a
// uniform age.
func (r *run) stationary() []route.Initial {
	drawer, err := r.load.stationary.Drawer()
	if err != nil {
		panic(fmt.Sprintf("sim: a workload that resolved has no drawer: %v", err)) // Generator has resolved it
	}
	p := &r.pools[len(r.pools)-1]
	ranks := int64(p.Asked.Instances * p.spec.Ranks)
	sample := sampleOf(drawer, p.spec.Breaks)
	rate := r.load.stationary.Rate
	if len(r.pools) == 2 {
		rate = min(rate, r.prefillRate(sample))
	}
	perRank := r.inFlight(p, sample, rate/float64(ranks))
	out := make([]route.Initial, int64(perRank*float64(ranks)))
	for i := range out {
		out[i].Input, out[i].Output, out[i].Age = drawer.LengthBiased(int64(i))
	}
	return out
}

// prefillRate is the requests a second that a prefill pool finishes when every step
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
	context [models.MaxBreaks]float64 // mean min(L, break), tokens
	length  float64
	output  float64                   // mean tokens of an arriving request's answer
	pairs   [models.MaxBreaks]float64 // mean Σ min(position, break) over its prompt
	input   float64
}

func sampleOf(d traces.Drawer, breaks []int64) contextSample {
	var s contextSample
	for i := range int64(stationarySample) {
		in, _, age := d.LengthBiased(i)
		for j, limit := range breaks {
			s.context[j] += float64(min(int64(in+age), limit)) / stationarySample
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

// inFlight is the number n of decoding sequences a rank holds for which
// n = rate × steps a request × step time(n), or the most that it can hold.
func (r *run) inFlight(p *pool, s contextSample, rate float64) float64 {
	steps := max(s.output-1, 0)
	if c := p.Stepper.Config(); c.Drafts > 0 {
		steps /= c.Accepted
	}
	most := float64(p.spec.MaxSequences)
	if bytes := p.spec.Memory.SequenceBytes(int64(s.length)); bytes > 0 {
		most = min(most, float64(p.spec.Memory.Free-p.spec.Watermark)/float64(bytes))
	}
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

// meanStep is the time in seconds of a step in which every rank decodes n
// sequences of mean length and, in a pool that prefills as well, takes what arrives
// in it.
func (r *run) meanStep(p *pool, s contextSample, n, rate float64) float64 {
	loads := make([]cost.Load, p.spec.Ranks)
	seconds, chunk := 0.0, 0.0
	for range mostRounds {
		l := cost.Load{Sequences: max(1, int64(n+0.5))}
		for j := range p.spec.Breaks {
			l.Context[j] = int64(s.context[j] * float64(l.Sequences) * (1 << cost.ContextShift))
		}
		if tokens := int64(chunk); tokens > 0 {
			l.ChunkTokens, l.Chunks = tokens, 1+tokens/max(1, int64(s.input))
			l.Prefix = l.Chunks * max(0, int64(s.input)-tokens/l.Chunks) / 2
			for j := range p.spec.Breaks {
				l.Pairs[j] = int64(s.pairs[j] / s.input * float64(tokens))
			}
		}
		for i := range loads {
			loads[i] = l
		}
		seconds = p.Stepper.Step(loads).Time.Seconds()
		if p.spec.Role != cost.Mixed {
			return seconds
		}
		next := min(rate*s.input*seconds, float64(p.spec.MaxTokens)-n)
		if math.Abs(next-chunk) < 0.5 {
			break
		}
		chunk = next
	}
	return seconds
}
