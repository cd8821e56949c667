package validate

import (
	"io"
	"slices"
	"strconv"
	"strings"
)

// Markdown writes tables for a page: a line a group, a column a kind of metric.
func Markdown(w io.Writer, r *Report) error {
	out := &errWriter{w: w}
	if r.Partial {
		out.line("PARTIAL: interrupted before every row was run")
		out.line("")
	}
	kinds := kindsOf(r.Rows)
	out.line("Each cell: median error, bias (median signed error), share of figures within 30 %%, number of figures.")
	for _, by := range groupings(r.by) {
		out.line("")
		out.line("| %s | %s |", strings.Join(by, " / "), strings.Join(kinds, " | "))
		out.line("|%s", strings.Repeat("---|", 1+len(kinds)))
		if len(r.by) == 0 && by[0] == keys[0].name {
			out.line("| all | %s |", strings.Join(cells(r.Rows, kinds), " | "))
		}
		for _, g := range groups(r.Rows, by) {
			rows := slices.DeleteFunc(slices.Clone(r.Rows), func(x Row) bool {
				return slices.ContainsFunc(g.By, func(kv KeyValue) bool { return x.key(kv.Key) != kv.Value })
			})
			out.line("| %s | %s |", g.label(), strings.Join(cells(rows, kinds), " | "))
		}
	}
	return out.err
}

// cells are the statistics of rows by kind of metric, nothing where there are none.
func cells(rows []Row, kinds []string) []string {
	out := make([]string, len(kinds))
	for i, kind := range kinds {
		of := slices.DeleteFunc(slices.Clone(rows), func(x Row) bool { return x.kind != kind })
		if s := statsOf(of); s.N > 0 {
			out[i] = percent(s.MedianAPE) + ", " + signed(s.Bias) + ", " + percent(s.Within30) + " (" + strconv.Itoa(s.N) + ")"
		}
	}
	return out
}
