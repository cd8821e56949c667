package validate

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/fit"
	"github.com/clustersim/clustersim/sim/spec"
)

// TuneOptions say what of an engine profile is fitted, on what.
type TuneOptions struct {
	Engine *cost.Engine // cases of this profile, or of its base, are taken; the search starts at its numbers
	Names  []string     // fitted numbers to move
	// PerGroup is how many cases of a deployment group are fitted, spread over its
	// load; 0 is all. Errors are counted over all cases whatever it is.
	PerGroup int
	// HeldOut is the share of deployment groups that are not fitted.
	HeldOut float64
	Steps   int // of the search, at most
	Run     Options
}

// Tuned is a profile with numbers fitted to cases, and how far it is from them.
type Tuned struct {
	Engine  *cost.Engine
	Changes []Change
	Errors  []TunedError
	Groups  [2]int // deployment groups fitted and held out
}

// Change is a number before and after.
type Change struct {
	Name          string
	Before, After float64
}

// TunedError is the error of one metric over the groups that were fitted or over
// those that were not.
type TunedError struct {
	Metric        string
	HeldOut       bool
	Before, After Stats
}

// ttftWeight is what a TTFT counts beside a TPOT: it varies twice as much between
// repeated runs.
const ttftWeight = 0.5

// Tune finds the values of an engine's fitted numbers that come nearest to the
// measured TPOT and TTFT of its cases. A deployment group is what differs by load
// alone; a group is fitted whole or held out whole, by a hash of what it is. Every
// group has the same weight, however many cases it has.
func Tune(ctx context.Context, sets []*Set, o TuneOptions) (*Tuned, error) {
	t, err := newTuning(ctx, sets, &o)
	if err != nil {
		return nil, err
	}
	before, err := t.run(o.Engine, t.all)
	if err != nil {
		return nil, err
	}
	found, err := fit.Minimise(&t.problem)
	if err != nil {
		return nil, err
	}
	tuned := &Tuned{Engine: t.with(found.X), Groups: t.groups}
	after, err := t.run(tuned.Engine, t.all)
	if err != nil {
		return nil, err
	}
	for i, p := range t.problem.Parameters {
		tuned.Changes = append(tuned.Changes, Change{p.Name, p.Start, found.X[i]})
	}
	for _, heldOut := range []bool{false, true} {
		for _, kind := range []string{"TPOT", "TTFT"} {
			of := func(r *Row) bool { return r.kind == kind && t.held[r.ID] == heldOut }
			tuned.Errors = append(tuned.Errors, TunedError{kind, heldOut, statsOf(only(before, of)), statsOf(only(after, of))})
		}
	}
	return tuned, nil
}

// tuning is a search under way.
type tuning struct {
	ctx     context.Context
	o       *TuneOptions
	all     *Set // every case of the engine
	fitted  *Set // those whose residuals the search sees
	held    map[string]bool
	groups  [2]int
	where   map[[2]string]int // residual by case and metric
	problem fit.Problem
}

func newTuning(ctx context.Context, sets []*Set, o *TuneOptions) (*tuning, error) {
	t := &tuning{ctx: ctx, o: o, all: &Set{}, fitted: &Set{}, held: map[string]bool{}, where: map[[2]string]int{}}
	if err := t.parameters(); err != nil {
		return nil, err
	}
	weight, err := t.split(sets)
	if err != nil {
		return nil, err
	}
	// Which figures there are shows in a first run.
	rows, err := t.run(o.Engine, t.fitted)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		t.where[[2]string{rows[i].ID, rows[i].Metric}] = len(t.where)
		w := weight[rows[i].ID]
		if rows[i].kind == "TTFT" {
			w *= ttftWeight
		}
		t.problem.Weights = append(t.problem.Weights, w)
	}
	t.problem.N, t.problem.Residuals = len(t.where), t.residuals
	t.problem.Steps, t.problem.Tolerance = cmp.Or(o.Steps, 5), 1e-3
	if t.problem.N == 0 && len(t.fitted.Cases) == 0 && len(t.all.Cases) > 0 {
		return nil, fmt.Errorf("every deployment of engine %s is held out: hold out less", o.Engine.Name)
	}
	if t.problem.N == 0 {
		return nil, fmt.Errorf("no case of engine %s measures a TPOT or a TTFT", o.Engine.Name)
	}
	return t, nil
}

