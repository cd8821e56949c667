package calibrate

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/typeset"
)

// Format is one way to print a report.
type Format struct {
	Name  string
	Write func(io.Writer, *Report) error
}

// Formats are all of them.
func Formats() []Format {
	return []Format{{"text", writeText}, {"json", writeJSON}, {"csv", writeCSV}}
}

// Find is the writer of a format.
func Find(name string) (func(io.Writer, *Report) error, error) {
	var names []string
	for _, f := range Formats() {
		if f.Name == name {
			return f.Write, nil
		}
		names = append(names, f.Name)
	}
	return nil, spec.UnknownName("format", name, names)
}

func writeJSON(w io.Writer, r *Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func writeText(to io.Writer, r *Report) error {
	w := typeset.NewPage(to)
	fmt.Fprintf(w, "%s: %d rows of %d files; errors are |predicted/measured − 1|: median/p90 %% (bias)\n\n", r.Chip, r.Rows, len(r.Files))
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "CLASS\tVARIANT\tKERNEL\tN\tFITTED\tSHAPES LEFT OUT\tCHIP FILE NOW")
	for _, f := range r.Fits {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", f.Class, f.Variant, f.Kernel, f.Residual.Rows, f.Residual, f.HeldOut, f.Before)
	}
	t.Flush()
	fmt.Fprintln(w, "\nby rows (tokens, or sequences of a decode) and by part, fitted · chip file now")
	for _, f := range r.Fits {
		fmt.Fprintf(t, "%s %s", f.Class, f.Variant)
		for _, s := range f.BySize {
			fmt.Fprintf(t, "\t%s: %s · %s", s.Name, s.Residual, s.Before)
		}
		fmt.Fprintln(t)
		for _, s := range f.ByPart {
			fmt.Fprintf(t, "  %s\tn %d: %s · %s\n", s.Name, s.Residual.Rows, s.Residual, s.Before)
		}
	}
	t.Flush()
	fmt.Fprintln(w, "\nconstants, with the chip file's where it differs; ~ marks what no row decides")
	for _, f := range r.Fits {
		fmt.Fprintf(w, "%s %s:%s\n", f.Class, f.Variant, f.constants())
		if len(f.Others) > 0 {
			fmt.Fprintf(w, "  other kernels, by their time over this one's: %s\n", strings.Join(f.Others, ", "))
		}
	}
	fmt.Fprintln(w, "\nleft out:")
	for _, l := range r.LeftOut {
		fmt.Fprintf(t, "%d\t%s\t%s\n", l.Rows, l.Why, l.File)
	}
	return errors.Join(t.Flush(), w.Flush())
}

// String is median/p90 (bias) in percent, "-" of nothing.
func (r Residual) String() string {
	if r.Rows == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f/%.0f (%+.0f)", r.Median, r.P90, r.Bias)
}

func (f *Fit) constants() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(f.Fitted)) {
		mark := ""
		if slices.Contains(f.Loose, key) {
			mark = "~"
		}
		fmt.Fprintf(&b, " %s%s=%.4g", mark, key, f.Fitted[key])
		if old, ok := f.Shipped[key]; ok && old != f.Fitted[key] {
			fmt.Fprintf(&b, " (%.4g)", old)
		}
	}
	return b.String()
}

var csvHeader = []string{
	"chip", "class", "variant", "kernel", "slice", "rows", "median_pct", "p90_pct", "bias_pct", "before_median_pct", "before_p90_pct", "before_bias_pct",
}

// writeCSV is one line a class, its held-out test and its slices; of the held-out
// test there is nothing before.
func writeCSV(w io.Writer, r *Report) error {
	c := csv.NewWriter(w)
	c.Write(csvHeader)
	g := func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
	for _, f := range r.Fits {
		line := func(name string, after, before Residual) {
			cells := []string{r.Chip, f.Class, f.Variant, f.Kernel, name, strconv.Itoa(after.Rows), g(after.Median), g(after.P90), g(after.Bias), "", "", ""}
			if before.Rows > 0 {
				cells[9], cells[10], cells[11] = g(before.Median), g(before.P90), g(before.Bias)
			}
			c.Write(cells)
		}
		line("all", f.Residual, f.Before)
		line("held out", f.HeldOut, Residual{})
		for _, s := range slices.Concat(f.BySize, f.ByPart) {
			line(s.Name, s.Residual, s.Before)
		}
	}
	c.Flush()
	return c.Error()
}

// WriteOperators writes the operators block of a chip's file with the fitted
// constants, their residuals and source.
func WriteOperators(w io.Writer, r *Report, source string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# fitted for %s: put under its chip file's keys; classes without timings come from its ancestor\noperators:\n", r.Chip)
	class := ""
	for _, f := range r.Fits {
		if f.Class != class {
			class = f.Class
			fmt.Fprintf(&b, "  %s:\n", class)
		}
		fmt.Fprintf(&b, "    %s: {", f.Variant)
		for _, key := range f.order() {
			fmt.Fprintf(&b, "%s: %s, ", key, strconv.FormatFloat(f.Fitted[key], 'g', -1, 64))
		}
		fmt.Fprintf(&b, "rows: %d, median_error_pct: %.1f, p90_error_pct: %.1f, source: %s}\n",
			f.Rows, f.Residual.Median, f.Residual.P90, strconv.Quote(fmt.Sprintf("%s, kernel %s; shapes left out %.1f/%.1f", source, f.Kernel, f.HeldOut.Median, f.HeldOut.P90)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// order is the constants as the form lists them, given ones last.
func (f *Fit) order() []string {
	form := formOf(f.Class, f.Variant)
	var keys []string
	for _, c := range form.constants {
		keys = append(keys, c.key)
	}
	return append(keys, slices.Sorted(maps.Keys(form.fixed))...)
}
