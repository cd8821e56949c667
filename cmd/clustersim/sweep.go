package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/sweep"
	"github.com/clustersim/clustersim/sim/work"
)

const sweepExamples = `  # what compressing the KV cache buys
  clustersim sweep --model v4 --topo supernode8912 --kv-compress uncompressed --kv-compress csa=4,hca=128 --kv-compress csa=16,hca=512

  # a grid: two tau budgets by three precisions of the cache
  clustersim sweep --model v3 --topo nvl72 --tau cpo --tau pluggable --set deployment.precision.kv=bf16,fp8 --output csv

  # prompt lengths, with commas inside the value
  clustersim sweep --model v3 --topo cloudmatrix384 --set 'workload.input_tokens=1024,8192,"uniform(1000,9000)"' --fix-layout

  # a long one whose points are kept as they end; after an interruption, a crash or a
  # full disk the same command with --resume goes on
  clustersim sweep --model v3 --topo cloudmatrix384 --set workload.rate=100,200,300,400 --out study
  clustersim sweep --model v3 --topo cloudmatrix384 --set workload.rate=100,200,300,400 --out study --resume`

// sweepFlags are those of a sweep.
type sweepFlags struct {
	scenario                *scenarioInput
	output, dir             string
	fixLayout, findCapacity bool
	resume                  bool
	metricsAddr             string
	workers, seeds          int
	files                   outputs
}

func newSweepCommand() *cobra.Command {
	f := &sweepFlags{}
	c := &cobra.Command{
		Use:   "sweep [scenario.yaml]",
		Short: "Run a grid of scenarios on all cores",
		Long: `Runs every combination of values. --set PATH=V1,V2,… names any path of the
scenario; values are separated by commas outside brackets and quotes. Any flag that
is given several times (--kv-compress, --model, --tau, …) has one value each time.
Points are run at 80 % of their own capacity unless a rate is given, each with its
own best layout unless --fix-layout. All points draw from the same seed, or with --seeds
from the same seeds: common random numbers, so that points differ by what is set.

With --out, DIR/manifest.json says from the start which grid it is and DIR/points.jsonl
has a line a point as it ends. --resume goes on with what is there: it refuses another
grid, or another version of clustersim, and names what differs; it never runs a point
again that has a result, and runs those again that failed. What it gives in the end is,
to the byte, what the sweep would have given in one go.`,
		Example: sweepExamples,
		Args:    wantsScenario,
		RunE:    f.run,
	}
	f.scenario = addScenarioFlags(c)
	c.Flags().Lookup("set").Usage = "values of any path of the scenario: PATH=V1,V2,… (repeatable)"
	addOutputFlag(c, &f.output, "text, json or csv", "text", "json", "csv")
	c.Flags().StringVar(&f.dir, "out", "", "folder `DIR` that receives points.jsonl as points end, sweep.json and scenario.yaml, the grid's base")
	c.Flags().BoolVar(&f.resume, "resume", false, "go on with the sweep of the same grid that --out holds")
	addForceFlag(c, &f.files)
	addMetricsFlag(c, &f.metricsAddr)
	c.Flags().BoolVar(&f.fixLayout, "fix-layout", false, "all points share the layout that is best for the base scenario")
	c.Flags().BoolVar(&f.findCapacity, "find-capacity", false, "find each point's capacity to 2 % also where a rate is given")
	addSeedsFlag(c, &f.seeds)
	c.Flags().IntVar(&f.workers, "workers", 0, "`N` points at a time; 0 is one a core")
	return c
}

func (f *sweepFlags) run(c *cobra.Command, args []string) error {
	write, err := sweep.Find(f.output)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if f.workers < 0 {
		return fmt.Errorf("--workers: must not be negative, got %d", f.workers)
	}
	if err := checkSeeds(f.seeds); err != nil {
		return err
	}
	axes, err := f.axes()
	if err != nil {
		return err
	}
	base, err := f.scenario.stated(c, args)
	if err != nil {
		return err
	}
	if err := f.checkFiles(base, axes, args); err != nil {
		return err
	}
	w, end, err := watch(c, observing{Addr: f.metricsAddr})
	if err != nil {
		return err
	}
	defer end()
	bar := newSweepBar(terminal(c.ErrOrStderr()))
	bar.tell = w.advance
	defer bar.close()
	opt := f.scenario.options(c)
	points, err := f.points(c, base, axes)
	if err != nil {
		return err
	}
	if err := sweep.Check(points, axes, opt.Source); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	o := sweep.Options{Run: opt, Workers: f.workers, FindCapacity: f.findCapacity, Seeds: f.seeds}
	m, err := sweep.NewManifest(base, axes, points, &o, result.Program())
	if err != nil {
		return failed(err)
	}
	keep(c.Context())
	store, err := openPoints(f.dir, f.resume, &f.files, m, points, stop)
	if err != nil {
		return err
	}
	bar.note(func() { store.note(c.ErrOrStderr(), len(points)) })
	bar.count(points, len(store.finished))
	o.Finished, o.Begin = store.finished, bar.begin
	o.Done = func(p *sweep.Outcome) {
		store.keep(p)
		bar.end(p)
		if broken := (*work.Panic)(nil); errors.As(p.Err, &broken) {
			bar.note(func() { fmt.Fprintf(c.ErrOrStderr(), "point %d: %v\n%s", p.ID, broken, broken.Stack) })
		}
	}
	answer := &sweep.Sweep{Manifest: m.Digest, Points: sweep.Run(ctx, points, o)}
	bar.close()
	printed := write(c.OutOrStdout(), answer)
	if err := errors.Join(store.finish(answer, base.Marshal), failed(printed)); err != nil {
		return err
	}
	return f.verdict(answer)
}

