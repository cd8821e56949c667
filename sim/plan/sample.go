package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/clustersim/clustersim/sim"
)

// sampled is how many requests of a workload the plan looks at.
const sampled = 20_000

// takeSample looks at the head of the workload: lengths, and the rate of a trace. A
// trace on standard input is put back, so that the run reads it whole.
func takeSample(s *sim.Scenario, opt *sim.Options) ([]lengths, float64, error) {
	if s.Trace != nil {
		return sampleTrace(s, opt)
	}
	w := *s.Workload
	if w.Rate == 0 {
		w.Rate = 1 // lengths do not depend on it
	}
	t, err := w.Generator(s.Seed)
	if err != nil {
		return nil, 0, err
	}
	draw, err := t.Drawer()
	if err != nil {
		return nil, 0, err
	}
	sample := make([]lengths, sampled)
	for i := range sample {
		in, out := draw.Draw(int64(i))
		sample[i] = lengths{int64(in), int64(out)}
	}
	return sample, 0, nil
}

func sampleTrace(s *sim.Scenario, opt *sim.Options) (sample []lengths, rate float64, err error) {
	stdin := opt.Stdin
	if s.Trace.File == "-" {
		if stdin == nil {
			return nil, 0, errors.New("trace: - is standard input, and there is none")
		}
		var head bytes.Buffer
		rest := stdin
		stdin = io.TeeReader(rest, &head)
		defer func() { opt.Stdin = io.MultiReader(&head, rest) }()
	}
	source, err := s.Trace.Open(s.Seed, stdin, nil)
	if err != nil {
		return nil, 0, err
	}
	defer source.Close()
	var first, last int64
	for len(sample) < sampled {
		r, err := source.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		if len(sample) == 0 {
			first = int64(r.Arrival)
		}
		last = int64(r.Arrival)
		sample = append(sample, lengths{int64(r.InputTokens), int64(r.OutputTokens)})
	}
	if len(sample) == 0 {
		return nil, 0, fmt.Errorf("%s: the trace has no requests", s.Trace.File)
	}
	if last > first {
		rate = float64(len(sample)-1) / (float64(last-first) / 1e9)
	}
	return sample, rate, nil
}
