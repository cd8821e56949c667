package sim

import (
	"crypto/sha256"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
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
	out.offered = describe(&g)
	out.digest = func() scenario.Input { return plant.Digest("workload", w.Profile, g) }
	if w.Profile != "" {
		out.name = "workload " + w.Profile
	}
	if w.Concurrency > 0 {
		out.offered.Arrivals = ""
		out.loop = &traces.ClosedLoop{Concurrency: w.Concurrency, Requests: w.Requests, Input: g.Input, Output: g.Output, Seed: s.Seed}
		if w.ThinkTime > 0 {
			out.loop.ThinkTime = traces.Constant(int(w.ThinkTime / 1_000_000))
		}
		return out, out.loop.Validate()
	}
	if out.source, err = traces.Generate(g); err != nil {
		return nil, err
	}
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

// Offered is what a scenario's workload offers, as far as that shows without a request:
// nothing of a trace.
func Offered(s *scenario.Scenario) (result.Workload, error) {
	w := s.Workload
	if w == nil {
		return result.Workload{}, nil
	}
	asked := *w
	if asked.Rate == 0 && !asked.AllAtOnce() {
		asked.Rate = 1 // one that is left open; it is not said here
	}
	g, err := plant.Generator(&asked, s.Patches, s.Seed)
	return describe(&g), err
}

// describe is what a generator draws from.
func describe(g *traces.Workload) result.Workload {
	return result.Workload{InputTokens: g.Input.String(), OutputTokens: g.Output.String(), Arrivals: g.Arrivals.String(), Sessions: g.Sessions != nil}
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
