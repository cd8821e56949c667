package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
)

// sampled is how many requests of a workload the plan looks at.
const sampled = 20_000

// inAMillion is the quantile that one of a million draws exceeds.
const inAMillion = 1 - 1e-6

// head is what the plan sees of a workload.
type head struct {
	sample  []lengths
	rate    float64 // requests a second of a trace, as scaled; 0 when generated
	longest lengths // that the run must expect; zero when the sample's is
}

// takeSample looks at the head of the workload. A trace on standard input is put
// back, so that the run reads it whole.
func takeSample(s *scenario.Scenario, opt *sim.Options) (h head, err error) {
	if s.Trace != nil {
		return sampleTrace(s, opt)
	}
	w := *s.Workload
	if w.Rate == 0 {
		w.Rate = 1 // lengths do not depend on it
	}
	w.Requests = max(w.Requests, 1) // nor on how many there are
	t, err := plant.Generator(&w, s.Patches, s.Seed)
	if err != nil {
		return h, err
	}
	draw, err := t.Drawer()
	if err != nil {
		return h, err
	}
	h.sample = make([]lengths, sampled)
	for i := range h.sample {
		in, out := draw.Draw(int64(i))
		h.sample[i] = lengths{int64(in), int64(out)}
	}
	if t.Sessions == nil {
		h.longest = lengths{int64(t.Input.Quantile(inAMillion)), int64(t.Output.Quantile(inAMillion))}
	}
	return h, nil
}

func sampleTrace(s *scenario.Scenario, opt *sim.Options) (h head, err error) {
	stdin := opt.Stdin
	if s.Trace.File == "-" {
		if stdin == nil {
			return h, errors.New("trace: - is standard input, and there is none")
		}
		var seen bytes.Buffer
		rest := stdin
		stdin = io.TeeReader(rest, &seen)
		defer func() { opt.Stdin = io.MultiReader(&seen, rest) }()
	}
	source, err := plant.OpenTrace(s.Trace, s.Seed, stdin, nil)
	if err != nil {
		return h, err
	}
	defer source.Close()
	var first, last int64
	for len(h.sample) < sampled {
		r, err := source.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return h, err
		}
		if len(h.sample) == 0 {
			first = int64(r.Arrival)
		}
		last = int64(r.Arrival)
		h.sample = append(h.sample, lengths{int64(r.InputTokens), int64(r.OutputTokens)})
	}
	if len(h.sample) == 0 {
		return h, fmt.Errorf("%s: the trace has no requests", s.Trace.File)
	}
	if last > first {
		h.rate = float64(len(h.sample)-1) / (float64(last-first) / 1e9)
	}
	return h, nil
}
