package metrics

import (
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/spec"
)

// MaxBounds is the number of buckets that a Histogram has room for, +Inf included.
const MaxBounds = 24

// Histogram is a Prometheus histogram in seconds: Counts[i] values were in
// (Bounds[i−1], Bounds[i]], Counts[len(Bounds)] above all bounds.
type Histogram struct {
	Bounds []float64 // upper bounds, ascending; shared and never written
	Counts [MaxBounds]int64
	Count  int64
	Sum    float64
}

// The boundaries that vLLM's engine exposes, in seconds, so that dashboards made
// for it read a simulated cluster alike (vllm/v1/metrics/loggers.py, v0.10–v0.11).
var (
	ttftBounds = []float64{
		0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
	}
	tokenBounds = []float64{
		0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
	}
	e2eBounds = []float64{
		0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
	}
)

// withLimit makes a limit one of the bounds, so that the share of requests within it can
// be read off the histogram.
func withLimit(bounds []float64, limit spec.Duration) []float64 {
	at, there := slices.BinarySearch(bounds, limit.Seconds())
	if there || limit == 0 {
		return bounds
	}
	return slices.Insert(slices.Clone(bounds), at, limit.Seconds())
}

func newHistogram(bounds []float64) Histogram { return Histogram{Bounds: bounds} }

// tally counts values in nanoseconds by a Histogram's bounds. Its own bounds are
// in nanoseconds and padded with +Inf to one length, so that adding is eight to
// ten comparisons without a multiplication.
type tally struct {
	bounds []float64
	ns     [MaxBounds]float64
	counts [MaxBounds]int64
	count  int64
	sum    float64
}

func newTally(bounds []float64) tally {
	t := tally{bounds: bounds}
	for i := range t.ns {
		t.ns[i] = math.Inf(1)
	}
	for i, b := range bounds {
		t.ns[i] = math.Round(b * 1e9)
	}
	return t
}

func (t *tally) add(ns float64) {
	i := 0
	for i < MaxBounds-1 && ns > t.ns[i] {
		i++
	}
	t.counts[i]++
	t.count++
	t.sum += ns
}

func (t *tally) histogram() Histogram {
	return Histogram{Bounds: t.bounds, Counts: t.counts, Count: t.count, Sum: t.sum / 1e9}
}