// parameters are the numbers to move, each searched up to a few times its start.
func (t *tuning) parameters() error {
	numbers := t.o.Engine.Fitted.Numbers()
	names := make([]string, len(numbers))
	for i := range numbers {
		names[i] = numbers[i].Name
	}
	for _, name := range t.o.Names {
		i := slices.Index(names, name)
		if i < 0 {
			return spec.UnknownName("fitted number", name, names)
		}
		n := &numbers[i]
		reach := 5 * max(math.Abs(*n.Value), 1)
		t.problem.Parameters = append(t.problem.Parameters, fit.Parameter{
			Name: name, Start: *n.Value, Low: max(n.Low, *n.Value-reach), High: min(n.High, *n.Value+reach), Step: 0.1,
		})
	}
	return nil
}

// split sorts the engine's cases into groups and gives the weight of each that is
// fitted.
func (t *tuning) split(sets []*Set) (map[string]float64, error) {
	groups := map[uint64][]*Case{}
	var order []uint64
	for _, set := range sets {
		for i := range set.Cases {
			c := &set.Cases[i]
			if name := c.Scenario.Deployment.Engine; name != t.o.Engine.Name && name != t.o.Engine.Base {
				continue
			}
			key, err := groupOf(c)
			if err != nil {
				return nil, err
			}
			if groups[key] == nil {
				order = append(order, key)
			}
			groups[key] = append(groups[key], c)
			t.all.Cases = append(t.all.Cases, *c)
		}
	}
	weight := map[string]float64{}
	for _, key := range order {
		group, heldOut := groups[key], float64(key%1000) < 1000*t.o.HeldOut
		for _, c := range group {
			t.held[c.ID] = heldOut
		}
		if heldOut {
			t.groups[1]++
			continue
		}
		t.groups[0]++
		picked := spreadOf(group, t.o.PerGroup)
		for _, c := range picked {
			t.fitted.Cases = append(t.fitted.Cases, *c)
			weight[c.ID] = 1 / float64(len(picked))
		}
	}
	return weight, nil
}

// groupOf is a hash of what a deployment is but for its load.
func groupOf(c *Case) (uint64, error) {
	s := *c.Scenario
	s.Patches = s.Patches.Without("engine.poll_steps") // launch scripts choose it by the load
	if s.Workload != nil {
		load := *s.Workload
		load.Concurrency, load.Requests, load.Rate, load.Window = 0, 0, 0, ""
		s.Workload = &load
	}
	text, err := s.Marshal()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.ID, err)
	}
	h := fnv.New64a()
	h.Write(text)
	return h.Sum64(), nil
}

// spreadOf picks at most n of a group, evenly over its load.
func spreadOf(group []*Case, n int) []*Case {
	if n <= 0 || len(group) <= n {
		return group
	}
	byLoad := slices.Clone(group)
	slices.SortStableFunc(byLoad, func(a, b *Case) int { return cmp.Compare(load(a), load(b)) })
	out := make([]*Case, n)
	for i := range out {
		out[i] = byLoad[(2*i+1)*len(byLoad)/(2*n)]
	}
	return out
}

// load orders the cases of a group: by clients, or by rate.
func load(c *Case) float64 {
	w := c.Scenario.Workload
	if w == nil {
		return 0
	}
	return cmp.Or(float64(w.Concurrency), w.Rate)
}

func (t *tuning) with(x []float64) *cost.Engine {
	e := *t.o.Engine
	for _, n := range e.Fitted.Numbers() {
		for i, p := range t.problem.Parameters {
			if p.Name == n.Name {
				*n.Value = x[i]
			}
		}
	}
	return &e
}

// run predicts a set with an engine; rows are TPOTs and TTFTs.
func (t *tuning) run(e *cost.Engine, set *Set) ([]Row, error) {
	o := t.o.Run
	o.Run.Engine = e
	report, err := Run(t.ctx, []*Set{set}, o)
	switch {
	case err != nil:
		return nil, err
	case report.Partial:
		return nil, t.ctx.Err()
	}
	return only(report.Rows, func(r *Row) bool { return r.kind == "TPOT" || r.kind == "TTFT" }), nil
}

func (t *tuning) residuals(x, out []float64) error {
	rows, err := t.run(t.with(x), t.fitted)
	if err != nil {
		return err
	}
	clear(out)
	for i := range rows {
		if at, has := t.where[[2]string{rows[i].ID, rows[i].Metric}]; has {
			out[at] = math.Log(rows[i].Predicted / rows[i].Measured)
		}
	}
	return nil
}

func only(rows []Row, of func(*Row) bool) []Row {
	var out []Row
	for i := range rows {
		if of(&rows[i]) {
			out = append(out, rows[i])
		}
	}
	return out
}
