package sweep

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

// Options steer a sweep; none of them but FindCapacity and Seeds changes its results.
type Options struct {
	Run     sim.Options // shared by all points; OnRequest, Observe and Stdin are not used
	Workers int         // points at a time; 0 is GOMAXPROCS
	// FindCapacity probes each point until its capacity is known to 2 %, which is
	// done in any case where the point has no rate of its own.
	FindCapacity bool
	// Seeds is how many seeds a point is run with, its own and those that follow it: the
	// same for all points, unless the seed is an axis. 0 is 1.
	Seeds int
	// Finished are points that are known from before, as Restore gives them: they are
	// not run again and nobody is told of them.
	Finished []Outcome
	// Begin is told of every point that is begun, on the goroutine that runs it; nil for
	// nobody.
	Begin func(id int)
	// Done is told of every point that has ended with a result or an error, in the order
	// in which they end, one at a time; nil for nobody.
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

	raw json.RawMessage // the result as it was read, when it was
}

// Run plans and runs every point that is not finished. When the context ends, points that
// have not finished are left without result. A broken invariant is its point's error, a
// *work.Panic; the others go on.
func Run(ctx context.Context, points []Point, o Options) []Outcome {
	out := make([]Outcome, len(points))
	for i, p := range points {
		out[i] = Outcome{ID: p.ID, Set: p.Set}
	}
	known := make([]bool, len(points))
	for _, f := range o.Finished {
		out[f.ID], known[f.ID] = f, true
	}
	var left []int
	for i := range points {
		if !known[i] {
			left = append(left, i)
		}
	}
	faults := work.Each(ctx, len(left), o.Workers, func(k int) error {
		i := left[k]
		if o.Begin != nil {
			o.Begin(points[i].ID)
		}
		out[i].run(ctx, points[i].Scenario, &o)
		return nil
	}, func(k int, panicked error) {
		ended := &out[left[k]]
		if panicked != nil {
			ended.Err = panicked
		}
		if o.Done != nil && (ended.Err != nil || ended.Result != nil) {
			o.Done(ended)
		}
	})
	for k, err := range faults {
		if err != nil { // that of Done may be new
			out[left[k]].Result, out[left[k]].Err = nil, err
		}
	}
	return out
}

// run plans and simulates one point.
func (out *Outcome) run(ctx context.Context, s *scenario.Scenario, o *Options) {
	opt := sim.Options{Source: o.Run.Source, Router: o.Run.Router}
	s = s.Clone()
	if err := plant.TakeArrivals(s); err != nil {
		out.fail(ctx, err)
		return
	}
	find := o.FindCapacity || plan.OpenRate(s)
	s, p, err := plan.Complete(ctx, s, opt, plan.Options{Workers: 1, FindCapacity: find})
	if err != nil {
		out.fail(ctx, err)
		return
	}
	out.MeanContext, out.KVBytes = p.MeanContext, p.KVBytes
	r, err := sim.Repeat(ctx, s, p.Options, o.Seeds, 1)
	if err != nil {
		out.fail(ctx, err)
		return
	}
	if r.Partial && ctx.Err() != nil {
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
