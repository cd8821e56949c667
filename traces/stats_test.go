package traces

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/des"
)

// TestStatsAgainstGonum compares the one pass with sorted slices and gonum.
func TestStatsAgainstGonum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []Request
		var gaps, inputs []float64
		unique, blocks := map[uint64]bool{}, int64(0)
		at := des.Time(0)
		for i := range rapid.IntRange(2, 60).Draw(t, "n") {
			gap := des.Time(rapid.Int64Range(1, 5e9).Draw(t, "gap"))
			at += gap
			if i > 0 {
				gaps = append(gaps, float64(gap))
			}
			r := Request{Arrival: at, InputTokens: rapid.Int32Range(1, MaxTokens).Draw(t, "in"), OutputTokens: 1,
				Prefix: rapid.SliceOfN(rapid.Uint64Range(0, 9), 0, 3).Draw(t, "ids")}
			for _, id := range r.Prefix {
				unique[id] = true
				blocks++
			}
			inputs = append(inputs, float64(r.InputTokens))
			list = append(list, r)
		}
		s, err := Measure(&listSource{requests: list, block: 16}, nil)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(inputs)
		same := func(what string, got, want float64) {
			if math.Abs(got-want) > 1e-9*math.Abs(want) {
				t.Fatalf("%s: %v, want %v", what, got, want)
			}
		}
		same("mean", s.Input.Mean, stat.Mean(inputs, nil))
		same("max", float64(s.Input.Max), inputs[len(inputs)-1])
		for p, got := range map[float64]int32{0.5: s.Input.P50, 0.9: s.Input.P90, 0.99: s.Input.P99} {
			same("percentile", float64(got), stat.Quantile(p, stat.Empirical, inputs, nil))
		}
		same("cv", s.CV, math.Sqrt(stat.PopVariance(gaps, nil))/stat.Mean(gaps, nil))
		same("rate", s.Rate, 1e9/stat.Mean(gaps, nil))
		peak := 0
		for i := range list { // windows lie on multiples of 10 s from the first arrival
			n := 0
			for j := range list {
				if (list[j].Arrival-list[0].Arrival)/1e10 == (list[i].Arrival-list[0].Arrival)/1e10 {
					n++
				}
			}
			peak = max(peak, n)
		}
		same("peak", s.PeakRate, float64(peak)/10)
		if s.Prefix.Blocks != blocks || s.Prefix.Unique != int64(len(unique)) {
			t.Fatalf("%+v, want %d blocks, %d unique", s.Prefix, blocks, len(unique))
		}
	})
}

func TestStatsOfOneAndOfSimultaneous(t *testing.T) {
	for _, list := range [][]Request{{{InputTokens: 1, OutputTokens: 1}}, {{InputTokens: 1, OutputTokens: 1}, {InputTokens: 1, OutputTokens: 1}}} {
		s, err := Measure(&listSource{requests: list}, nil)
		if err != nil || s.Rate != 0 || s.CV != 0 || s.Prefix.HitRate != 0 || s.Input.P99 != 1 {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
