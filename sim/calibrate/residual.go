package calibrate

import (
	"math"
	"slices"
	"strings"
)

// softness is where the loss turns from square to linear: errors of 10 %.
const softness = 0.1

// Residual is how far predictions are from measurements: percentiles of
// |predicted/measured − 1|, and the median of the signed error, in percent.
type Residual struct {
	Rows   int     `json:"rows"`
	Median float64 `json:"median_pct"`
	P90    float64 `json:"p90_pct"`
	Bias   float64 `json:"bias_pct"`
}

// residualOf sorts the signed errors.
func residualOf(errors []float64) Residual {
	n := len(errors)
	if n == 0 {
		return Residual{}
	}
	slices.Sort(errors)
	bias := middle(errors)
	for i, e := range errors {
		errors[i] = math.Abs(e)
	}
	slices.Sort(errors)
	return Residual{Rows: n, Median: 100 * middle(errors), P90: 100 * errors[min(n*9/10, n-1)], Bias: 100 * bias}
}

// middle is the median of sorted values.
func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// sizes are the ranges of rows (tokens, sequences) that residuals are also given by.
var sizes = [...]struct {
	name string
	upTo float64
}{{"1-16", 16}, {"17-256", 256}, {"257-4096", 4096}, {">4096", math.Inf(1)}}

func sizeOf(s *Sample) int {
	for i := range sizes {
		if s.Size <= sizes[i].upTo {
			return i
		}
	}
	return len(sizes) - 1
}

// rare is the weight of a shape that hardly any layer has.
const rare = 0.1

// weigh gives every range of sizes that has rows the same weight in all, so that what
// decode runs counts as much as what a long prompt does; the sum is the rows'. A range
// of few rows counts each of them at most as three. Prompts weigh alike whatever their
// length: no step lives of prompts of 16 tokens.
func weigh(samples []*Sample) []float64 {
	w := make([]float64, len(samples))
	var sums [len(sizes)]float64
	total, ranges := 0.0, 0.0
	for i, s := range samples {
		if w[i] = 1; s.Rare {
			w[i] = rare
		}
		if sums[sizeOf(s)] == 0 {
			ranges++
		}
		sums[sizeOf(s)] += w[i]
		total += w[i]
	}
	for i, s := range samples {
		even := 1.0
		if !strings.HasSuffix(s.Class, "_prefill") {
			even = min(total/(ranges*sums[sizeOf(s)]), 3)
		}
		w[i] *= even * float64(len(samples)) / total
	}
	return w
}
