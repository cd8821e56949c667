package traces

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/clustersim/clustersim/sim/des"
)

// csvColumns is how many columns of a CSV count.
const csvColumns = colOutput + 1

// csvFormat tells how a format of CSV names its columns and says when.
type csvFormat struct {
	columns [csvColumns]string
	more    bool                                         // other columns may stand beside these
	clock   func(*csvRows, []byte) (ns int64, err error) // of a cell of the first
}

// csvRows reads a trace of CSV with a line of names.
type csvRows struct {
	in     *input
	format *csvFormat
	order  [csvColumns]int // where each column stands
	width  int
	epoch  int64 // first timestamp, ns since 1970, of wall clocks
	begun  bool
}

func openCSV(in *input, format *csvFormat) (rows, error) {
	c := &csvRows{in: in, format: format}
	head, err := in.line()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: has no requests: it is empty", in.name)
	}
	if err != nil {
		return nil, err
	}
	names := cellsOf(head)
	c.width = len(names)
	for i, want := range format.columns {
		if c.order[i] = indexOf(names, want); c.order[i] < 0 || c.width != len(format.columns) && !format.more {
			return nil, in.errorf("columns must be %s, got %q", c.names(), clip(head))
		}
	}
	return c, nil
}

// cellsOf are the cells of a line without the space around them.
func cellsOf(line []byte) []string {
	cells := strings.Split(string(line), ",")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

func (c *csvRows) names() string { return strings.Join(c.format.columns[:], ",") }

func (c *csvRows) blockTokens() int { return 0 }

func (c *csvRows) field(at column, format string, args ...any) error {
	return c.in.errorf("%s: %s", c.format.columns[at], fmt.Sprintf(format, args...))
}

func (c *csvRows) read(r *Request) error {
	line, err := c.in.row()
	if err != nil {
		return err
	}
	if n := bytes.Count(line, []byte(",")) + 1; n != c.width {
		return c.in.errorf("has %d fields, want %d (%s)", n, c.width, c.names())
	}
	var cells [csvColumns][]byte
	for i, rest := 0, line; i < c.width; i++ {
		var cell []byte
		cell, rest, _ = bytes.Cut(rest, []byte(","))
		for at, place := range c.order {
			if place == i {
				cells[at] = bytes.TrimSpace(cell)
			}
		}
	}
	at, err := c.format.clock(c, cells[colArrival])
	if err != nil {
		return err
	}
	r.Arrival = des.Time(at)
	if r.InputTokens, err = c.tokens(colInput, cells[colInput]); err != nil {
		return err
	}
	r.OutputTokens, err = c.tokens(colOutput, cells[colOutput])
	return err
}

func (c *csvRows) tokens(at column, cell []byte) (int32, error) {
	n, ok := wholeNumber(cell)
	if !ok {
		return 0, c.field(at, "must be a whole number from 1 to %d, got %q", MaxTokens, clip(cell))
	}
	return clampTokens(n), nil
}
