package route_test

import (
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/topologies"
	"github.com/clustersim/clustersim/traces"
)

// rig is a model on a topology in two layouts, the first for pools that prefill.
type rig struct {
	model, topology string
	prefill, decode cost.Layout
	overlap         cost.Overlap
	drafts          int // the most that the model has
}

// rigs are small next to a supernode: what matters is that every kind of term and
// layout is among them.
var rigs = []rig{
	{model: "testdata/tiny-csa.yaml", topology: "hgx-h100", prefill: cost.Layout{}, decode: cost.Layout{}, drafts: 2},
	{model: "testdata/tiny-csa.yaml", topology: "supernode8912", prefill: cost.Layout{DP: 2, EP: 2}, decode: cost.Layout{DP: 4, EP: 4}, drafts: 2},
	{model: "testdata/tiny-dsa.yaml", topology: "hgx-h200", prefill: cost.Layout{TP: 2, EP: 2}, decode: cost.Layout{DP: 2, TP: 2, EP: 4}, drafts: 1},
	{model: "testdata/tiny-dsa.yaml", topology: "cloudmatrix384", prefill: cost.Layout{DP: 2, EP: 2}, decode: cost.Layout{DP: 3, EP: 3, Redundant: 2}, drafts: 1},
	{model: "testdata/tiny-window.yaml", topology: "hgx-h100", prefill: cost.Layout{DP: 2, CP: 2}, decode: cost.Layout{DP: 3}},
	{model: "testdata/tiny-window.yaml", topology: "hgx-a100", prefill: cost.Layout{PP: 2}, decode: cost.Layout{TP: 2, PP: 2, DP: 2}},
	{model: "llama-3.1-8b", topology: "hgx-h100", prefill: cost.Layout{TP: 2}, decode: cost.Layout{TP: 2, DP: 2}},
	{model: "gpt-oss-120b", topology: "hgx-b200", prefill: cost.Layout{TP: 4, EP: 4}, decode: cost.Layout{DP: 4, EP: 4}},
	{model: "deepseek-v3.2", topology: "gb200-nvl72", prefill: cost.Layout{DP: 8, EP: 8}, decode: cost.Layout{DP: 16, EP: 16}},
	{model: "v4-flash", topology: "supernode8912", prefill: cost.Layout{DP: 2, CP: 4, EP: 8}, decode: cost.Layout{DP: 8, EP: 8}, drafts: 2},
}

// steppers are made once for each use: engine and twin have their own, so that
// what a stepper remembers cannot hide a difference.
var steppers sync.Map

type stepperKey struct {
	rig, drafts int
	role        cost.Role
	twin        bool
}

func (g *rig) stepper(role cost.Role, drafts int) (*cost.Stepper, error) {
	m, err := models.Load(g.model)
	if err != nil {
		return nil, err
	}
	topology, err := topologies.Load(g.topology)
	if err != nil {
		return nil, err
	}
	if m, _, err = cost.Substitute(m, topology.Chip); err != nil {
		return nil, err
	}
	layout := g.decode
	if role == cost.Prefill {
		layout, drafts = g.prefill, 0
	}
	layout.Overlap = g.overlap
	return cost.New(cost.Config{
		Model: m, Topology: topology, Layout: layout, Role: role,
		Drafts: drafts, Accepted: acceptedLength(drafts),
	})
}

func acceptedLength(drafts int) float64 { return 1 + 0.7*float64(drafts) }

type fataler interface {
	Fatalf(format string, args ...any)
}

func cached(t fataler, index int, role cost.Role, drafts int, forTwin bool) *cost.Stepper {
	key := stepperKey{index, drafts, role, forTwin}
	if s, ok := steppers.Load(key); ok {
		return s.(*cost.Stepper)
	}
	s, err := rigs[index].stepper(role, drafts)
	if err != nil {
		t.Fatalf("rig %d: %v", index, err)
	}
	steppers.Store(key, s)
	return s
}

// fixedSource is a list of requests as a source.
type fixedSource struct {
	requests []traces.Request
	block    int
	at       int
}

func (s *fixedSource) Next() (traces.Request, error) {
	if s.at == len(s.requests) {
		return traces.Request{}, io.EOF
	}
	s.at++
	return s.requests[s.at-1], nil
}

func (s *fixedSource) BlockTokens() int { return s.block }
func (s *fixedSource) Close() error     { return nil }

func router(t fataler, name string) *policy.Policy {
	p, err := policy.Find(name)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

func recorder(cfg *route.Config) *metrics.Recorder {
	var names []string
	for _, p := range cfg.Pools {
		names = append(names, p.Name)
	}
	return metrics.NewRecorder(metrics.Config{Pools: names, SLO: slo.Limits{TTFT: slo.TTFT{Limit: 2e9, Per: 1024}, TPOT: 5e7, ITL: 2e7}})
}

// simulate runs a config on the engine and gives the requests in the order in
// which they completed.
func simulate(t testing.TB, cfg route.Config) ([]metrics.Completion, metrics.Summary) {
	t.Helper()
	var out []metrics.Completion
	cfg.OnRequest = func(c *metrics.Completion) { out = append(out, *c) }
	rec := recorder(&cfg)
	c := route.NewCluster(cfg, rec)
	if partial, err := c.Run(t.Context()); err != nil || partial {
		t.Fatalf("run: partial %v, error %v", partial, err)
	}
	return out, rec.Summary(c.Now())
}

// aggregated is a pool of serving instances of a rig; tune changes its spec.
func aggregated(t fataler, index, instances int, tune func(*serve.Spec)) route.Config {
	s := serve.NewSpec(0, cached(t, index, cost.Mixed, 0, false), 0)
	if tune != nil {
		tune(s)
	}
	return route.Config{Seed: 1, Policy: router(t, ""), Pools: []route.Pool{{Name: "serve", Spec: s, Instances: instances}}}
}

// disaggregated is a prefill and a decode pool of a rig.
func disaggregated(t fataler, index, prefill, decode int) route.Config {
	p := serve.NewSpec(0, cached(t, index, cost.Prefill, 0, false), 0)
	d := serve.NewSpec(1, cached(t, index, cost.Decode, 0, false), 0)
	return route.Config{
		Seed: 1, Policy: router(t, ""), Handover: route.Handover{Latency: 5000, Rate: 50e9, Egress: 50e9, Ingress: 50e9},
		Pools: []route.Pool{{Name: "prefill", Spec: p, Instances: prefill}, {Name: "decode", Spec: d, Instances: decode}},
	}
}

// evenly are n requests of one length, gap apart.
func evenly(n int, gap des.Time, input, output int32) []traces.Request {
	out := make([]traces.Request, n)
	for i := range out {
		out[i] = traces.Request{Arrival: des.Time(i) * gap, InputTokens: input, OutputTokens: output}
	}
	return out
}

func describe(c *metrics.Completion) string {
	return fmt.Sprintf("#%d arrival %d first %d finish %d queue %d prefill %d transfer %d decode %d preempted %d (%d times) cached %d on %d, %d",
		c.Number, c.Arrival, c.FirstToken, c.Finish, c.Queue, c.Prefill, c.KVTransfer, c.Decode, c.Preempted, c.Preemptions,
		c.CachedTokens, c.PrefillInstance, c.DecodeInstance)
}
