package plan

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
)

// A capacity is found to the precision that was asked, however far the estimate is off;
// one that is right to a tenth takes three probes to a tenth, and seven at most to a fiftieth.
func TestBracketFindsTheCapacity(t *testing.T) {
	find := func(truth, estimate float64, to precision) *bracket {
		b := newBracket(estimate)
		for !b.found(to) {
			within := 0.0
			if b.next <= truth {
				within = 1
			}
			b.tried(within)
		}
		return b
	}
	rapid.Check(t, func(t *rapid.T) {
		truth := math.Exp(rapid.Float64Range(-8, 8).Draw(t, "ln truth"))
		off := math.Exp(rapid.Float64Range(-3, 3).Draw(t, "ln off"))
		for _, to := range []precision{coarse, fine} {
			b := find(truth, truth*off, precision{to.ratio, 2 * to.probes})
			if b.good > truth || b.bad <= truth || b.bad > b.good*to.ratio {
				t.Fatalf("%g between %g and %g, to a ratio of %g, from %g times it", truth, b.good, b.bad, to.ratio, off)
			}
			if b.probes > to.probes {
				t.Fatalf("%d probes for an estimate of %g times the capacity", b.probes, off)
			}
		}
		near := find(truth, truth*rapid.Float64Range(1/1.1, 1.1).Draw(t, "near"), fine)
		if near.probes > 7 {
			t.Fatalf("%d probes for an estimate within a tenth", near.probes)
		}
	})
	if b := find(0, 1, fine); b.good != 0 || b.next >= leastRate && b.probes < fine.probes {
		t.Errorf("nothing is sustained: %+v", b)
	}
}

// deployments of a mode, with estimates, told apart by the chips of their layout.
func deployments(mode string, estimates ...float64) (all []deployed) {
	for i, e := range estimates {
		all = append(all, deployed{mode: mode, first: &priced{layout: "TP1", chips: i + 1, pool: scenario.Pool{TP: i + 1}}, n1: 1, chips: i + 1, capacity: e})
	}
	return all
}

// Probes put deployments in the order of what they sustain, which may not be that of the
// estimates; what estimates put above what was found is probed too.
func TestProbesOrder(t *testing.T) {
	truth := map[int]float64{1: 70, 2: 90, 3: 80, 4: 75, 5: 88, 6: 20}
	probe := func(_ context.Context, s *scenario.Scenario, _ *deployed, rate float64) (float64, error) {
		if rate <= truth[s.Deployment.Serve.TP] {
			return 1, nil
		}
		return 0.5, nil
	}
	var first []deployed
	for _, workers := range []int{1, 4} {
		all := deployments("aggregated", 100, 99, 98, 97, 96, 40)
		if err := rankByProbes(t.Context(), &scenario.Scenario{}, all, probe, fine, &Options{}, workers); err != nil {
			t.Fatal(err)
		}
		if all[0].chips != 2 || !all[0].probed || all[0].good < 90/fine.ratio || all[0].good > 90 || all[0].bad < 90 {
			t.Errorf("best: %+v", all[0])
		}
		for i := range all {
			if i > 0 && all[i].sustained() > all[i-1].sustained() {
				t.Errorf("row %d shows %g, the one before %g", i, all[i].sustained(), all[i-1].sustained())
			}
			if all[i].chips == 6 && all[i].probed {
				t.Error("the worst by far has been probed")
			}
			if all[i].probed && (all[i].good > truth[all[i].chips] || all[i].bad <= truth[all[i].chips]) {
				t.Errorf("%d chips: %g between %g and %g", all[i].chips, truth[all[i].chips], all[i].good, all[i].bad)
			}
		}
		if first == nil {
			first = all
		} else {
			for i := range all {
				all[i].first, first[i].first = nil, nil
			}
			if !reflect.DeepEqual(all, first) {
				t.Error("the order depends on the number of goroutines")
			}
		}
	}
	broken := errors.New("broken")
	err := rankByProbes(t.Context(), &scenario.Scenario{}, deployments("aggregated", 1), func(context.Context, *scenario.Scenario, *deployed, float64) (float64, error) {
		return 0, broken
	}, fine, &Options{}, 1)
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// The best of each mode is among the first that are probed, where it is not far behind.
func TestShortlist(t *testing.T) {
	chips := func(list []*deployed) (n []int) {
		for _, d := range list {
			n = append(n, d.chips)
		}
		return n
	}
	one := deployments("aggregated", 100, 99, 98, 97, 96)
	if got := chips(shortlist(one)); !slices.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("of one mode: %v", got)
	}
	other := deployments("disaggregated", 70, 69)
	other[0].chips, other[1].chips = 10, 11
	if got := chips(shortlist(append(one, other...))); !slices.Equal(got, []int{1, 2, 3, 10}) {
		t.Errorf("of two: %v", got)
	}
	other[0].capacity, other[1].capacity = 50, 49
	if got := chips(shortlist(append(one, other...))); !slices.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("where the other is far behind: %v", got)
	}
	for i := range one {
		one[i].over = 2
	}
	if got := chips(shortlist(one)); !slices.Equal(got, []int{1}) {
		t.Errorf("where none meets the SLO: %v", got)
	}
}

