package metrics

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/des"
)

func TestGapBinsTileTheTimes(t *testing.T) {
	next := des.Time(0)
	for bin := range gapBins {
		low, high := gapEdges(bin)
		if low != next || high < low {
			t.Fatalf("bin %d is [%d, %d], want it to start at %d", bin, low, high, next)
		}
		if gapBin(low) != bin || gapBin(high) != bin {
			t.Fatalf("edges %d and %d of bin %d fall into %d and %d", low, high, bin, gapBin(low), gapBin(high))
		}
		if width := float64(high) - float64(low) + 1; low >= 1<<(gapBits+1) && width > 0.001*float64(low) {
			t.Fatalf("bin %d is %.3g of its edge wide", bin, width/float64(low))
		}
		next = high + 1
	}
	if next != math.MinInt64 { // one past the largest time
		t.Fatalf("bins end at %d", next)
	}
}

// The percentiles of the log are those of the written-out list of gaps at the
// nearest rank, to half a bin.
func TestGapQuantilesAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g, other gapLog
		var list []float64
		sum := new(big.Int)
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			dt := rapid.Int64Range(0, 1<<rapid.IntRange(1, 62).Draw(t, "bits")).Draw(t, "dt")
			n := rapid.Int64Range(1, 20).Draw(t, "n")
			into := &g
			if rapid.Bool().Draw(t, "other") {
				into = &other
			}
			into.add(des.Time(dt), n)
			sum.Add(sum, new(big.Int).Mul(big.NewInt(dt), big.NewInt(n)))
			for range n {
				list = append(list, float64(dt))
			}
		}
		g.merge(&other)
		slices.Sort(list)
		q := g.quantiles()
		if q.Count != int64(len(list)) || q.Max != list[len(list)-1] {
			t.Fatalf("count %d max %v, want %d and %v", q.Count, q.Max, len(list), list[len(list)-1])
		}
		mean, _ := new(big.Float).SetInt(sum).Float64()
		mean /= float64(len(list))
		if math.Abs(q.Mean-mean) > 1e-12*mean {
			t.Fatalf("mean %v, want %v", q.Mean, mean)
		}
		for _, c := range []struct{ p, got float64 }{{0.5, q.P50}, {0.9, q.P90}, {0.95, q.P95}, {0.99, q.P99}} {
			want := list[int(math.Round(c.p*float64(len(list)-1)))]
			if math.Abs(c.got-want) > 0.0005*want+0.5 {
				t.Fatalf("p%v is %v, want %v", 100*c.p, c.got, want)
			}
		}
	})
}

func TestGapsIntoHistogram(t *testing.T) {
	var g gapLog
	g.add(des.FromSeconds(0.005), 3)
	g.add(des.FromSeconds(0.03), 2)
	g.add(des.FromSeconds(0.6), 1)
	g.add(des.FromSeconds(100), 4)
	h := newHistogram(tokenBounds)
	g.into(&h)
	g.into(&h)
	want := map[int]int64{0: 6, 2: 4, 10: 2, len(tokenBounds): 8}
	for i, n := range h.Counts {
		if n != want[i] {
			t.Errorf("bucket %d holds %d, want %d", i, n, want[i])
		}
	}
	if h.Count != 20 || math.Abs(h.Sum-2*(0.015+0.06+0.6+400)) > 1e-9 {
		t.Errorf("count %d sum %v", h.Count, h.Sum)
	}
}
