package plan

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/traces"
)

// long is a scenario of one kind of prompt on a layout of its own.
func long(t *testing.T, prompt string, promised slo.Limits) *scenario.Scenario {
	t.Helper()
	var in, out traces.Dist
	if in.UnmarshalText([]byte(prompt)) != nil || out.UnmarshalText([]byte("64")) != nil {
		t.Fatal(prompt)
	}
	s := asked("llama-3.1-8b", "hgx-h100:8")
	s.Workload = &scenario.Workload{InputTokens: &in, OutputTokens: &out}
	s.Deployment.Mode, s.Deployment.Serve = "aggregated", &scenario.Pool{Instances: 2, TP: 1}
	s.SLO = promised
	return s
}

// A prompt of 100,000 tokens takes a chip more than six seconds. Within two seconds as
// they are written no rate is, and that is said; in proportion to the prompt they are 24.
func TestLongPromptsAreJudgedAsWritten(t *testing.T) {
	written := slo.Limits{TTFT: slo.TTFT{Limit: 2e9}, TPOT: 50e6}
	_, p := complete(t, long(t, "100000", written), Options{FindCapacity: true})
	said := strings.Join(p.Warnings, "\n")
	if p.Candidates[0].MeetsSLO || p.Capacity.RequestsPerS != 0 || p.Capacity.OutputTokensPerSPerChip != 0 {
		t.Errorf("within %v: meets %v, capacity %+v", written, p.Candidates[0].MeetsSLO, p.Capacity)
	}
	if !strings.Contains(said, "miss the SLO, TTFT 2s and TPOT 50ms, even") || !strings.Contains(said, "no rate down to") {
		t.Errorf("warnings: %s", said)
	}
	_, p = complete(t, long(t, "100000", slo.Default()), Options{FindCapacity: true})
	if p.Capacity.RequestsPerS <= 0 {
		t.Errorf("in proportion: capacity %+v", p.Capacity)
	}
}

// A tighter limit lowers capacity, and the estimate is near what probes find.
func TestE2ELimitsCapacity(t *testing.T) {
	for _, mode := range []string{"aggregated", "disaggregated"} {
		capacity := func(e2e float64) (estimate, probed float64) {
			s := asked("llama-3.1-8b", "hgx-h100:8")
			s.Deployment.Mode = mode
			s.SLO = slo.Limits{E2E: spec.Duration(e2e * 1e9)}
			_, p := complete(t, laid(t, s), Options{})
			if !p.Candidates[0].MeetsSLO {
				t.Errorf("%s within %gs: %s", mode, e2e, p.Candidates[0].WhyNot)
			}
			return p.Candidates[0].EstimateRequestsPerS, p.Capacity.RequestsPerS
		}
		last := math.Inf(1)
		for _, e2e := range []float64{30, 14} {
			estimate, probed := capacity(e2e)
			t.Logf("%s within %gs: estimated %g, probed %g", mode, e2e, estimate, probed)
			if probed > last*coarse.ratio || estimate < 0.8*probed || estimate > 1.25*probed {
				t.Errorf("%s within %gs: estimated %g, probed %g, with a wider limit %g", mode, e2e, estimate, probed, last)
			}
			last = probed
		}
	}
}

// Without a limit that a queue could break, capacity would be any rate: it is judged by
// the usual TTFT as well, in those words.
func TestCapacityNeedsALimitOnWaiting(t *testing.T) {
	s := asked("llama-3.1-8b", "hgx-h100:8")
	s.SLO = slo.Limits{TPOT: 20e6}
	_, alone := complete(t, s, Options{LayoutOnly: true})
	s.SLO.TTFT = slo.Default().TTFT
	_, both := complete(t, s, Options{LayoutOnly: true})
	if alone.Candidates[0].CapacityRequestsPerS != both.Candidates[0].CapacityRequestsPerS || len(both.Warnings) > 0 {
		t.Errorf("capacity %g and %g; %v", alone.Candidates[0].CapacityRequestsPerS, both.Candidates[0].CapacityRequestsPerS, both.Warnings)
	}
	if !slices.ContainsFunc(alone.Warnings, func(w string) bool { return strings.Contains(w, both.promised.String()) }) {
		t.Errorf("warnings %q do not say %q", alone.Warnings, both.promised)
	}
	out, _ := complete(t, s, Options{LayoutOnly: true})
	s.SLO, s.Deployment = slo.Limits{ITL: 20e6}, out.Deployment
	if out, _ = complete(t, s, Options{LayoutOnly: true}); out.SLO != s.SLO {
		t.Errorf("requests are judged by %v, %v was asked", out.SLO, s.SLO)
	}
}

