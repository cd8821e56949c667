package validate

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/typeset"
)

// worstRows deployments of each kind of metric are shown with their causes.
const worstRows = 10

// Text writes tables for people: each kind of metric by each of the keys; the worst
// rows with where their predicted time went; what was assumed beyond what rows
// state; and how many rows were skipped for what.
func Text(w io.Writer, r *Report) error {
	page := typeset.NewPage(w)
	out := &errWriter{w: page}
	if r.Partial {
		out.line("PARTIAL: interrupted before every row was run")
	}
	kinds := kindsOf(r.Rows)
	for _, kind := range kinds {
		rows := slices.DeleteFunc(slices.Clone(r.Rows), func(x Row) bool { return x.kind != kind })
		tables(out, kind, rows, r.by)
	}
	distributions(out, r.Distributions)
	for _, kind := range kinds {
		worst(out, kind, r.Rows)
	}
	assumed(out, r.Rows)
	skipped(out, r.Skipped)
	return errors.Join(out.err, page.Flush())
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

// kindsOf lists the kinds of metric that there are rows of, in the order of figures.
func kindsOf(rows []Row) (kinds []string) {
	for i := range figures {
		kind := figures[i].kind
		if !slices.Contains(kinds, kind) && slices.ContainsFunc(rows, func(r Row) bool { return r.kind == kind }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// tables writes one metric's statistics: by the grouping that was asked for, or by
// each key in turn.
func tables(out *errWriter, kind string, rows []Row, by []string) {
	blocks := groupings(by)
	width := len(kind)
	listed := make([][]Group, len(blocks))
	for i, block := range blocks {
		listed[i] = groups(rows, block)
		for j := range listed[i] {
			width = max(width, len(listed[i][j].label()))
		}
	}
	line := func(name string, s Stats) {
		out.line("%-*s  %6d  %6s  %6s  %6s  %5s  %5s  %5s", width, name, s.N, percent(s.MedianAPE), percent(s.MAPE), signed(s.Bias),
			percent(s.Within10), percent(s.Within20), percent(s.Within30))
	}
	out.line("%-*s  %6s  %6s  %6s  %6s  %5s  %5s  %5s", width, kind, "n", "median", "MAPE", "bias", "≤10%", "≤20%", "≤30%")
	line("all", statsOf(rows))
	for _, list := range listed {
		out.line("")
		for i := range list {
			line(list[i].label(), list[i].Stats)
		}
	}
	out.line("")
}

// groupings are the tables that are printed: the one that was asked for, or one a
// key. Rows of one kind of metric are together already.
func groupings(by []string) (out [][]string) {
	if len(by) > 0 {
		return [][]string{by}
	}
	for i := range keys {
		if keys[i].name != "metric" {
			out = append(out, []string{keys[i].name})
		}
	}
	return out
}

// distributions writes the comparison of replayed runs request by request.
func distributions(out *errWriter, all []Distribution) {
	if len(all) == 0 {
		return
	}
	width := len("request by request")
	for i := range all {
		width = max(width, len(all[i].ID)+1+len(all[i].Metric))
	}
	out.line("%-*s  %6s  %6s  %11s  %9s  %6s", width, "request by request", "n", "KS", "Wasserstein", "rank corr", "median")
	for i := range all {
		d := &all[i]
		out.line("%-*s  %6d  %6.3f  %11s  %9.3f  %6s", width, d.ID+" "+d.Metric, d.N, d.KS, percent(d.Wasserstein), d.RankCorrelation, percent(d.MedianAPE))
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
		rest := slices.DeleteFunc(slices.Clone(rows[1:]), func(x Row) bool { return x.Causes == r.Causes })
		more := ""
		if n := len(rows) - 1 - len(rest); n > 0 {
			more = fmt.Sprintf(", and %d more of this deployment", n)
		}
		out.line("  %+5.0f%%  %s: %.4g measured, %.4g predicted (%s, %s, %s, %s)%s", 100*r.Error, r.ID, r.Measured, r.Predicted, r.Hardware, r.Model, r.Engine, r.Regime, more)
		out.line("          %s", r.Causes.String())
		if r.Note != "" {
			out.line("          %s", r.Note)
		}
		for _, text := range r.Assumed {
			out.line("          assumed: %s", text)
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
		shares [cause.Count]float64
	}{{"prefill", c.Prefill}, {"decode", c.Decode}} {
		order := make([]int, len(p.shares))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.shares[b], p.shares[a]) })
		var said []string
		for _, i := range order {
			if p.shares[i] >= 0.05 {
				said = append(said, cause.Names[i]+" "+percent(p.shares[i]))
			}
		}
		if len(said) > 0 {
			parts = append(parts, p.name+": "+strings.Join(said, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// assumed lists what the cases have that their rows do not state, with how many
// cases each, the most frequent first.
func assumed(out *errWriter, rows []Row) {
	of := map[string]map[string]bool{}
	cases := map[string]bool{}
	for i := range rows {
		for _, text := range rows[i].Assumed {
			if of[text] == nil {
				of[text] = map[string]bool{}
			}
			of[text][rows[i].ID], cases[rows[i].ID] = true, true
		}
	}
	if len(of) == 0 {
		return
	}
	count := map[string]int{}
	for text, ids := range of {
		count[text] = len(ids)
	}
	out.line("assumed in %d cases, which their rows do not state", len(cases))
	counted(out, count)
	out.line("")
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
	out.line("skipped %d rows", len(rows))
	counted(out, count)
}

func counted(out *errWriter, count map[string]int) {
	texts := slices.Sorted(maps.Keys(count))
	slices.SortStableFunc(texts, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	for _, text := range texts {
		out.line("%6d  %s", count[text], text)
	}
}
