package validate

import (
	"math"
	"slices"
)

// Stats is how far predictions are from measurements, e = predicted/measured − 1.
type Stats struct {
	N         int     `json:"n"`
	MAPE      float64 `json:"mape"`       // mean |e|
	MedianAPE float64 `json:"median_ape"` // median |e|; the mean of the two middle ones when n is even
	Bias      float64 `json:"bias"`       // median e
	Within10  float64 `json:"within_10"`  // share of rows with |e| ≤ 0.10
	Within20  float64 `json:"within_20"`
	Within30  float64 `json:"within_30"`
}

// Summary holds the statistics of all rows and by what they are counted under.
type Summary struct {
	Overall  Stats            `json:"overall"`
	Hardware map[string]Stats `json:"hardware"`
	Model    map[string]Stats `json:"model"`
	Engine   map[string]Stats `json:"engine"`
	Metric   map[string]Stats `json:"metric"`
	Regime   map[string]Stats `json:"regime"`
}

func summarise(rows []Row) Summary {
	return Summary{
		Overall:  statsOf(rows),
		Hardware: statsBy(rows, func(r *Row) string { return r.Hardware }),
		Model:    statsBy(rows, func(r *Row) string { return r.Model }),
		Engine:   statsBy(rows, func(r *Row) string { return r.Engine }),
		Metric:   statsBy(rows, func(r *Row) string { return r.Metric }),
		Regime:   statsBy(rows, func(r *Row) string { return string(r.Regime) }),
	}
}

func statsBy(rows []Row, key func(*Row) string) map[string]Stats {
	out := map[string]Stats{}
	for k, of := range group(rows, key) {
		out[k] = statsOf(of)
	}
	return out
}

func group(rows []Row, key func(*Row) string) map[string][]Row {
	out := map[string][]Row{}
	for i := range rows {
		k := key(&rows[i])
		out[k] = append(out[k], rows[i])
	}
	return out
}

func statsOf(rows []Row) Stats {
	s := Stats{N: len(rows)}
	if s.N == 0 {
		return s
	}
	signed, absolute := make([]float64, s.N), make([]float64, s.N)
	for i := range rows {
		e := rows[i].Error
		signed[i], absolute[i] = e, math.Abs(e)
		s.MAPE += math.Abs(e)
	}
	s.MAPE /= float64(s.N)
	slices.Sort(signed)
	slices.Sort(absolute)
	s.Bias, s.MedianAPE = median(signed), median(absolute)
	s.Within10, s.Within20, s.Within30 = within(absolute, 0.1), within(absolute, 0.2), within(absolute, 0.3)
	return s
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// within is the share of sorted absolute errors that are at most limit.
func within(sorted []float64, limit float64) float64 {
	i, _ := slices.BinarySearchFunc(sorted, limit, func(e, l float64) int {
		if e <= l {
			return -1
		}
		return 1
	})
	return float64(i) / float64(len(sorted))
}
