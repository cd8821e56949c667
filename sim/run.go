package sim

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/traces"
)

// Run simulates a complete scenario. When the context ends first, the result so
// far is returned, marked partial.
func Run(ctx context.Context, s *Scenario, opt Options) (*Result, error) {
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

// run is a scenario with everything it names loaded and placed.
type run struct {
	scenario *Scenario
	inputs   *Inputs
	pools    []poolRun
	load     *workload
	recorder *metrics.Recorder
	policy   route.Policy
	initial  []route.Initial
	warnings []string
}

// poolRun is one pool's description, cost model and place.
type poolRun struct {
	name    string
	pool    *Pool
	stepper *cost.Stepper
	spec    *serve.Spec
	place   placement
}

func prepare(s *Scenario, opt Options) (*run, error) {
	s = s.Clone()
	s.Defaults()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := s.complete(); err != nil {
		return nil, err
	}
	in, err := s.Load(opt)
	if err != nil {
		return nil, err
	}
	r := &run{scenario: s, inputs: in, warnings: append([]string(nil), in.Warnings...)}
	if r.policy, err = route.FindPolicy(s.Router.Policy); err != nil {
		return nil, err
	}
	if r.load, err = s.open(opt); err != nil {
		return nil, err
	}
	if err := r.deploy(); err != nil {
		r.load.close()
		return nil, err
	}
	names, chips := make([]string, len(r.pools)), make([]int, len(r.pools))
	for i := range r.pools {
		names[i], chips[i] = r.pools[i].name, r.pools[i].stepper.Chips()
	}
	links := make([]float64, len(r.inputs.Topology.Tiers))
	for i, t := range r.inputs.Topology.Tiers {
		links[i] = float64(t.Bandwidth)
	}
	r.recorder = metrics.NewRecorder(metrics.Config{
		Pools: names, Expect: r.load.measure, Chips: chips, Links: links,
		SLO: metrics.SLO{TTFT: des.Time(s.SLO.TTFT), TPOT: des.Time(s.SLO.TPOT)},
	})
	if r.load.stationary != nil {
		r.initial = r.stationary()
	}
	return r, nil
}

// complete checks that nothing is left for a plan to decide.
func (s *Scenario) complete() error {
	d := &s.Deployment
	switch {
	case d.Mode == "aggregated" && d.Serve == nil, d.Mode == "disaggregated" && (d.Prefill == nil || d.Decode == nil), d.Mode == "auto":
		return fmt.Errorf("deployment: the layout is not complete; a plan has to choose it first")
	case s.Workload != nil && s.Workload.Concurrency == 0 && s.Workload.Rate == 0:
		return fmt.Errorf("workload.rate: must be above 0 requests a second, got 0")
	case s.Workload != nil && s.Workload.Requests == 0 && s.Workload.Duration == 0:
		return fmt.Errorf("workload.requests: must be at least 1, got 0 (or give workload.duration)")
	}
	return nil
}

// deploy builds the pools' cost models and gives them their chips.
func (r *run) deploy() error {
	d := &r.scenario.Deployment
	type want struct {
		name string
		pool *Pool
		role cost.Role
	}
	wants := []want{{"serve", d.Serve, cost.Mixed}}
	if d.Serve == nil {
		wants = []want{{"prefill", d.Prefill, cost.Prefill}, {"decode", d.Decode, cost.Decode}}
	}
	next := 0
	for i, w := range wants {
		if w.pool.Instances < 1 {
			return fmt.Errorf("deployment.%s.instances: must be at least 1, got %d", w.name, w.pool.Instances)
		}
		stepper, err := r.inputs.Stepper(r.scenario, w.pool, w.role)
		if err != nil {
			return fmt.Errorf("deployment.%s: %w", w.name, err)
		}
		r.warnings = append(r.warnings, stepper.Assumptions()...)
		if c := stepper.Config(); c.Chip != r.inputs.Topology.Chip {
			r.inputs.Digests = append(r.inputs.Digests, digest("chip", c.Chip.Name, c.Chip))
		}
		if c := stepper.Config(); i == 0 && c.Layout.Routing.Kind == cost.Histogram {
			r.inputs.Digests = append(r.inputs.Digests, digest("routing", r.scenario.Deployment.Routing, c.Layout.Routing))
		}
		p := poolRun{name: w.name, pool: w.pool, stepper: stepper, spec: serve.NewSpec(i, stepper, r.load.blockTokens)}
		p.place = place(r.inputs.Topology, next, stepper.Chips(), w.pool.Instances)
		if next = p.place.end; next > r.inputs.Topology.Chips {
			return fmt.Errorf("deployment.%s: %d instances of %d chips need chips up to number %d, but %s has %d",
				w.name, w.pool.Instances, stepper.Chips(), next, r.inputs.Topology.Name, r.inputs.Topology.Chips)
		}
		r.pools = append(r.pools, p)
	}
	return nil
}

func (r *run) config(opt Options) (c route.Config, err error) {
	c = route.Config{
		Seed: r.scenario.Seed, Policy: r.policy,
		Source: r.load.source, Loop: r.load.loop, FrontEnd: des.FromSeconds(r.inputs.Engine.Fitted.TTFTMs / 1e3),
		RejectTooLong: r.scenario.Trace == nil,
		Measure:       r.load.measure, MeasureUntil: r.load.until, Initial: r.initial,
		Observe: opt.Observe, ObserveEvents: opt.ObserveEvents, ObserveInterval: opt.ObserveInterval, OnRequest: opt.OnRequest,
	}
	for i := range r.pools {
		c.Pools = append(c.Pools, route.Pool{Name: r.pools[i].name, Spec: r.pools[i].spec, Instances: r.pools[i].pool.Instances})
	}
	if r.load.endless {
		c.Cut = cutShare
	}
	decode := &r.pools[len(r.pools)-1]
	if sc := decode.stepper.Config(); sc.Drafts > 0 {
		c.Drafting = serve.NewDrafting(sc.Drafts, sc.Accepted)
	}
	if len(r.pools) == 2 {
		c.Handover, err = r.handover()
		if r.load.stationary != nil {
			c.Warmup = r.warmup()
		}
	}
	return c, err
}

// cutShare of a generated workload's measured requests may still be decoding when
// the run ends: the longest answers of a long-tailed distribution would otherwise
// keep it going for several times as long as all others take.
const cutShare = 0.005

// warmup is how long a prefill pool that starts empty is given to fill: three times
// the TTFT promised to a mean prompt.
func (r *run) warmup() des.Time {
	ttft := float64(r.scenario.SLO.TTFT) * max(1, r.load.stationary.MeanInput()/metrics.LongPrompt)
	return 3 * des.Time(ttft)
}

// result is the report of a run that has ended.
func (r *run) result(c *route.Cluster, partial bool) (*Result, error) {
	out := &Result{
		Version: ResultVersion, Partial: partial, Scenario: r.scenario, Seed: r.scenario.Seed,
		Inputs: append(append([]Input(nil), r.inputs.Digests...), r.load.digest()),
	}
	text, err := r.scenario.Marshal()
	if err != nil {
		return nil, err
	}
	for _, in := range out.Inputs {
		text = append(text, in.SHA256...)
	}
	out.RunID = uuid.NewSHA1(uuid.NameSpaceURL, text).String()
	out.Warnings = dedupe(append(r.warnings, r.load.warnings...))
	s := &summary{
		Now: c.Now(), SLO: r.scenario.SLO, InFlight: c.InFlight(), Unfinished: c.Unfinished(),
		KVBytesPerToken: r.inputs.Model.Count(1 << 20).KVBytesPerToken,
	}
	for i := range r.pools {
		s.Pools = append(s.Pools, r.pools[i].deployed())
	}
	for _, t := range r.inputs.Topology.Tiers {
		s.Tiers = append(s.Tiers, tierLinks{Name: t.Name, Bandwidth: float64(t.Bandwidth)})
	}
	out.Deployment = r.deployment()
	if most := r.inputs.Model.MaxContext; c.Longest() > most {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the longest request has %d tokens, %s was made for %d at most", c.Longest(), r.inputs.Model.Name, most))
	}
	out.WarmupS = c.Warmup().Seconds()
	if err := summarise(r.recorder, s, out); err != nil {
		return nil, err
	}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	return out, nil
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
	stationary  *traces.Workload // to draw requests in flight at the start, nil for an empty start
	digest      func() Input     // of what has been taken
	endless     bool             // arrivals go on after the measured ones
	warnings    []string
	name        string
}

func (w *workload) close() {
	if w.source != nil {
		w.source.Close()
	}
}

// explain says which workload an error of the run is about.
func (w *workload) explain(err error) error { return fmt.Errorf("%s: %w", w.name, err) }
