package recipe

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// Table is a list of deployments whose scripts differ in numbers alone.
type Table struct {
	File string `yaml:"file"`
	// Match are the columns that hold facts; the others hold values.
	Match []string `yaml:"match"`

	rows []row
}

// row is one deployment.
type row struct {
	facts [][]string // by Match: what the run may state
	set   Values
}

// read reads the file, which lies in a folder of from. Faults of the recipe go to doc.
func (t *Table) read(from fs.FS, dir string, doc *spec.Doc) error {
	for i, name := range t.Match {
		if !slices.Contains(Known(), name) {
			doc.Errorf(fmt.Sprintf("table.match[%d]", i), "%v", spec.UnknownName("fact", name, Known()))
		}
	}
	if len(t.Match) == 0 || t.File == "" {
		doc.Errorf("table", "needs file, a CSV file beside the recipe, and match, its columns that are facts")
	}
	if doc.Err() != nil {
		return nil
	}
	name := path.Join(dir, t.File)
	data, err := spec.Description.Read(from.Open(name))
	if err != nil {
		doc.Errorf("table.file", "%v", err)
		return nil
	}
	in := csv.NewReader(bytes.NewReader(data))
	records, err := in.ReadAll()
	var at *csv.ParseError
	switch {
	case errors.As(err, &at):
		return spec.Problems{{File: name, Line: at.Line, Column: at.Column, Text: at.Err.Error()}}
	case len(records) < 2:
		return spec.Problems{{File: name, Text: "want a header and rows"}}
	}
	return t.take(name, records)
}

// take makes rows of a file's records.
func (t *Table) take(name string, records [][]string) error {
	header := records[0]
	var problems spec.Problems
	for _, m := range t.Match {
		if !slices.Contains(header, m) {
			problems = append(problems, spec.Problem{File: name, Line: 1, Column: 1, Path: m, Text: "column is missing"})
		}
	}
	if len(problems) > 0 {
		return problems
	}
	first := map[string]int{} // line by the facts of a row
	for i, record := range records[1:] {
		line := i + 2
		r := row{facts: make([][]string, len(t.Match))}
		for j, cell := range record {
			column := slices.Index(t.Match, header[j])
			switch {
			case column >= 0:
				r.facts[column] = strings.Fields(cell)
			case cell != "":
				r.set = append(r.set, Value{Path: header[j], Text: cell, file: name, line: line, column: j + 1})
			}
		}
		for _, key := range r.keys() {
			if first[key] > 0 {
				problems = append(problems, spec.Problem{File: name, Line: line, Column: 1, Text: fmt.Sprintf("is for the same run as line %d: %s", first[key], key)})
			}
			first[key] = line
		}
		t.rows = append(t.rows, r)
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// keys are all combinations of the facts that the row is for.
func (r *row) keys() []string {
	keys := []string{""}
	for _, cell := range r.facts {
		var next []string
		for _, k := range keys {
			for _, v := range cell {
				next = append(next, strings.TrimLeft(k+" "+v, " "))
			}
		}
		keys = next
	}
	return keys
}

// find is the row for what a run states, nil when there is none.
func (t *Table) find(f *Facts) *row {
	for i := range t.rows {
		fits := true
		for j, name := range t.Match {
			fits = fits && slices.Contains(t.rows[i].facts[j], f.text(name))
		}
		if fits {
			return &t.rows[i]
		}
	}
	return nil
}
