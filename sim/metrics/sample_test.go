package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The wanted values are numpy.percentile's.
func TestPercentileIsNumpys(t *testing.T) {
	for _, c := range []struct {
		values  []float64
		p, want float64
	}{
		{nil, 0.5, 0},
		{[]float64{7}, 0.99, 7},
		{[]float64{1, 2, 3, 4}, 0.5, 2.5},
		{[]float64{15, 20, 35, 40, 50}, 0.4, 29},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9, 9.1},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.99, 9.91},
		{[]float64{1, 2, 3}, 1, 3},
		{[]float64{1, 2, 3}, 0, 1},
	} {
		if got := Percentile(c.values, c.p); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("percentile %v of %v is %v, want %v", c.p, c.values, got, c.want)
		}
	}
}

func TestPercentileProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1e12), 1, 50).Draw(t, "values")
		slices.Sort(values)
		p := rapid.Float64Range(0, 1).Draw(t, "p")
		v := Percentile(values, p)
		if v < values[0] || v > values[len(values)-1] {
			t.Fatalf("%v is outside the values", v)
		}
		if higher := Percentile(values, min(1, p+0.1)); higher < v {
			t.Fatalf("p+0.1 gives %v, below %v", higher, v)
		}
		// Mirrored values have mirrored percentiles.
		mirrored := make([]float64, len(values))
		for i, x := range values {
			mirrored[len(values)-1-i] = -x
		}
		if m := -Percentile(mirrored, 1-p); math.Abs(m-v) > 1e-9*values[len(values)-1] {
			t.Fatalf("mirrored %v, want %v", m, v)
		}
	})
}

func TestSampleOfAnArithmeticSeries(t *testing.T) {
	s := newSample(0)
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(1001) {
		s.Add(float64(i))
	}
	want := Quantiles{Count: 1001, Mean: 500, P50: 500, P90: 900, P95: 950, P99: 990, Max: 1000}
	if got := s.Quantiles(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestQuantilesAreThoseOfSortedValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		values := rapid.SliceOfN(rapid.Float64Range(0, float64(rapid.SampledFrom([]int{1, 5, 1e9}).Draw(t, "spread"))), n, n).Draw(t, "values")
		if rapid.Bool().Draw(t, "whole") { // many equal ones
			for i := range values {
				values[i] = math.Floor(values[i])
			}
		}
		s := newSample(0)
		for _, v := range values {
			s.Add(v)
		}
		q := s.Quantiles()
		slices.Sort(values)
		for _, c := range []struct{ p, got float64 }{{0.5, q.P50}, {0.9, q.P90}, {0.95, q.P95}, {0.99, q.P99}} {
			if want := Percentile(values, c.p); c.got != want {
				t.Fatalf("p%v is %v, want %v", 100*c.p, c.got, want)
			}
		}
	})
}

func TestSampleKeepsItsAccuracyBeyondMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	s := newSample(1000)
	all := make([]float64, 0, exactValues+200_000)
	for range cap(all) {
		v := math.Exp(18 + 1.5*rng.NormFloat64())
		all = append(all, v)
		s.Add(v)
	}
	if s.sketch == nil || s.values != nil {
		t.Fatal("values are still kept one by one")
	}
	slices.Sort(all)
	q := s.Quantiles()
	if q.Count != int64(len(all)) || q.Max != all[len(all)-1] {
		t.Errorf("count %d, max %v", q.Count, q.Max)
	}
	for _, c := range []struct{ p, got float64 }{{0.5, q.P50}, {0.9, q.P90}, {0.95, q.P95}, {0.99, q.P99}} {
		if want := Percentile(all, c.p); math.Abs(c.got/want-1) > sketchError*1.01 {
			t.Errorf("p%v is %v, exactly %v: off by %.2g", 100*c.p, c.got, want, c.got/want-1)
		}
	}
}
