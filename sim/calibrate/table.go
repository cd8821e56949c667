package calibrate

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/clustersim/clustersim/sim/spec"
)

// maxFaults is how many faults of a file are collected before reading stops.
const maxFaults = 20

// table is a CSV file that is read row by row. Faults of cells are collected with
// their place; a row that has one yields nothing.
type table struct {
	name   string
	csv    *csv.Reader
	header []string
	column map[string]int
	cells  []string
	faults []error
	bad    bool // the row at hand has a fault
}

// unpack is the plain text of a file that may be packed with zstd or gzip.
func unpack(name string, file io.Reader) (io.Reader, error) {
	r := bufio.NewReader(file)
	head, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, fmt.Errorf("%s: broken zstd data: %w", name, err)
		}
		return z, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("%s: broken gzip data: %w", name, err)
		}
		return z, nil
	}
	return r, nil
}

func openTable(name string, file io.Reader) (*table, error) {
	plain, err := unpack(name, file)
	if err != nil {
		return nil, err
	}
	t := &table{name: name, csv: csv.NewReader(plain), column: map[string]int{}}
	t.csv.ReuseRecord = true
	header, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: is empty; want a header line", name)
	}
	if err != nil {
		return nil, t.broken(err)
	}
	t.header = slices.Clone(header)
	for i, h := range t.header {
		t.header[i] = strings.TrimPrefix(strings.TrimSpace(h), "\ufeff")
		if _, twice := t.column[t.header[i]]; twice {
			t.fault(i, "column %q is there twice", t.header[i])
		}
		t.column[t.header[i]] = i
	}
	return t, errors.Join(t.faults...)
}

// known reports columns that no reader of the schema knows.
func (t *table) known(columns []string) error {
	for i, h := range t.header {
		if !slices.Contains(columns, h) {
			t.fault(i, "%v", spec.UnknownName("column", h, columns))
		}
	}
	return errors.Join(t.faults...)
}

func (t *table) has(column string) bool { _, ok := t.column[column]; return ok }

// next moves to the next row; false at the end, or when the file cannot be read on.
func (t *table) next() bool {
	if len(t.faults) >= maxFaults {
		t.faults = append(t.faults, fmt.Errorf("%s: and perhaps more; the first %d are listed", t.name, maxFaults))
		return false
	}
	cells, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return false
	}
	if err != nil {
		t.faults = append(t.faults, t.broken(err))
		return false
	}
	t.cells, t.bad = cells, false
	return true
}

// broken puts an error of reading in the words of the others.
func (t *table) broken(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("%s:%d:%d: %w", t.name, p.Line, p.Column, p.Err)
	}
	if t.header == nil {
		return fmt.Errorf("%s: cannot be read: %w", t.name, err)
	}
	line, _ := t.csv.FieldPos(0)
	return fmt.Errorf("%s:%d: cannot be read on: %w", t.name, line+1, err)
}

func (t *table) fault(field int, format string, args ...any) {
	line, column := t.csv.FieldPos(field)
	t.faults = append(t.faults, fmt.Errorf("%s:%d:%d: %s", t.name, line, column, fmt.Sprintf(format, args...)))
	t.bad = true
}

// faultIn is a fault of the cell in a named column.
func (t *table) faultIn(column, format string, args ...any) {
	t.fault(t.column[column], column+": "+format, args...)
}

// text is a cell; of a column that the table has not, "".
func (t *table) text(column string) string {
	if i, ok := t.column[column]; ok {
		return t.cells[i]
	}
	return ""
}

// number is a cell that must be a number from low to high.
func (t *table) number(column string, low, high float64) float64 {
	i, ok := t.column[column]
	if !ok {
		if !t.bad {
			t.fault(0, "the table has no column %q, which this operator's rows need", column)
		}
		return low
	}
	v, err := strconv.ParseFloat(t.cells[i], 64)
	if err != nil || !(v >= low && v <= high) || math.IsInf(v, 0) {
		t.faultIn(column, "want a number from %g to %g, got %q", low, high, t.cells[i])
		return low
	}
	return v
}

// Bounds of the counts that tables hold.
const (
	maxCount  = 1 << 31
	maxTokens = 1 << 40
)

// count is a number of at least one; maybe is one that may be zero.
func (t *table) count(column string) float64 { return t.number(column, 1, maxCount) }
func (t *table) maybe(column string) float64 { return t.number(column, 0, maxTokens) }

// optional is maybe for a column that some tables have not.
func (t *table) optional(column string) float64 {
	if !t.has(column) {
		return 0
	}
	return t.maybe(column)
}
