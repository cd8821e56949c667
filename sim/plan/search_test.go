package plan

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

// The split found is as good as the best of all splits.
func TestSplitAgainstAllSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &splitter{
			place:  place{topology(rapid.IntRange(2, 2000).Draw(t, "chips"), rapid.SampledFrom([]int{8, 16, 64, 72}).Draw(t, "domain"))},
			demand: &demand{out: 100}, slo: 1, transfer: func(*priced, *priced, int) float64 { return 0 },
		}
		sizes := rapid.SampledFrom([]int{1, 2, 3, 8, 9, 32, 64, 128})
		p := &priced{chips: sizes.Draw(t, "prefill chips"), point: point{rate: rapid.Float64Range(0.1, 100).Draw(t, "prefill rate")}}
		d := &priced{chips: sizes.Draw(t, "decode chips"), point: point{rate: rapid.Float64Range(0.1, 100).Draw(t, "decode rate")}}
		best := 0.0
		for n := 1; ; n++ {
			next, ok := s.place.end(0, p.chips, n)
			if !ok {
				break
			}
			best = math.Max(best, min(float64(n)*p.rate, float64(s.place.fit(next, d.chips))*d.rate))
		}
		got, ok := s.disaggregated(p, d)
		if ok != (best > 0) || math.Abs(got.capacity-best) > 1e-9*best {
			t.Fatalf("got %g (%d + %d instances), best of all splits %g", got.capacity, got.n1, got.n2, best)
		}
	})
}

// highest finds the edge of what is within the limits, or loads an instance that misses
// them until a latency is beyond times that of a request alone.
func TestHighest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.Float64Range(0.01, 5000).Draw(t, "most")
		base := rapid.Float64Range(0.01, 3).Draw(t, "base")
		slope := rapid.Float64Range(1e-5, 1).Draw(t, "slope")
		at := func(n float64) point { return point{over: base + slope*n, tpot: base + slope*n} }
		alone := lonely{over: base, tpot: base}
		bound := 1.0
		if base > 1 {
			bound = base * beyond
		}
		n, p := highest(most, &alone, at)
		edge := min(most, (bound-base)/slope)
		if p != at(n) || n > edge*(1+1e-9) && n > most*leastLoad || n < edge*(1-2.0/resolution) && n < edge-most*2*leastLoad {
			t.Fatalf("load %g of %g, the edge is at %g", n, most, edge)
		}
	})
}

func TestRank(t *testing.T) {
	layouts := []priced{{chips: 8}, {chips: 64}}
	all := []deployed{
		{first: &layouts[1], capacity: 50, over: 3},
		{first: &layouts[1], capacity: 100, over: 0.9, chips: 64},
		{first: &layouts[0], capacity: 10, over: 1.2},
		{first: &layouts[0], capacity: 130, over: 0.5, chips: 64},
		{first: &layouts[0], capacity: 100.0001, over: 1, chips: 32},
	}
	rank(all)
	var got []float64
	for i := range all {
		got = append(got, all[i].capacity)
	}
	if want := []float64{130, 100.0001, 100, 10, 50}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: capacity within the SLO, fewer chips when equal, then least beyond it", got, want)
	}
}

func TestSignificant(t *testing.T) {
	for _, c := range [][2]float64{{0, 0}, {5282.123, 5282}, {52821, 52820}, {0.0123456, 0.01235}, {28.15432, 28.15}, {9999.9, 10000}} {
		if got := significant(c[0]); math.Abs(got-c[1]) > 1e-12*c[1] {
			t.Errorf("significant(%g) = %v, want %v", c[0], got, c[1])
		}
	}
}

// A layout whose price breaks an invariant ends the search with an error that names it:
// the best of the others is no answer.
func TestSearchSurvivesAPanic(t *testing.T) {
	p := &pricer{stepper: func(pool *scenario.Pool, _ cost.Role) (*cost.Stepper, error) {
		if pool.TP == 4 {
			panic("a step of no tokens")
		}
		return nil, errors.New("does not fit")
	}}
	jobs := []job{{scenario.Pool{TP: 1, DP: 1, EP: 1, PP: 1}, cost.Decode}, {scenario.Pool{TP: 4, DP: 2, EP: 8, PP: 1}, cost.Decode}}
	_, err := p.priceAll(t.Context(), jobs, 2)
	if !errors.As(err, new(*work.Panic)) || err.Error() != "layout TP4 DP2 EP8 PP1: broken invariant: a step of no tokens" {
		t.Errorf("got %v", err)
	}
	if out, err := p.priceAll(t.Context(), jobs[:1], 2); err != nil || out[0].whyNot == "" {
		t.Errorf("without it: %v, %+v", err, out)
	}
}
