package sweep

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/result"
)

// stored is a finished or failed point as one line of a file. Its JSON is a stable
// surface.
type stored struct {
	ID          int               `json:"id"`
	Set         map[string]string `json:"set"`
	MeanContext float64           `json:"mean_context_tokens,omitempty"`
	KVBytes     float64           `json:"kv_bytes_at_mean_context,omitempty"`
	Result      json.RawMessage   `json:"result,omitempty"`
	Error       string            `json:"error,omitempty"`
}

// set is an outcome's settings by path.
func (out *Outcome) set() map[string]string {
	set := map[string]string{}
	for _, one := range out.Set {
		set[one.Path] = one.Value
	}
	return set
}

func settings(set map[string]string) string {
	var words []string
	for _, path := range slices.Sorted(maps.Keys(set)) {
		words = append(words, path+"="+set[path])
	}
	return cmp.Or(strings.Join(words, " "), "no settings")
}

// text is the result's JSON on one line: as it was read, if it was.
func (out *Outcome) text() (json.RawMessage, error) {
	if out.Result == nil || out.raw != nil {
		return out.raw, nil
	}
	return compact(out.Result)
}

// Line is a point that has ended as one line, its end included.
func (out *Outcome) Line() ([]byte, error) {
	text, err := out.text()
	if err != nil {
		return nil, err
	}
	p := stored{ID: out.ID, Set: out.set(), MeanContext: out.MeanContext, KVBytes: out.KVBytes, Result: text}
	if out.Err != nil {
		p.Error = out.Err.Error()
	}
	line, err := compact(&p)
	return append(line, '\n'), err
}

// Restore reads the lines of a sweep that was cut, as the points of the grid: those that
// have a result. Points that failed are left out, since what failed may have been mended.
// whole is how many bytes the lines take: what follows is a line that was torn when the
// program was killed, which does not count.
func Restore(name string, from io.Reader, points []Point) (finished []Outcome, whole int64, err error) {
	byID := make(map[int]*Outcome, len(points))
	lines := bufio.NewReader(from)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			for i := range points {
				if o := byID[points[i].ID]; o != nil {
					finished = append(finished, *o)
				}
			}
			return finished, whole, nil
		case err != nil:
			return nil, 0, fmt.Errorf("%s: %w", name, err)
		}
		o, err := restore(line, points)
		if err != nil {
			if _, last := lines.Peek(1); errors.Is(last, io.EOF) && errors.As(err, new(*json.SyntaxError)) {
				continue // torn, but for the end that came to disk first
			}
			return nil, 0, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if o.Result != nil {
			byID[o.ID] = o
		}
		whole += int64(len(line))
	}
}

func restore(line []byte, points []Point) (*Outcome, error) {
	var p stored
	if err := json.Unmarshal(line, &p); err != nil {
		return nil, fmt.Errorf("not a point of a sweep: %w", err)
	}
	if p.ID < 0 || p.ID >= len(points) {
		return nil, fmt.Errorf("point %d is not of this grid, which has %d", p.ID, len(points))
	}
	o := &Outcome{ID: p.ID, Set: points[p.ID].Set, MeanContext: p.MeanContext, KVBytes: p.KVBytes, raw: p.Result}
	if want := o.set(); !maps.Equal(p.Set, want) {
		return nil, fmt.Errorf("point %d has %s, this grid's has %s", p.ID, settings(p.Set), settings(want))
	}
	read, err := p.outcome()
	switch {
	case err != nil:
		return nil, fmt.Errorf("point %d: %w", p.ID, err)
	case read.Err == nil && read.Result == nil:
		return nil, fmt.Errorf("point %d: want either a result or an error", p.ID)
	}
	o.Result = read.Result
	return o, nil
}

// outcome is what a stored point holds, but for its settings.
func (p *stored) outcome() (*Outcome, error) {
	o := &Outcome{ID: p.ID, MeanContext: p.MeanContext, KVBytes: p.KVBytes, raw: p.Result}
	switch {
	case len(p.Result) > 0 && p.Error == "":
		o.Result = &result.Result{}
		if err := json.Unmarshal(p.Result, o.Result); err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
	case len(p.Result) > 0 || p.Error == "":
		return nil, errors.New("want either a result or an error")
	case p.Error != interrupted:
		o.Err = errors.New(p.Error)
	}
	return o, nil
}

// Partial is the JSON of a sweep that was cut off, made of the lines of its points: a line
// that was torn is left out.
func Partial(lines []byte) ([]byte, error) {
	d := document{Version: result.Version, Partial: true, Points: []stored{}}
	at := map[int]int{}
	for line := range bytes.Lines(lines) {
		var p stored
		if err := json.Unmarshal(line, &p); err != nil {
			continue
		}
		if i, again := at[p.ID]; again { // it failed, and has been run again
			d.Points[i] = p
			continue
		}
		at[p.ID] = len(d.Points)
		d.Points = append(d.Points, p)
	}
	slices.SortFunc(d.Points, func(a, b stored) int { return a.ID - b.ID })
	return compact(&d)
}