// Rows that differ in a pool alone that does not limit them are one row.
func TestDistinct(t *testing.T) {
	p, q, d, e := &priced{layout: "p"}, &priced{layout: "q"}, &priced{layout: "d"}, &priced{layout: "e"}
	all := []deployed{
		{first: p, second: d, n1: 3, n2: 1, prefillInExcess: 0.9}, {first: p, second: e, n1: 3, n2: 2, prefillInExcess: 0.9},
		{first: p, second: e, n1: 2, n2: 2, prefillInExcess: 1.1}, {first: q, second: e, n1: 4, n2: 2, prefillInExcess: 1.2},
		{first: q, second: e, n1: 4, n2: 3, prefillInExcess: 1.1}, {first: p, n1: 3}, {first: q, n1: 3},
	}
	var got []int
	for i := range distinct(all) {
		for j := range all {
			if reflect.DeepEqual(distinct(all)[i], all[j]) {
				got = append(got, j)
			}
		}
	}
	if !slices.Equal(got, []int{0, 2, 4, 5, 6}) {
		t.Errorf("left are %v", got)
	}
}

// A trace that is offered faster than recorded is replayed at the rate that is probed,
// whatever its scale.
func TestReplayTakesTheScaleAlong(t *testing.T) {
	for _, scale := range []float64{1, 4, 0.25} {
		s := &scenario.Scenario{Trace: &scenario.Trace{RateScale: scale}}
		p := &Plan{demand: demand{rate: 2 * scale}} // two requests a second as recorded
		if got := p.atRate(s, 10).Trace.RateScale; math.Abs(got-5) > 1e-12 || s.Trace.RateScale != scale {
			t.Errorf("scale %g: replayed at %g times the recorded rate, want 5", scale, got)
		}
	}
}

// Where nothing but throughput limits, an instance is planned for steps that are 97 % full.
func TestThroughputIsPlannedBelowFull(t *testing.T) {
	s := asked("llama-3.1-8b", "hgx-h100:8")
	s.SLO = slo.Limits{TTFT: slo.TTFT{Limit: 1e17}}
	p, out, in, err := begin(s, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pr := p.pricer(out, in)
	pool := scenario.Pool{Instances: 4, TP: 1, DP: 1, PP: 1, EP: 1, CP: 1}
	got := pr.price(pool, cost.Prefill)
	st, err := pr.stepper(&pool, cost.Prefill)
	if err != nil {
		t.Fatal(err)
	}
	b := pr.bench(st, cost.Prefill)
	budget := float64(b.config.MaxTokens)
	b.fastest = budget / b.prefillStep(int64(budget), int64(budget)).Time.Seconds()
	if want := b.prefillAt(0.97 * budget).rate; math.Abs(got.rate-want) > 1e-9*want || got.limit != "prompt throughput" {
		t.Errorf("planned for %g requests/s, limited by %s; steps that are 97 %% full take %g", got.rate, got.limit, want)
	}
}
