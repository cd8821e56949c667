package validate

import (
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/metrics"
)

// Distribution compares all requests of a replayed run, one latency at a time.
type Distribution struct {
	ID     string `json:"id"`
	Metric string `json:"metric"` // ttft_ms, tpot_ms, e2e_ms
	N      int    `json:"n"`
	// KS is the Kolmogorov–Smirnov distance: the largest difference of the two
	// cumulative distributions.
	KS float64 `json:"ks"`
	// Wasserstein is the mean distance between equal ranks, as a share of the
	// measured mean.
	Wasserstein float64 `json:"wasserstein"`
	// RankCorrelation is Spearman's, of requests: whether those that were slow are
	// those that are predicted slow.
	RankCorrelation float64 `json:"rank_correlation"`
	MedianAPE       float64 `json:"median_ape"` // of single requests
}

// replayed are the latencies of a replayed run, in the order of distributions.
var replayed = []struct {
	name string
	of   func(*Served) float64
}{
	{"ttft_ms", func(s *Served) float64 { return s.TTFT }},
	{"tpot_ms", func(s *Served) float64 { return s.TPOT }},
	{"e2e_ms", func(s *Served) float64 { return s.E2E }},
}

// measures are the percentiles and means of what was measured.
func (r *Replay) measures() (out []Measure) {
	for _, m := range replayed {
		var sample metrics.Sample
		for i := range r.Served {
			if v := m.of(&r.Served[i]); !math.IsNaN(v) {
				sample.Add(v)
			}
		}
		q := sample.Quantiles()
		if q.Count == 0 {
			continue
		}
		for _, f := range []Measure{{"_mean", q.Mean}, {"_p50", q.P50}, {"_p90", q.P90}, {"_p99", q.P99}} {
			if f.Value > 0 {
				out = append(out, Measure{m.name + f.Metric, f.Value})
			}
		}
	}
	return out
}

// compare holds predicted requests, in the order of the trace, against the measured
// ones. A request without a TPOT in either is left out of TPOT.
func (r *Replay) compare(id string, predicted []Served) (out []Distribution) {
	for _, m := range replayed {
		var was, is []float64
		for i := range r.Served {
			a, b := m.of(&r.Served[i]), m.of(&predicted[i])
			if !math.IsNaN(a) && !math.IsNaN(b) {
				was, is = append(was, a), append(is, b)
			}
		}
		if len(was) == 0 {
			continue
		}
		d := Distribution{ID: id, Metric: m.name, N: len(was), RankCorrelation: spearman(was, is)}
		apart := make([]float64, len(was))
		for i := range was {
			apart[i] = math.Abs(is[i]/was[i] - 1)
		}
		slices.Sort(apart)
		d.MedianAPE = median(apart)
		slices.Sort(was)
		slices.Sort(is)
		d.KS, d.Wasserstein = kolmogorov(was, is), wasserstein(was, is)
		out = append(out, d)
	}
	return out
}

// kolmogorov is the largest difference between the distributions of two sorted lists.
func kolmogorov(a, b []float64) (most float64) {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return most
}

// wasserstein is the mean distance of equal ranks of two sorted lists of one length,
// over the mean of the first.
func wasserstein(a, b []float64) float64 {
	apart, sum := 0.0, 0.0
	for i := range a {
		apart += math.Abs(a[i] - b[i])
		sum += a[i]
	}
	return apart / sum
}

// spearman is the correlation of ranks; equal values share their mean rank. Values
// that are all equal have none: 0.
func spearman(a, b []float64) float64 {
	x, y := ranks(a), ranks(b)
	middle := float64(len(x)-1) / 2
	var xy, xx, yy float64
	for i := range x {
		xy += (x[i] - middle) * (y[i] - middle)
		xx += (x[i] - middle) * (x[i] - middle)
		yy += (y[i] - middle) * (y[i] - middle)
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

func ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case v[i] < v[j]:
			return -1
		case v[i] > v[j]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(v))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && v[order[j]] == v[order[i]] {
			j++
		}
		for k := i; k < j; k++ {
			out[order[k]] = float64(i+j-1) / 2
		}
		i = j
	}
	return out
}
