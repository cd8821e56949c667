package route_test

import (
	"context"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/traces"
)

// TestEngineEqualsTwin holds the engine to the naive twin over random scenarios:
// every timestamp and span of every request, the ledger, the counters, the gaps.
func TestEngineEqualsTwin(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) { compare(r, drawScenario(r, k)) })
		})
	}
}

// The same over scenarios that are drawn once and for all, and reach every
// situation that the twin tells apart.
func TestEngineEqualsTwinEverywhere(t *testing.T) {
	var total coverage
	for _, k := range kinds {
		scenarios := rapid.Custom(func(r *rapid.T) scenario { return drawScenario(r, k) })
		for seed := range 200 {
			seen := compare(t, scenarios.Example(seed))
			total.plus(&seen)
		}
	}
	for k, n := range total {
		t.Logf("%6d times %s", n, situations[k])
		if n == 0 {
			t.Errorf("no scenario reached %q", situations[k])
		}
	}
}

func (c *coverage) plus(o *coverage) {
	for k, n := range o {
		c[k] += n
	}
}

// kind is a family of scenarios. Squeezed ones have little cache and long answers,
// which is what makes requests wait, give way and come back. Sharing ones have many
// prompts with heads in common, and routers that go by what is cached and by sessions.
type kind struct{ disaggregated, squeezed, sharing bool }

var kinds = []kind{
	{}, {disaggregated: true}, {squeezed: true}, {disaggregated: true, squeezed: true}, {sharing: true}, {disaggregated: true, sharing: true},
}

func (k kind) String() string {
	name := "aggregated"
	if k.disaggregated {
		name = "disaggregated"
	}
	if k.squeezed {
		name += ", squeezed"
	}
	if k.sharing {
		name += ", sharing"
	}
	return name
}

// scenario is a drawn run; build makes the config of one of the two implementations,
// each with steppers and sources of its own.
type scenario struct {
	build func(forTwin bool) route.Config
}

func drawScenario(r *rapid.T, k kind) scenario {
	index := rapid.IntRange(0, len(rigs)-1).Draw(r, "rig")
	drafts := rapid.IntRange(0, rigs[index].drafts).Draw(r, "drafts")
	longest := rapid.SampledFrom([]int{40, 6, 300, 1}).Draw(r, "longest")
	block := rapid.SampledFrom([]int{4, 0, 16, 1}).Draw(r, "block")
	policies := twinPolicies
	if k.sharing {
		longest, block = max(longest, 40), max(block, 1)
		policies = []string{"prefix-aware", "session-sticky"}
	}
	requests := drawRequests(r, longest, block, k)
	if len(requests) == 0 {
		block = 0
	}
	loop := drawLoop(r, longest)
	shapes := []shape{drawShape(r, "first", k)}
	roles := []cost.Role{cost.Mixed}
	if k.disaggregated {
		roles = []cost.Role{cost.Prefill, cost.Decode}
		shapes = append(shapes, drawShape(r, "second", k))
	}
	cfg := route.Config{
		Seed:     rapid.Uint64Range(1, 1000).Draw(r, "seed"),
		Policy:   router(r, rapid.SampledFrom(policies).Draw(r, "policy")),
		Weight:   rapid.SampledFrom([]float64{1, 0, 0.3, 4, 1e6}).Draw(r, "weight"),
		FrontEnd: rapid.SampledFrom([]des.Time{0, 3_000_000}).Draw(r, "front end"),
		Initial:  drawInitial(r, longest),
	}
	switch rapid.IntRange(0, 3).Draw(r, "measure") {
	case 1:
		cfg.Measure = int64(rapid.IntRange(1, 20).Draw(r, "measured"))
	case 2:
		cfg.MeasureUntil = des.Time(rapid.IntRange(1, 200_000_000).Draw(r, "until"))
	}
	cfg.Cut = rapid.SampledFrom([]float64{0, 0.2, 1}).Draw(r, "cut")
	if loop != nil {
		cfg.MeasureUntil = 0
		cfg.Measure = min(cfg.Measure, loop.Requests)
	}
	cfg.Whole = rapid.IntRange(0, 3).Draw(r, "whole") == 0
	cfg.Spare = rapid.SampledFrom([]int64{0, 2, 1000}).Draw(r, "spare")
	if loop != nil {
		cfg.Lives = rapid.SampledFrom([]float64{0, 0.5, 3}).Draw(r, "lives")
	}
	if cfg.Lives == 0 && rapid.Bool().Draw(r, "warm-up") {
		cfg.Warmup = des.Time(rapid.IntRange(1, 50_000_000).Draw(r, "warm-up ns"))
	}
	slow := rapid.SampledFrom([]float64{1e-6, 1e-3, 0.1}).Draw(r, "transfer s")
	share := rapid.SampledFrom([]float64{0.5, 1, 3}).Draw(r, "ports")
	latency := rapid.SampledFrom([]des.Time{0, 5_000, 10_000_000}).Draw(r, "latency")
	return scenario{build: func(forTwin bool) route.Config {
		c := cfg
		for i, role := range roles {
			s := serve.NewSpec(i, cached(r, index, role, drafts, forTwin), block)
			shapes[i].apply(s, 2*longest)
			c.Pools = append(c.Pools, route.Pool{Name: []string{"prefill", "decode"}[i], Spec: s, Instances: shapes[i].instances})
		}
		if drafts > 0 {
			c.Drafting = serve.NewDrafting(drafts, acceptedLength(drafts))
		}
		c.Handover.Latency = latency
		c.Handover.Rate = float64(c.Pools[0].Spec.Memory.TransferBytes(int64(longest))) / slow
		c.Handover.Egress, c.Handover.Ingress = share*c.Handover.Rate, c.Handover.Rate
		if loop != nil {
			l := *loop
			c.Loop = &l
		} else {
			c.Source = &fixedSource{requests: requests, block: block}
		}
		return c
	}}
}

