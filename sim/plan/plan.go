package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/sim/spec"
)

// Options steer the search. LayoutOnly and FindCapacity say how far it goes; the others do
// not change its outcome.
type Options struct {
	Workers int // goroutines; 0 is GOMAXPROCS
	// Progress is told what is being tried, for a person to read; nil for nobody.
	Progress func(text string)
	// LayoutOnly leaves the rate and the number of requests as they are. The layout is then
	// the best by estimate, unless Probe says to measure the first few.
	LayoutOnly, Probe bool
	// FindCapacity probes until capacity is known to 2 %.
	FindCapacity bool
}

func (o *Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// Plan is how a scenario was completed.
type Plan struct {
	Candidates []Candidate `json:"candidates"` // best first
	Warnings   []string    `json:"warnings,omitempty"`
	// Gave says what was chosen beside the layout, and by how much it and the other
	// choices change the estimated capacity.
	Gave []string `json:"gave,omitempty"`
	// Options are those to run with: standard input is as it was before the plan
	// looked at the trace's head.
	Options sim.Options `json:"-"`
	// CapacityRequestsPerS is the rate that the deployment is thought to sustain
	// within the SLO: the estimate, or what probe runs corrected it to.
	CapacityRequestsPerS float64 `json:"-"`
	// Capacity is what probes found, nil when none was needed.
	Capacity *result.Capacity `json:"-"`
	Tiers    []string         `json:"-"` // of the topology, innermost first
	// MeanContext is that of a sequence found decoding, in tokens, and KVBytes what
	// one of that length holds in all layers.
	MeanContext, KVBytes float64 `json:"-"`

	promised slo.Limits // what capacity is judged by
	demand   demand
	chosen   deployed
	probed   string // what probes found, in words
}

// Candidate is one deployment and what it is thought to do at its capacity.
type Candidate struct {
	Layout   scenario.Deployment `json:"layout"`
	Text     string              `json:"text"`
	Fits     bool                `json:"fits"`
	WhyNot   string              `json:"why_not"`
	MeetsSLO bool                `json:"meets_slo"`
	// CapacityRequestsPerS is what probe runs sustain where Probed is, and else the estimate.
	CapacityRequestsPerS    float64 `json:"capacity_requests_per_s"`
	EstimateRequestsPerS    float64 `json:"estimate_requests_per_s"`
	Probed                  bool    `json:"probed"`
	OutputTokensPerSPerChip float64 `json:"output_tokens_per_s_per_chip"`
	TTFTMs                  float64 `json:"ttft_ms"`
	TPOTMs                  float64 `json:"tpot_ms"`
	AloneTTFTMs             float64 `json:"alone_ttft_ms"` // of a request that finds the deployment empty
	AloneTPOTMs             float64 `json:"alone_tpot_ms"`
	Bound                   string  `json:"bound"`
	KV                      Caches  `json:"kv,omitzero"`
}

// Caches are what the caches of a deployment's pools hold, by the pool's name.
type Caches struct {
	Pools map[string]*result.KVPool `json:"pools,omitempty"`
}

// ErrNoLayout says that no layout of a model fits a topology.
var ErrNoLayout = errors.New("no layout fits")

// Complete turns a scenario into one that sim.Run takes: layouts, pool sizes, rate
// and number of requests that it leaves open are decided. What it fixes stays.
func Complete(ctx context.Context, s *scenario.Scenario, opt sim.Options, o Options) (*scenario.Scenario, *Plan, error) {
	p, out, in, err := begin(s, opt)
	if err != nil {
		return nil, nil, err
	}
	if o.LayoutOnly || o.FindCapacity || len(s.Incomplete()) > 0 {
		p.sayJudging(out.SLO)
	}
	if err := p.deploy(ctx, out, in, &s.Deployment, &o); err != nil {
		return nil, nil, err
	}
	if o.LayoutOnly {
		return out, p, nil
	}
	p.offer(out)
	out.Deployment.Chosen = append(out.Deployment.Chosen, decided(s, out, in)...)
	return out, p, plant.Resolve(out, opt.Source)
}

// decided are the paths that asked leaves open and the plan has given values.
func decided(asked, out *scenario.Scenario, in *plant.Inputs) []string {
	var paths []string
	add := func(is bool, path string) {
		if is {
			paths = append(paths, path)
		}
	}
	for _, x := range []struct {
		path    string
		was, is *scenario.Pool
		role    cost.Role
	}{
		{"deployment.prefill", asked.Deployment.Prefill, out.Deployment.Prefill, cost.Prefill},
		{"deployment.decode", asked.Deployment.Decode, out.Deployment.Decode, cost.Decode},
		{"deployment.serve", asked.Deployment.Serve, out.Deployment.Serve, cost.Mixed},
	} {
		if x.is == nil {
			continue
		}
		was := x.was
		if was == nil {
			was = &scenario.Pool{}
		}
		add(!fixed(was), x.path+".layout")
		add(was.Instances == 0, x.path+".instances")
		add(was.MaxTokens == 0 && x.is.MaxTokens != in.Engine.MaxTokens.Of(x.role), x.path+".max_tokens")
	}
	was, is := &asked.Deployment, &out.Deployment
	add(is.MTP.Drafts != was.MTP.Drafts, "deployment.mtp.drafts")
	add(is.Overlap != was.Overlap, "deployment.overlap")
	if w := out.Workload; w != nil {
		was := asked.Workload
		if was == nil {
			was = &scenario.Workload{}
		}
		add(w.Rate > 0 && was.Rate == 0, "workload.rate")
		add(w.Requests > 0 && was.Requests == 0, "workload.requests")
	}
	return paths
}

// begin checks a scenario, fills in its defaults, loads what it names and looks at
// its workload.
func begin(s *scenario.Scenario, opt sim.Options) (*Plan, *scenario.Scenario, *plant.Inputs, error) {
	if err := plant.Validate(s); err != nil {
		return nil, nil, nil, err
	}
	out := s.Clone()
	if err := plant.TakeArrivals(out); err != nil {
		return nil, nil, nil, err
	}
	out.Defaults()
	in, err := plant.Load(out, opt.Source)
	if err != nil {
		return nil, nil, nil, err
	}
	p := &Plan{Options: opt, promised: judging(out.SLO)}
	h, err := takeSample(out, &p.Options)
	if err != nil {
		return nil, nil, nil, err
	}
	p.demand = newDemand(h.sample, in.Model.Breaks)
	p.demand.rate = h.rate
	if l := h.longest; l.in+l.out > p.demand.longest.in+p.demand.longest.out {
		p.demand.longest = l
	}
	if out.Trace == nil {
		p.demand.longest = p.demand.longest.within(max(in.Model.MaxContext, p.demand.total999))
	}
	p.MeanContext = p.demand.context[0]
	p.KVBytes = float64(in.Model.KVBytes(int64(p.MeanContext)) + in.Model.KVStateBytes())
	for _, t := range in.Topology.Tiers {
		p.Tiers = append(p.Tiers, t.Name)
	}
	return p, out, in, nil
}

// pricer prices pool layouts for the plan's demand.
func (p *Plan) pricer(s *scenario.Scenario, in *plant.Inputs) *pricer {
	return &pricer{
		demand: p.demand, topology: in.Topology, packs: newPacks(p.demand.sample, in.Model.Breaks),
		slo:     p.promised,
		stepper: func(pool *scenario.Pool, role cost.Role) (*cost.Stepper, error) { return in.Stepper(s, pool, role) },
		keepsBudget: in.Engine.WholePrompts || slices.ContainsFunc(s.Patches, func(p spec.Patch) bool {
			return spec.Covers("engine.max_tokens", p.Path) || spec.Covers(p.Path, "engine.max_tokens")
		}),
	}
}

// lookedAt is of how many deployments, best first, a list says what more of each resource
// would be worth.
const lookedAt = 12

// query is the search for what is wanted of a deployment.
func (p *Plan) query(s *scenario.Scenario, in *plant.Inputs, want *scenario.Deployment) (*query, error) {
	libraries, err := in.Topology.DefaultLibraries()
	if err != nil {
		return nil, err
	}
	return &query{
		pricer: p.pricer(s, in), want: want, inputs: in, scenario: s, libraries: libraries,
		besides: besides{s.Deployment.MTP, s.Deployment.Overlap},
	}, nil
}

// deploy decides the deployment, or prices the one that is given.
func (p *Plan) deploy(ctx context.Context, s *scenario.Scenario, in *plant.Inputs, want *scenario.Deployment, o *Options) error {
	q, err := p.query(s, in, want)
	if err != nil {
		return err
	}
	workers := cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	all, rejected, err := q.run(ctx, workers)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return q.nothing(rejected)
	}
	if !q.complete() {
		if all, p.Gave, err = q.variants(ctx, all, workers); err != nil {
			return err
		}
		rank(all)
	}
	all = distinct(all)
	p.chosen, p.CapacityRequestsPerS = all[0], all[0].capacity
	if !o.LayoutOnly || o.Probe {
		probe, to, err := p.probes(s, o)
		if err != nil {
			return err
		}
		if probe != nil {
			if err := rankByProbes(ctx, s, all, probe, to, o, workers); err != nil {
				return err
			}
			p.found(all, to)
		}
	}
	looked := 1
	if o.LayoutOnly {
		looked = min(len(all), lookedAt)
	}
	for i := range all[:looked] {
		all[i].bottleneck = q.bottleneck(&all[i])
	}
	next, other := rivals(all)
	for _, d := range []*deployed{next, other} { // the reasons speak of them
		if d != nil && d.bottleneck == nil {
			d.bottleneck = q.bottleneck(d)
		}
	}
	p.chosen, p.Options.Bottleneck = all[0], all[0].bottleneck
	p.list(all, rejected)
	p.chosen.apply(s)
	if !q.complete() {
		s.Deployment.Why = q.why(all, rejected, p.Gave)
	}
	if p.chosen.over > 1 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the layout is estimated to miss the SLO, %s, even when empty: a request alone has TTFT %.0f ms and TPOT %.1f ms",
			p.promised, 1e3*p.chosen.alone.ttft, 1e3*p.chosen.alone.tpot))
	}
	return nil
}

// apply puts a deployment into a scenario.
func (d *deployed) apply(s *scenario.Scenario) {
	l := d.layout()
	s.Deployment.Mode, s.Deployment.Prefill, s.Deployment.Decode, s.Deployment.Serve = l.Mode, l.Prefill, l.Decode, l.Serve
	s.Deployment.MTP, s.Deployment.Overlap = d.mtp, d.overlap
	s.Deployment.MTP.Off = d.mtp.Drafts == 0
}

// judging is what capacity is judged by. Without a limit that a growing queue breaks,
// every rate would be within the SLO: the usual TTFT then gives capacity a meaning.
func judging(promised slo.Limits) slo.Limits {
	if !promised.BoundsWait() {
		promised.TTFT = slo.Default().TTFT
	}
	return promised
}

// sayJudging warns where capacity is judged by more than the SLO.
func (p *Plan) sayJudging(promised slo.Limits) {
	if p.promised != promised {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the SLO limits neither ttft nor e2e, so that queues could grow without breaking it: capacity is judged by %s", p.promised))
	}
}
