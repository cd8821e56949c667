package validate

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
)

// table reads a CSV file with a header strictly: the needed columns, as many cells
// in every row, cells of the right type. Faults are collected with file, line and
// column name.
type table struct {
	file     string
	in       *csv.Reader
	column   map[string]int
	names    []string
	filters  []Filter
	row      []string
	line     int
	problems spec.Problems
}

// maxProblems of a file are reported; what follows is likely more of the same.
const maxProblems = 20

func newTable(file string, data []byte, needed []string, o *ReadOptions) (*table, error) {
	t := &table{file: file, column: map[string]int{}, filters: o.Filters}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%s: is not UTF-8 text", file)
	}
	t.in = csv.NewReader(bytes.NewReader(data))
	t.in.ReuseRecord = true
	header, err := t.in.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, plainCSV(err))
	}
	for i, name := range header {
		if _, twice := t.column[name]; twice {
			t.fail(1, name, "column is given twice")
		}
		t.column[name] = i
		t.names = append(t.names, name)
	}
	for _, name := range needed {
		if _, has := t.column[name]; !has {
			t.fail(1, name, "column is missing")
		}
	}
	for _, f := range o.Filters {
		if _, has := t.column[f.Column]; !has {
			t.problems = append(t.problems, spec.Problem{File: file, Text: spec.UnknownName("column", f.Column, t.names).Error()})
		}
	}
	if len(t.problems) > 0 {
		return nil, t.problems
	}
	return t, nil
}

// next moves to the next row that the filters keep.
func (t *table) next() bool {
	for len(t.problems) < maxProblems {
		row, err := t.in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return false
		case err != nil:
			var at *csv.ParseError
			if errors.As(err, &at) {
				t.fail(at.Line, "", "%v", plainCSV(err))
			} else {
				t.fail(0, "", "%v", err)
			}
			if errors.Is(err, csv.ErrFieldCount) {
				continue
			}
			return false
		}
		t.row = row
		t.line, _ = t.in.FieldPos(0)
		if t.kept() {
			return true
		}
	}
	return false
}

func (t *table) kept() bool {
	for _, f := range t.filters {
		if t.row[t.column[f.Column]] != f.Value {
			return false
		}
	}
	return true
}

func plainCSV(err error) error {
	var at *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the file is empty")
	case errors.Is(err, csv.ErrFieldCount):
		return errors.New("the row has not as many cells as the header")
	case errors.As(err, &at):
		return at.Err
	}
	return err
}

func (t *table) fail(line int, column, format string, args ...any) {
	p := spec.Problem{File: t.file, Path: column, Text: fmt.Sprintf(format, args...)}
	if p.Line = line; line > 0 {
		p.Column = 1
		if i, has := t.column[column]; has && line == t.line {
			_, p.Column = t.in.FieldPos(i)
		}
	}
	t.problems = append(t.problems, p)
}

// at names the row.
func (t *table) at() string { return t.file + ":" + strconv.Itoa(t.line) }

// text is a cell without the blanks around it.
func (t *table) text(column string) string { return strings.TrimSpace(t.row[t.column[column]]) }

// optional is a cell of a column that not every such file has.
func (t *table) optional(column string) string {
	if _, has := t.column[column]; !has {
		return ""
	}
	return t.text(column)
}

// whole is a cell's whole number in [lo, hi]; an empty cell is 0 where optional.
func (t *table) whole(column string, lo, hi int, optional bool) int {
	text := t.text(column)
	if text == "" && optional {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < lo || n > hi {
		t.fail(t.line, column, "must be a whole number from %d to %d, got %q", lo, hi, text)
	}
	return n
}

// figure is a cell's measured figure, a finite number above 0; an empty cell is 0.
func (t *table) figure(column string) float64 {
	text := t.text(column)
	if text == "" {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		t.fail(t.line, column, "must be a number above 0, got %q", text)
		return 0
	}
	return v
}

// measure is a metric of a column in a unit of it.
type measure struct {
	column, metric string
	unit           float64
}

// measures are the figures that the row has.
func (t *table) measures(of []measure) (out []Measure) {
	for _, m := range of {
		if v := t.figure(m.column); v > 0 {
			out = append(out, Measure{m.metric, v * m.unit})
		}
	}
	return out
}

// truth is a cell's True or False.
func (t *table) truth(column string) bool {
	switch text := t.text(column); strings.ToLower(text) {
	case "true":
		return true
	case "false":
		return false
	default:
		t.fail(t.line, column, "must be True or False, got %q", text)
	}
	return false
}

// stated is a row of a file: the case without its scenario, and what makes that from
// what the row states; its error says why the row cannot be run.
type stated struct {
	Case
	scenario func(*ReadOptions) (*scenario.Scenario, error)
	without  []Skipped // figures of the row that are left out
}

// cases makes a case of every row. Rows with faulty cells are reported, rows that do
// not state a scenario are listed as skipped.
func (t *table) cases(o *ReadOptions, read func(*table) stated) (*Set, error) {
	set := &Set{}
	for t.next() {
		faults := len(t.problems)
		row := read(t)
		if len(t.problems) > faults {
			continue
		}
		c := row.Case
		var err error
		if c.Scenario, err = row.scenario(o); err == nil {
			err = c.place(o)
		}
		if err != nil {
			set.Skipped = append(set.Skipped, Skipped{c.ID, oneLine(err)})
			continue
		}
		set.Cases = append(set.Cases, c)
		set.Skipped = append(set.Skipped, row.without...)
	}
	return set, t.err()
}

func (t *table) err() error {
	if len(t.problems) == 0 {
		return nil
	}
	return t.problems
}
