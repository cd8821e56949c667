package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

// Repeat runs a complete scenario with n seeds, its own and those that follow it, on up
// to workers goroutines (0: one a core). What comes back is the result of its own seed,
// and beside it what all seeds give in the mean, with the interval. Options watch the run
// of its own seed alone. When the context ends first, the runs that have finished are
// what the mean is of, and the result is partial.
func Repeat(ctx context.Context, s *scenario.Scenario, opt Options, n, workers int) (*result.Result, error) {
	if n < 2 {
		return Run(ctx, s, opt)
	}
	if s == nil {
		return nil, errors.New("there is no scenario to run")
	}
	if s.Trace != nil && s.Trace.File == "-" {
		return nil, errors.New("several seeds replay the trace several times: it must be a file")
	}
	runs := make([]*result.Result, n)
	faults := work.Each(ctx, n, workers, func(i int) (err error) {
		own, with := s.Clone(), opt
		if own.Seed == 0 {
			own.Seed = 1
		}
		own.Seed += uint64(i)
		if i > 0 {
			with.OnRequest, with.Observe = nil, nil
		}
		runs[i], err = Run(ctx, own, with)
		return err
	}, nil)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	var whole []*result.Result
	for _, r := range runs {
		if r != nil && !r.Partial {
			whole = append(whole, r)
		}
	}
	out := runs[0]
	if out == nil {
		return nil, ctx.Err()
	}
	if out.Seeds = result.OverSeeds(whole); len(whole) < n && ctx.Err() != nil {
		out.Partial, out.Reason = true, fmt.Sprintf("interrupted when %d of %d seeds had finished", len(whole), n)
	}
	return out, nil
}
