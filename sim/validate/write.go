package validate

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/spec"
)

// writers are the forms of a report, the default first.
var writers = []struct {
	name  string
	write func(io.Writer, *Report) error
}{
	{"text", Text}, {"json", JSON}, {"csv", CSV},
}

// Find is the writer of a form.
func Find(name string) (func(io.Writer, *Report) error, error) {
	var names []string
	for _, w := range writers {
		if w.name == name {
			return w.write, nil
		}
		names = append(names, w.name)
	}
	return nil, spec.UnknownName("format", name, names)
}

// JSON writes the report for programs.
func JSON(w io.Writer, r *Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// CSV writes one line a figure, with the predicted run's causes.
func CSV(w io.Writer, r *Report) error {
	out := csv.NewWriter(w)
	head := []string{"id", "metric", "measured", "predicted", "error", "hardware", "model", "engine", "regime"}
	for _, phase := range []string{"prefill_", "decode_"} {
		for _, name := range cost.CauseNames {
			head = append(head, phase+name)
		}
	}
	if err := out.Write(head); err != nil {
		return err
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	for i := range r.Rows {
		row := &r.Rows[i]
		line := []string{row.ID, row.Metric, number(row.Measured), number(row.Predicted), number(row.Error), row.Hardware, row.Model, row.Engine, string(row.Regime)}
		for _, of := range [][cost.NumCauses]float64{row.causes.Prefill, row.causes.Decode} {
			for _, v := range of {
				line = append(line, number(v))
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// worstRows deployments of each kind of metric are shown with their causes.
const worstRows = 10

// Text writes tables for people: by metric, then each metric by hardware, model,
// engine and regime; the worst rows with where their predicted time went; and how
// many rows were skipped for what.
func Text(w io.Writer, r *Report) error {
	out := &errWriter{w: w}
	if r.Partial {
		out.line("PARTIAL: interrupted before every row was run")
	}
	kinds := kindsOf(r.Rows)
	for _, kind := range kinds {
		rows := slices.DeleteFunc(slices.Clone(r.Rows), func(x Row) bool { return x.kind != kind })
		tables(out, kind, rows)
	}
	for _, kind := range kinds {
		worst(out, kind, r.Rows)
	}
	skipped(out, r.Skipped)
	return out.err
}

// errWriter keeps the first error, so that layout code need not look at each.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) line(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format+"\n", args...)
	}
}

// kindsOf lists the kinds of metric that there are rows of, in the order of metrics.
func kindsOf(rows []Row) (kinds []string) {
	for i := range metrics {
		kind := metrics[i].kind
		if !slices.Contains(kinds, kind) && slices.ContainsFunc(rows, func(r Row) bool { return r.kind == kind }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// tables writes one metric's statistics by all that rows are counted under.
func tables(out *errWriter, kind string, rows []Row) {
	width := len(kind)
	for i := range rows {
		width = max(width, len(rows[i].Hardware), len(rows[i].Model), len(rows[i].Engine), len(rows[i].Regime))
	}
	line := func(name string, s Stats) {
		out.line("%-*s  %6d  %6s  %6s  %6s  %5s  %5s  %5s", width, name, s.N, percent(s.MedianAPE), percent(s.MAPE), signed(s.Bias),
			percent(s.Within10), percent(s.Within20), percent(s.Within30))
	}
	out.line("%-*s  %6s  %6s  %6s  %6s  %5s  %5s  %5s", width, kind, "n", "median", "MAPE", "bias", "≤10%", "≤20%", "≤30%")
	line("all", statsOf(rows))
	for _, by := range []func(*Row) string{
		func(r *Row) string { return r.Hardware },
		func(r *Row) string { return r.Model },
		func(r *Row) string { return r.Engine },
		func(r *Row) string { return string(r.Regime) },
	} {
		out.line("")
		stats := statsBy(rows, by)
		for _, name := range slices.Sorted(maps.Keys(stats)) {
			line(name, stats[name])
		}
	}
	out.line("")
}

func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 0, 64) + "%" }

func signed(v float64) string { return fmt.Sprintf("%+.0f%%", 100*v) }

// worst writes a metric's deployments that are furthest off, by
// |ln(predicted/measured)|, with where their predicted time went. Rows of one
// deployment, measured more than once, share a place.
func worst(out *errWriter, kind string, rows []Row) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.kind != kind })
	far := func(r Row) float64 { return math.Abs(math.Log(max(1e-9, 1+r.Error))) }
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(far(b), far(a)) })
	out.line("worst %s", kind)
	for shown := 0; shown < worstRows && len(rows) > 0; shown++ {
		r := rows[0]
		rest := slices.DeleteFunc(slices.Clone(rows[1:]), func(x Row) bool { return x.causes == r.causes })
		more := ""
		if n := len(rows) - 1 - len(rest); n > 0 {
			more = fmt.Sprintf(", and %d more of this deployment", n)
		}
		out.line("  %+5.0f%%  %s: %.4g measured, %.4g predicted (%s, %s, %s, %s)%s", 100*r.Error, r.ID, r.Measured, r.Predicted, r.Hardware, r.Model, r.Engine, r.Regime, more)
		out.line("          %s", r.causes.String())
		if r.note != "" {
			out.line("          %s", r.note)
		}
		rows = rest
	}
	out.line("")
}

// String names the causes of at least 5 %, largest first.
func (c *Causes) String() string {
	s := c.Request
	parts := []string{fmt.Sprintf("requests: queue %s, prefill %s, transfer %s, decode %s, preempted %s",
		percent(s.Queue), percent(s.Prefill), percent(s.KVTransfer), percent(s.Decode), percent(s.Preempted))}
	for _, p := range []struct {
		name   string
		shares [cost.NumCauses]float64
	}{{"prefill", c.Prefill}, {"decode", c.Decode}} {
		order := make([]int, len(p.shares))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.shares[b], p.shares[a]) })
		var said []string
		for _, i := range order {
			if p.shares[i] >= 0.05 {
				said = append(said, cost.CauseNames[i]+" "+percent(p.shares[i]))
			}
		}
		if len(said) > 0 {
			parts = append(parts, p.name+": "+strings.Join(said, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// skipped counts rows by reason, the most frequent first.
func skipped(out *errWriter, rows []Skipped) {
	if len(rows) == 0 {
		return
	}
	count := map[string]int{}
	for _, s := range rows {
		count[s.Why]++
	}
	why := slices.Sorted(maps.Keys(count))
	slices.SortStableFunc(why, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	out.line("skipped %d rows", len(rows))
	for _, reason := range why {
		out.line("%6d  %s", count[reason], reason)
	}
}