// checkFiles looks at the files to write before there is any work.
func (f *sweepFlags) checkFiles(base *scenario.Scenario, axes []sweep.Axis, args []string) error {
	if err := checkTrace(base); err != nil {
		return err
	}
	f.files.read(args...)
	f.files.read(f.scenario.recipe)
	f.files.readScenario(base)
	for _, a := range axes {
		f.files.read(a.Values...)
	}
	if err := checkPoints(f.dir, f.resume, &f.files); err != nil {
		return err
	}
	return f.files.checkFolder("--out", f.dir, manifestFile, pointsFile, "sweep.json", "scenario.yaml")
}

// points are the grid over the base. A recipe goes by what each point states; where the
// points share the layout of the base they share what the recipe sets there too.
func (f *sweepFlags) points(c *cobra.Command, base *scenario.Scenario, axes []sweep.Axis) ([]sweep.Point, error) {
	if !f.fixLayout {
		points, err := sweep.Grid(base, axes)
		for i := range points {
			if _, err := f.scenario.follow(c, points[i].Scenario, axes); err != nil {
				return nil, fmt.Errorf("point %d: %w", points[i].ID, err)
			}
		}
		return points, err
	}
	stated := base.Clone()
	set, err := f.scenario.follow(c, base, axes)
	if err != nil {
		return nil, err
	}
	fixed, err := sweep.Fix(c.Context(), base, f.scenario.options(c))
	if err != nil {
		return nil, err
	}
	*base = *fixed
	alone, err := sweep.Grid(stated, axes)
	if err != nil {
		return nil, err
	}
	for i := range alone {
		own, err := f.scenario.follow(c, alone[i].Scenario, axes)
		if err == nil && !slices.Equal(own, set) {
			err = fmt.Errorf("--recipe %s sets other values than in the base: leave out --fix-layout", f.scenario.recipe)
		}
		if err != nil {
			return nil, fmt.Errorf("point %d: %w", alone[i].ID, err)
		}
	}
	return sweep.Grid(base, axes)
}

// axes takes what has several values, or is --set, out of the flags: the axes are
// in the order of the flags' help, then of --set.
func (f *sweepFlags) axes() (axes []sweep.Axis, err error) {
	for _, d := range scenarioFlags {
		g := f.scenario.flags[d.name]
		if len(g.values) < 2 {
			continue
		}
		if d.name == "slo" {
			return nil, fmt.Errorf("--slo is given %d times; sweep one limit with --set slo.tpot=30ms,50ms", len(g.values))
		}
		axes = append(axes, sweep.Axis{Path: d.path, Values: g.values})
		g.values = g.values[:1]
	}
	for _, text := range f.scenario.sets.values {
		a, err := sweep.ParseAxis(text)
		if err != nil {
			return nil, fmt.Errorf("--set %w", err)
		}
		axes = sweep.AddAxis(axes, a)
	}
	f.scenario.sets.values = nil
	return axes, nil
}

// verdict is the exit code of a sweep that has been written.
func (f *sweepFlags) verdict(answer *sweep.Sweep) error {
	faults, broken, missing := 0, 0, 0
	for i := range answer.Points {
		switch o := &answer.Points[i]; {
		case errors.As(o.Err, new(*work.Panic)):
			broken++
		case o.Err != nil:
			faults++
		case o.Result == nil:
			missing++
		}
	}
	total := len(answer.Points)
	switch {
	case missing > 0:
		how := "with --out DIR the others would be kept, and --resume would go on"
		if f.dir != "" {
			how = "the same command with --resume goes on"
		}
		return exit{exitInterrupted, fmt.Errorf("interrupted; %d of %d points are missing; %s", missing, total, how)}
	case broken > 0:
		return failed(fmt.Errorf("%d of %d points failed, %d of them by a broken invariant of clustersim", faults+broken, total, broken))
	case faults > 0:
		return exit{exitUsage, fmt.Errorf("%d of %d points failed", faults, total)}
	}
	return nil
}