// shape is how small a pool's limits are.
type shape struct {
	instances               int
	tokens, sequences, poll int64
	room                    float64 // KV cache in longest requests; 0 for the chip's own
	watermark               int64   // of the room, 1/watermark; 0 for none
	prefillFirst            bool
	whole                   bool
	wait                    cost.BatchWait
	balance                 cost.Balance
}

func drawShape(r *rapid.T, name string, k kind) shape {
	x := shape{
		instances: rapid.IntRange(1, 4).Draw(r, name+" instances"),
		tokens:    rapid.SampledFrom([]int64{16, 64, 7, 512, 2, 8192, 1}).Draw(r, name+" tokens"),
		sequences: rapid.SampledFrom([]int64{64, 8, 3, 2, 1}).Draw(r, name+" sequences"),
		poll:      rapid.SampledFrom([]int64{1, 2, 5}).Draw(r, name+" poll"),
		room:      rapid.SampledFrom([]float64{0, 6, 2.5, 1.3, 1}).Draw(r, name+" room"),
		watermark: rapid.SampledFrom([]int64{0, 100, 5}).Draw(r, name+" watermark"),

		prefillFirst: rapid.Bool().Draw(r, name+" prefill first"),
		whole:        rapid.Bool().Draw(r, name+" whole prompts"),
		wait:         cost.BatchWait{Steps: rapid.SampledFrom([]int{0, 3, 20}).Draw(r, name+" wait"), Share: 0.7},
		balance: cost.Balance{
			Steps: rapid.SampledFrom([]int{0, 4, 30}).Draw(r, name+" balance"), Gather: rapid.IntRange(0, 2).Draw(r, name+" gather"),
		},
	}
	if k.squeezed {
		x.instances, x.sequences = min(x.instances, 2), 64
		x.tokens = max(x.tokens, 16)
		x.room = rapid.SampledFrom([]float64{1.2, 1.7, 1, 2.5}).Draw(r, name+" little room")
	}
	return x
}

func (x *shape) apply(s *serve.Spec, longest int) {
	s.MaxTokens, s.MaxSequences, s.PollSteps = x.tokens, x.sequences, x.poll
	s.PrefillFirst = x.prefillFirst && s.Role == cost.Mixed
	s.WholePrompts, s.BatchWait, s.Balance = x.whole, x.wait, x.balance
	if x.room > 0 {
		s.Memory.Free = int64(x.room * float64(s.Memory.SequenceBytes(int64(longest))))
	}
	s.Watermark = s.StepGrowth()
	if x.watermark > 0 {
		s.Watermark = max(s.Watermark, s.Memory.Free/x.watermark)
	}
	s.Memory.Free += s.Watermark
}

// drawRequests draws an open loop: gaps that are often 0, prompts that share heads.
func drawRequests(r *rapid.T, longest, block int, k kind) []traces.Request {
	gap := rapid.SampledFrom([]int{1_000_000, 0, 1_000, 50_000_000}).Draw(r, "gap")
	now := des.Time(0)
	fewest, prompt := 0, longest
	if k.squeezed {
		fewest, prompt = 20, max(1, longest/4)
	}
	if k.sharing {
		fewest, gap = 20, max(gap, 1_000_000)
	}
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) traces.Request {
		if rapid.Bool().Draw(r, "later") {
			now += des.Time(rapid.IntRange(0, gap).Draw(r, "by"))
		}
		q := traces.Request{Arrival: now, InputTokens: drawLength(r, "input", prompt), OutputTokens: drawLength(r, "output", longest)}
		q.Session = uint64(rapid.IntRange(0, 4).Draw(r, "session"))
		if block > 0 && rapid.IntRange(0, 3).Draw(r, "alone") < 3 {
			family := uint64(rapid.IntRange(1, 3).Draw(r, "family"))
			for i := range min(int(q.InputTokens)/block, 40) {
				q.Prefix = append(q.Prefix, family*1000+uint64(i))
			}
			if n := len(q.Prefix); n > 1 && rapid.Bool().Draw(r, "own tail") {
				q.Prefix[n-1] = 10_000 + uint64(rapid.IntRange(0, 5).Draw(r, "tail"))
			}
		}
		return q
	}), fewest, 40).Draw(r, "requests")
}

