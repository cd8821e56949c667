package result

import (
	"encoding/json"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Seeds are the figures of a scenario that ran with several seeds: their mean, and half
// the width of the interval in which the mean of all seeds is in 19 of 20 cases. In JSON
// all of them stand in one object beside n.
type Seeds struct {
	N       int
	Figures map[string]Interval
}

// Interval is a mean of N runs and half the width of its 95 % interval by Student's t:
// t(0.975, N−1) · s / √N.
type Interval struct {
	Mean        float64 `json:"mean"`
	HalfWidth95 float64 `json:"half_width_95"`
}

// figure is one of what is compared between seeds.
type figure struct {
	name string
	of   func(*Result) float64
}

// figures are all there are: every latency's mean and percentiles, throughput, goodput.
var figures = func() []figure {
	var all []figure
	for _, l := range []struct {
		name string
		of   func(*Latency) *Distribution
	}{
		{"ttft_ms", func(l *Latency) *Distribution { return &l.TTFT }}, {"tpot_ms", func(l *Latency) *Distribution { return &l.TPOT }},
		{"itl_ms", func(l *Latency) *Distribution { return &l.ITL }}, {"e2e_ms", func(l *Latency) *Distribution { return &l.E2E }},
	} {
		for _, q := range []struct {
			name string
			of   func(*Distribution) float64
		}{
			{"mean", func(d *Distribution) float64 { return d.Mean }}, {"p50", func(d *Distribution) float64 { return d.P50 }},
			{"p90", func(d *Distribution) float64 { return d.P90 }}, {"p95", func(d *Distribution) float64 { return d.P95 }},
			{"p99", func(d *Distribution) float64 { return d.P99 }},
		} {
			all = append(all, figure{l.name + "_" + q.name, func(r *Result) float64 { return q.of(l.of(&r.Latency)) }})
		}
	}
	return append(all,
		figure{"requests_per_s", func(r *Result) float64 { return r.Throughput.RequestsPerS }},
		figure{"input_tokens_per_s", func(r *Result) float64 { return r.Throughput.InputTokensPerS }},
		figure{"output_tokens_per_s", func(r *Result) float64 { return r.Throughput.OutputTokensPerS }},
		figure{"output_tokens_per_s_per_chip", func(r *Result) float64 { return r.Throughput.OutputTokensPerSPerChip }},
		figure{"goodput_fraction", func(r *Result) float64 { return r.Goodput.Fraction }},
		figure{"goodput_requests_per_s", func(r *Result) float64 { return r.Goodput.RequestsPerS }},
	)
}()

// Figures are the names of what several seeds give an interval of.
func Figures() []string {
	names := make([]string, len(figures))
	for i, f := range figures {
		names[i] = f.name
	}
	return names
}

// OverSeeds sums up runs that differ in their seeds alone. Of one run nothing is known of
// others, and there is no interval: nil.
func OverSeeds(runs []*Result) *Seeds {
	if len(runs) < 2 {
		return nil
	}
	s := &Seeds{N: len(runs), Figures: make(map[string]Interval, len(figures))}
	values := make([]float64, len(runs))
	for _, f := range figures {
		for i, r := range runs {
			values[i] = f.of(r)
		}
		s.Figures[f.name] = interval(values)
	}
	return s
}

func interval(values []float64) Interval {
	n := float64(len(values))
	mean, sd := stat.MeanStdDev(values, nil)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975)
	return Interval{Mean: mean, HalfWidth95: t * sd / math.Sqrt(n)}
}

// MarshalJSON writes {"n": 5, "ttft_ms_p99": {"mean": …, "half_width_95": …}, …}.
func (s *Seeds) MarshalJSON() ([]byte, error) {
	names, values := []string{"n"}, []any{s.N}
	for _, f := range figures {
		if i, there := s.Figures[f.name]; there {
			names, values = append(names, f.name), append(values, i)
		}
	}
	return object(names, values)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seeds) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	if err := json.Unmarshal(all["n"], &s.N); err != nil {
		return fmt.Errorf("n: %w", err)
	}
	s.Figures = map[string]Interval{}
	for _, f := range figures {
		raw, there := all[f.name]
		if !there {
			continue
		}
		var i Interval
		if err := json.Unmarshal(raw, &i); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		s.Figures[f.name] = i
	}
	return nil
}
