package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/traces"
)

// Run simulates a complete scenario. When the context ends first, the result so
// far is returned, marked partial.
func Run(ctx context.Context, s *scenario.Scenario, opt Options) (*result.Result, error) {
	r, err := prepare(s, opt)
	if err != nil {
		return nil, err
	}
	defer r.load.close()
	config, err := r.config(opt)
	if err != nil {
		return nil, err
	}
	cluster := route.NewCluster(config, r.recorder)
	partial, err := cluster.Run(ctx)
	if err != nil {
		return nil, r.load.explain(err)
	}
	return r.result(cluster, partial)
}

// Options are what a run needs beside its scenario. Those that change a result are the
// folders that its names are looked up in, what stands in the place of something that it
// names (Engine, Router), and an Observe that ends the run.
type Options struct {
	plant.Source
	// Router takes the place of the one that the scenario names; nil for that one.
	Router *policy.Policy

	// Bottleneck is what a plan knows to limit the deployment; nil where none was made.
	Bottleneck *result.Bottleneck

	// OnRequest is told of every request that completes, in the order in which they do.
	OnRequest func(*metrics.Completion)
	// Observe is shown the run every ObserveEvents events and every
	// ObserveInterval of simulated time (0: not by time); true ends the run as
	// partial.
	Observe         func(*metrics.Snapshot) (stop bool)
	ObserveEvents   int64
	ObserveInterval des.Time
	Stdin           io.Reader // for a trace named -
}

// run is a scenario with everything it names loaded and placed.
type run struct {
	scenario *scenario.Scenario
	plant    *plant.Plant
	pools    []pool
	load     *workload
	recorder *metrics.Recorder
	policy   *policy.Policy
	initial  []route.Initial
	limits   *result.Bottleneck
	warm     des.Time // before the measured window
}

// pool is a pool of the plant with what the engine needs of it.
type pool struct {
	*plant.Pool
	spec *serve.Spec
}

func prepare(s *scenario.Scenario, opt Options) (*run, error) {
	switch p := opt.Router; {
	case s == nil:
		return nil, errors.New("there is no scenario to run")
	case p != nil && (p.Name == "" || p.New == nil):
		return nil, errors.New("the router of the options needs a name and a New")
	}
	s = s.Clone()
	s.Defaults()
	if err := plant.Validate(s); err != nil {
		return nil, err
	}
	if err := complete(s); err != nil {
		return nil, err
	}
	built, err := plant.Build(s, opt.Source)
	if err != nil {
		return nil, err
	}
	built.Resolve(s, opt.Source)
	r := &run{scenario: s, plant: built, limits: opt.Bottleneck}
	if r.policy = opt.Router; r.policy != nil {
		s.Router = routerOf(r.policy, s.Router.Weight)
	} else if r.policy, err = policy.Find(s.Router.Policy); err != nil {
		return nil, err
	}
	if r.load, err = open(s, opt); err != nil {
		return nil, err
	}
	r.load.count()
	config := metrics.Config{Expect: r.load.measure, SLO: s.SLO}
	for i := range built.Pools {
		p := pool{&built.Pools[i], serve.NewSpec(i, built.Pools[i].Stepper, r.load.blockTokens)}
		r.pools = append(r.pools, p)
		config.Pools, config.Hardware = append(config.Pools, p.Name), append(config.Hardware, p.hardware())
	}
	for i := range built.Topology.Tiers {
		config.Links = append(config.Links, float64(built.Topology.Tiers[i].Usable()))
	}
	r.recorder = metrics.NewRecorder(config)
	if r.load.stationary != nil {
		r.initial = r.stationary()
	}
	return r, nil
}

// complete checks that nothing is left for a plan to decide.
func complete(s *scenario.Scenario) error {
	open := s.Incomplete()
	if len(open) == 0 {
		return nil
	}
	return fmt.Errorf("the scenario leaves open %s: plan.Complete (package sim/plan) decides these; run what it returns", strings.Join(open, ", "))
}

// routerOf is what a scenario says of a router that stands in the place of its own.
func routerOf(p *policy.Policy, weight *float64) scenario.Router {
	r := scenario.Router{Policy: p.Name}
	if p.Weighs {
		if r.Weight = weight; weight == nil {
			own := p.Weight
			r.Weight = &own
		}
	}
	return r
}

// weight is the router's; a policy without one has no use for it.
func (r *run) weight() float64 {
	if w := r.scenario.Router.Weight; w != nil {
		return *w
	}
	return 0
}

func (r *run) config(opt Options) (c route.Config, err error) {
	c = route.Config{
		Seed: r.scenario.Seed, Policy: r.policy, Weight: r.weight(),
		Source: r.load.source, Loop: r.load.loop, FrontEnd: des.FromSeconds(r.plant.Engine.Fitted.TTFTMs / 1e3),
		RejectTooLong: r.scenario.Trace == nil,
		Measure:       r.load.measure, MeasureUntil: r.load.until, Initial: r.initial,
		Observe: opt.Observe, ObserveEvents: opt.ObserveEvents, ObserveInterval: opt.ObserveInterval, OnRequest: opt.OnRequest,
	}
	most := r.scenario.Limits.Most()
	c.Spare, c.MostTime, c.MostEvents = spare, des.Time(most.Simulated), most.Events
	for i := range r.pools {
		c.Pools = append(c.Pools, route.Pool{Name: r.pools[i].Name, Spec: r.pools[i].spec, Instances: r.pools[i].Asked.Instances})
	}
	if r.load.endless {
		c.Cut = cutShare
	}
	if w := r.scenario.Workload; w != nil {
		c.Whole = w.Window == "all"
		if w.Window == "steady" && w.Concurrency > 0 {
			c.Lives, c.Cut = lives, cutShare
		}
	}
	c.Drafting, c.Warmup = r.drafting(), r.warm
	if len(r.pools) == 2 {
		c.Handover, err = r.handover()
	}
	return c, err
}