// drawLength draws a length that is as often long as short.
func drawLength(r *rapid.T, name string, longest int) int32 {
	n := rapid.IntRange(0, longest-1).Draw(r, name)
	if rapid.Bool().Draw(r, name+" from the top") {
		return int32(longest - n)
	}
	return int32(1 + n)
}

func drawLoop(r *rapid.T, longest int) *traces.ClosedLoop {
	if rapid.IntRange(0, 3).Draw(r, "closed loop") > 0 {
		return nil
	}
	input, err := traces.Uniform(1, longest)
	if err != nil {
		r.Fatalf("%v", err)
	}
	l := &traces.ClosedLoop{
		Concurrency: rapid.IntRange(1, 12).Draw(r, "clients"), Requests: int64(rapid.IntRange(1, 40).Draw(r, "loop requests")),
		Input: input, Output: input, Seed: 7,
	}
	if rapid.Bool().Draw(r, "thinks") {
		if err := l.ThinkTime.UnmarshalText([]byte("exp(5)")); err != nil {
			r.Fatalf("%v", err)
		}
	}
	return l
}

func drawInitial(r *rapid.T, longest int) []route.Initial {
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) route.Initial {
		out := drawLength(r, "output", longest)
		return route.Initial{Input: drawLength(r, "input", longest), Output: out, Age: int32(rapid.IntRange(0, int(out)-1).Draw(r, "age"))}
	}), 0, 12).Draw(r, "initial")
}

// compare runs both and fails at the first difference.
func compare(t fataler, s scenario) coverage {
	var engine, naive []metrics.Completion
	cfg := s.build(false)
	cfg.OnRequest = func(c *metrics.Completion) { engine = append(engine, *c) }
	rec := recorder(&cfg)
	cluster := route.NewCluster(cfg, rec)
	if partial, err := cluster.Run(context.Background()); err != nil || partial {
		t.Fatalf("engine: partial %v, error %v", partial, err)
	}
	twinCfg := s.build(true)
	twinCfg.OnRequest = func(c *metrics.Completion) { naive = append(naive, *c) }
	twinRec := recorder(&twinCfg)
	twin := newTwin(twinCfg, twinRec)
	if err := twin.run(); err != nil {
		t.Fatalf("twin: %v", err)
	}
	for i := range min(len(engine), len(naive)) {
		if engine[i] != naive[i] {
			t.Fatalf("completion %d:\nengine %s\ntwin   %s", i, describe(&engine[i]), describe(&naive[i]))
		}
	}
	if len(engine) != len(naive) || cluster.Now() != twin.now || cluster.InFlight() != int64(len(twin.seqs)) {
		t.Fatalf("engine: %d completed, %d in flight at %d ns; twin: %d, %d at %d ns",
			len(engine), cluster.InFlight(), cluster.Now(), len(naive), len(twin.seqs), twin.now)
	}
	if cluster.Window() != twin.loop.window || cluster.Queue() != twin.loop.line {
		t.Fatalf("engine: window %v, queue %+v; twin: %v, %+v", cluster.Window(), cluster.Queue(), twin.loop.window, twin.loop.line)
	}
	got, want := rec.Summary(cluster.Now()), twinRec.Summary(twin.now)
	from, to := want.Window.Start, want.Window.End
	for p := range want.Window.Ledgers {
		phase := metrics.Decode
		if twinCfg.Pools[p].Name == "prefill" {
			phase = metrics.Prefill
		}
		want.Window.Ledgers[p].Causes[phase][cause.Idle] = twin.idle(p, from, to)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("summaries differ:\nengine %+v\ntwin   %+v", got, want)
	}
	return twin.seen
}

// A sequence that has been decoding since before the run and gives way is known to its scheduler, which need not
// look for it: the prompt is at the head of the queue in the very next step.
func TestEvictedInitialRequestIsKnown(t *testing.T) {
	input, err := traces.Uniform(1, 40)
	if err != nil {
		t.Fatal(err)
	}
	seen := compare(t, scenario{build: func(forTwin bool) route.Config {
		s := serve.NewSpec(0, cached(t, 3, cost.Mixed, 1, forTwin), 4)
		x := shape{tokens: 16, sequences: 64, poll: 2, room: 2.5}
		x.apply(s, 80)
		c := route.Config{Seed: 1, Policy: router(t, ""), FrontEnd: 3_000_000, Drafting: serve.NewDrafting(1, acceptedLength(1))}
		c.Pools = []route.Pool{{Name: "serve", Spec: s, Instances: 1}}
		c.Loop = &traces.ClosedLoop{Concurrency: 1, Requests: 1, Input: input, Output: input, Seed: 7}
		short, long := route.Initial{Input: 1, Output: 2}, route.Initial{Input: 1, Output: 40}
		c.Initial = []route.Initial{
			{Input: 13, Output: 40, Age: 24}, short, long, {Input: 34, Output: 40}, short, long, short, long, short, {Input: 18, Output: 40, Age: 13},
		}
		return c
	}})
	if seen[eviction] == 0 {
		t.Error("no sequence gave way")
	}
}
