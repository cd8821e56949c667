package sweep

import (
	"context"
	"errors"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

// Options steer a sweep; none of them but FindCapacity changes its results.
type Options struct {
	Run     sim.Options // shared by all points; OnRequest, Observe and Stdin are not used
	Workers int         // points at a time; 0 is GOMAXPROCS
	// FindCapacity probes each point until its capacity is known to 2 %, which is
	// done in any case where the point has no rate of its own.
	FindCapacity bool
	// Done is told of every point that has ended, in the order in which they end,
	// one at a time; nil for nobody.
	Done func(o *Outcome)
}

// Outcome is one point with what came of it: a result or an error, or neither when
// an interruption came first.
type Outcome struct {
	ID     int
	Set    []Setting
	Result *result.Result
	Err    error
	// MeanContext is that of a sequence found decoding, in tokens, and KVBytes what
	// one of that length holds, all layers.
	MeanContext, KVBytes float64
}

// Run plans and runs every point. When the context ends, points that have not
// finished are left without result.
func Run(ctx context.Context, points []Point, o Options) []Outcome {
	out := make([]Outcome, len(points))
	for i, p := range points {
		out[i] = Outcome{ID: p.ID, Set: p.Set}
	}
	work.Each(ctx, len(points), o.Workers, func(i int) error {
		out[i].run(ctx, points[i].Scenario, &o)
		return nil
	}, func(i int, panicked error) {
		if panicked != nil {
			out[i].Err = panicked
		}
		if o.Done != nil && (out[i].Err != nil || out[i].Result != nil) {
			o.Done(&out[i])
		}
	})
	return out
}

// run plans and simulates one point.
func (out *Outcome) run(ctx context.Context, s *scenario.Scenario, o *Options) {
	opt := sim.Options{Source: o.Run.Source, Router: o.Run.Router}
	find := o.FindCapacity || plan.OpenRate(s)
	s, p, err := plan.Complete(ctx, s, opt, plan.Options{Workers: 1, FindCapacity: find})
	if err != nil {
		out.fail(ctx, err)
		return
	}
	out.MeanContext, out.KVBytes = p.MeanContext, p.KVBytes
	r, err := sim.Run(ctx, s, p.Options)
	if err != nil {
		out.fail(ctx, err)
		return
	}
	if r.Partial {
		return
	}
	r.Warnings = append(p.Warnings, r.Warnings...)
	r.Capacity = p.Capacity
	out.Result = r
}

func (out *Outcome) fail(ctx context.Context, err error) {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		out.Err = err
	}
}

// Fix completes the base scenario's layout, for a grid whose points are to share it.
func Fix(ctx context.Context, base *scenario.Scenario, opt sim.Options) (*scenario.Scenario, error) {
	planned, _, err := plan.Complete(ctx, base, opt, plan.Options{LayoutOnly: true})
	if err != nil {
		return nil, err
	}
	fixed := base.Clone()
	fixed.Deployment = planned.Deployment
	return fixed, nil
}