// pool takes time in proportion to its load: e2e from least to most, rate from 0 to rate.
func pool(rate, least, most float64) *priced {
	p := &priced{chips: 8, point: point{rate: rate, ttft: most, tpot: most / 10, e2e: most, over: 0.8}}
	for k := range p.below {
		part := float64(k) / float64(len(p.below))
		e2e := least + part*(most-least)
		p.below[k] = point{rate: part * rate, ttft: e2e, tpot: e2e / 10, e2e: e2e, over: 0.8 * part}
	}
	return p
}

// Two pools share the time of a request: halfway between 5 s when almost empty and 11 s
// when loaded lie the 8 s that are promised, at half the rate.
func TestPoolsShareE2E(t *testing.T) {
	s := &splitter{e2e: 8, slo: math.Inf(1), transfer: func(*priced, *priced, int) float64 { return 1 }, place: place{topology(16, 8)}, demand: &demand{out: 100}}
	p, d := pool(10, 1, 3), pool(90, 3, 7)
	first, second := s.together(p, d)
	for name, x := range map[string][2]float64{
		"prefill rate": {first.rate, 5}, "TTFT": {first.ttft, 2}, "decode rate": {second.rate, 45}, "TPOT": {second.tpot, 0.5},
		"time": {first.e2e + 1 + second.e2e, 8}, "over": {second.over, 0.4},
	} {
		if math.Abs(x[0]-x[1]) > 1e-12 {
			t.Errorf("%s %g, want %g", name, x[0], x[1])
		}
	}
	if got, ok := s.disaggregated(p, d); !ok || got.limit != "E2E" || math.Abs(got.capacity-5) > 1e-12 {
		t.Errorf("deployed: %+v", got)
	}
	s.e2e = 4 // less than the two take when almost empty
	if first, second = s.together(p, d); first.over != 1.25 || second.over != 1.25 || first.e2e != 1 || second.e2e != 3 {
		t.Errorf("beyond: %+v and %+v", first.point, second.point)
	}
	s.e2e = 11
	if first, second = s.together(p, d); first != p || second != d {
		t.Error("a limit that is kept changes something")
	}
}

// What holds for the pools together holds for every pair: the time is that promised, or
// the least there is, and no rate is higher than a pool's own.
func TestPoolsShareE2EProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) *priced {
			least, more := rapid.Float64Range(0.01, 10).Draw(t, name), rapid.Float64Range(0, 10).Draw(t, name+" more")
			return pool(10, least, least+more)
		}
		p, d := draw("prefill"), draw("decode")
		s := &splitter{place: place{topology(16, 8)}, e2e: rapid.Float64Range(0.01, 50).Draw(t, "limit"), transfer: func(*priced, *priced, int) float64 { return 0.5 }}
		first, second := s.together(p, d)
		took, least, most := first.e2e+0.5+second.e2e, p.below[0].e2e+0.5+d.below[0].e2e, p.e2e+0.5+d.e2e
		if want := min(most, max(s.e2e, least)); math.Abs(took-want) > 1e-9 || first.rate > p.rate || second.rate > d.rate {
			t.Fatalf("%g s, want %g; rates %g and %g", took, want, first.rate, second.rate)
		}
		if (max(first.over, second.over) > 1) != (least > s.e2e) {
			t.Fatalf("over %g at a least of %g of %g s", first.over, least, s.e2e)
		}
	})
}

// Where no layout meets the SLO the one that misses it least is loaded all the same: the
// scenario is complete, and is said to miss.
func TestNothingMeetsTheSLO(t *testing.T) {
	s := asked("llama-3.1-405b", "cloudmatrix384:64")
	planned, p := complete(t, s, Options{})
	if planned.Workload.Rate <= 0 || p.CapacityRequestsPerS <= 0 {
		t.Errorf("offered %v of %v requests/s", planned.Workload.Rate, p.CapacityRequestsPerS)
	}
	if p.Capacity.RequestsPerS != 0 || !strings.Contains(strings.Join(p.Warnings, "\n"), "no rate down to") {
		t.Errorf("capacity %v, warnings %q", p.Capacity, p.Warnings)
	}
}
