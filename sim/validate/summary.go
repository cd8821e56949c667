package validate

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
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

// Summary holds the statistics of all rows, by each of the keys, and by the
// combinations that were asked for.
type Summary struct {
	Overall  Stats            `json:"overall"`
	Hardware map[string]Stats `json:"hardware"`
	Model    map[string]Stats `json:"model"`
	Engine   map[string]Stats `json:"engine"`
	Metric   map[string]Stats `json:"metric"`
	Regime   map[string]Stats `json:"regime"`
	Family   map[string]Stats `json:"family"`
	Mode     map[string]Stats `json:"mode"`
	Groups   []Group          `json:"groups,omitempty"`
}

// Group is the statistics of the rows that agree in some keys.
type Group struct {
	By []KeyValue `json:"by"`
	Stats
}

// KeyValue is one of the keys and what rows have there.
type KeyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// keys are what rows can be grouped by, in the order of tables.
var keys = []struct {
	name string
	of   func(*Row) string
}{
	{"hardware", func(r *Row) string { return r.Hardware }},
	{"family", func(r *Row) string { return r.Family }},
	{"model", func(r *Row) string { return r.Model }},
	{"engine", func(r *Row) string { return r.Engine }},
	{"mode", func(r *Row) string { return r.Mode }},
	{"regime", func(r *Row) string { return string(r.Regime) }},
	{"metric", func(r *Row) string { return r.Metric }},
}

// Keys lists what rows can be grouped by.
func Keys() []string {
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].name
	}
	return names
}

// ParseKeys reads keys with commas between; nothing is nil.
func ParseKeys(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	names := strings.Split(text, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
		if !slices.Contains(Keys(), names[i]) {
			return nil, spec.UnknownName("key", names[i], Keys())
		}
		if slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("%q is given twice", names[i])
		}
	}
	return names, nil
}

// key is what a row has at a key.
func (r *Row) key(name string) string {
	for i := range keys {
		if keys[i].name == name {
			return keys[i].of(r)
		}
	}
	panic("validate: unknown key " + name) // ParseKeys has seen it
}

func summarise(rows []Row, by []string) Summary {
	one := func(name string) map[string]Stats {
		out := map[string]Stats{}
		for _, g := range groups(rows, []string{name}) {
			out[g.By[0].Value] = g.Stats
		}
		return out
	}
	s := Summary{
		Overall: statsOf(rows), Hardware: one("hardware"), Model: one("model"), Engine: one("engine"),
		Metric: one("metric"), Regime: one("regime"), Family: one("family"), Mode: one("mode"),
	}
	if len(by) > 0 {
		s.Groups = groups(rows, by)
	}
	return s
}

// groups gives the statistics of every combination of values that rows have, sorted.
func groups(rows []Row, by []string) []Group {
	of := map[string][]Row{}
	for i := range rows {
		values := make([]string, len(by))
		for j, name := range by {
			values[j] = rows[i].key(name)
		}
		joined := strings.Join(values, "\x00")
		of[joined] = append(of[joined], rows[i])
	}
	out := make([]Group, 0, len(of))
	for _, joined := range slices.Sorted(maps.Keys(of)) {
		g := Group{Stats: statsOf(of[joined])}
		for j, value := range strings.Split(joined, "\x00") {
			g.By = append(g.By, KeyValue{by[j], value})
		}
		out = append(out, g)
	}
	return out
}

// label is a group's values, with slashes between.
func (g *Group) label() string {
	values := make([]string, len(g.By))
	for i := range g.By {
		values[i] = g.By[i].Value
	}
	return strings.Join(values, " / ")
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
