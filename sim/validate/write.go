package validate

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/spec"
)

// writers are the forms of a report, the default first.
var writers = []struct {
	name  string
	write func(io.Writer, *Report) error
}{
	{"text", Text}, {"json", JSON}, {"csv", CSV}, {"markdown", Markdown},
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
	head := []string{"id", "metric", "measured", "predicted", "error", "hardware", "model", "engine", "regime", "family", "mode"}
	for _, phase := range []string{"prefill_", "decode_"} {
		for _, name := range cause.Names {
			head = append(head, phase+name)
		}
	}
	head = append(head, "assumed", "note")
	if err := out.Write(head); err != nil {
		return err
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	for i := range r.Rows {
		row := &r.Rows[i]
		line := []string{row.ID, row.Metric, number(row.Measured), number(row.Predicted), number(row.Error), row.Hardware, row.Model, row.Engine, string(row.Regime), row.Family, row.Mode}
		for _, of := range [][cause.Count]float64{row.Causes.Prefill, row.Causes.Decode} {
			for _, v := range of {
				line = append(line, number(v))
			}
		}
		line = append(line, strings.Join(row.Assumed, "; "), row.Note)
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