const (
	// lives is how many mean lives of a request (E2E and think time) a closed loop is
	// measured for at least: what it has too many or too few at the edges of its window
	// is a tenth of that of one life.
	lives = 10
	// spare requests may queue beyond twice those that do when the last measured one
	// arrives: room for what a stable queue does by chance.
	spare = 1000
)

// cutShare of a generated workload's measured requests may still be decoding when
// the run ends: the longest answers of a long-tailed distribution would otherwise
// keep it going for several times as long as all others take. As many of a closed loop's
// clients may still wait for their first answer when its window opens.
const cutShare = 0.005

// warmup is how long a prefill pool that starts empty is given to fill: three times
// the TTFT that is promised to a mean prompt where nothing is said. What is promised
// instead judges a run and does not change it.
func (r *run) warmup() des.Time {
	usual := slo.Default().TTFT
	return 3 * des.Time(float64(usual.Limit)*usual.Factor(r.load.stationary.MeanInput()))
}

// result is the report of a run that has ended.
func (r *run) result(c *route.Cluster, partial bool) (*result.Result, error) {
	out := &result.Result{
		Version: result.Version, Clustersim: result.Program(), Partial: partial, Reason: c.Reason(), Scenario: r.scenario, Seed: r.scenario.Seed,
		Inputs: append(append([]scenario.Input(nil), r.plant.Digests...), r.load.digest()),
	}
	text, err := r.scenario.Marshal()
	if err != nil {
		return nil, err
	}
	for _, in := range out.Inputs {
		text = append(text, in.SHA256...)
	}
	out.RunID = uuid.NewSHA1(uuid.NameSpaceURL, text).String()
	out.Warnings = dedupe(append(append([]string(nil), r.plant.Warnings...), r.load.warnings...))
	s := &summary{
		Now: c.Now(), SLO: r.scenario.SLO, InFlight: c.InFlight(), Unfinished: c.Unfinished(),
		KVBytesPerToken: r.plant.Model.Count(1 << 20).KVBytesPerToken,
	}
	for i := range r.pools {
		s.Pools = append(s.Pools, r.pools[i].deployed())
	}
	for _, t := range r.plant.Topology.Tiers {
		s.Tiers = append(s.Tiers, t.Name)
	}
	out.Deployment, out.Workload, out.Substituted = r.deployment(), r.load.summary(), r.plant.Substituted
	if most := r.plant.Model.MaxContext; c.Longest() > most {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the longest request has %d tokens, %s was made for %d at most", c.Longest(), r.plant.Model.Name, most))
	}
	for _, text := range []string{r.freeHandover(), r.shortCache()} {
		if text != "" {
			out.Warnings = append(out.Warnings, text)
		}
	}
	if err := summarise(r.recorder, s, out); err != nil {
		return nil, err
	}
	r.window(c, out)
	out.Bottleneck = r.limits.Of(out)
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	return out, nil
}

// windowOf are the engine's windows as results name them.
var windowOf = [...]result.WindowOf{route.Arrivals: result.WindowArrivals, route.Steady: result.WindowSteady, route.All: result.WindowAll}

// window says what the rates are of, and whether what arrived was served.
func (r *run) window(c *route.Cluster, out *result.Result) {
	start, end := r.recorder.WindowTime(c.Now())
	q := c.Queue()
	out.Window = result.Window{StartS: start.Seconds(), EndS: end.Seconds(), Of: windowOf[c.Window()], Sustained: !q.Grows()}
	if q.Arrived > 0 {
		out.Window.QueueGrowth = float64(q.After-q.Before) / float64(q.Arrived)
	}
	if w := r.scenario.Workload; !out.Window.Sustained && w != nil && !w.AllAtOnce() {
		out.Warnings = append(out.Warnings, fmt.Sprintf("more arrives than is served: %.0f %% of the requests that arrived joined a queue that was there at the last arrival; "+
			"latencies grow with the length of the run", 100*out.Window.QueueGrowth))
	}
}

func dedupe(lines []string) []string {
	seen := map[string]bool{}
	out := lines[:0]
	for _, l := range lines {
		if !seen[l] {
			seen[l] = true
			out = append(out, l)
		}
	}
	return out
}

// workload is what a scenario offers to the cluster.
type workload struct {
	source      traces.Source
	loop        *traces.ClosedLoop
	measure     int64
	until       des.Time
	blockTokens int
	stationary  *traces.Workload      // to draw requests in flight at the start, nil for an empty start
	digest      func() scenario.Input // of what has been taken
	endless     bool                  // arrivals go on after the measured ones
	warnings    []string
	name        string
	offered     result.Workload
	taken       *counted
}

func (w *workload) close() {
	if w.source != nil {
		w.source.Close()
	}
}

// explain says which workload an error of the run is about.
func (w *workload) explain(err error) error { return fmt.Errorf("%s: %w", w.name, err) }
