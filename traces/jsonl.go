package traces

import (
	"bytes"
	"fmt"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/spec"
)

// jsonField is one key of a format of JSON lines.
type jsonField struct {
	name     string
	required bool
}

// jsonFormat tells how a format of JSON lines names and counts things.
type jsonFormat struct {
	fields [jsonColumns]jsonField // by column; no name: the format has none
	places int                    // arrival × 10^places is nanoseconds
	block  int                    // tokens an id, 0 when a header says
	strict bool                   // unknown keys are errors
}

// Columns that only some formats of JSON lines have, behind those of all.
const (
	colSession column = colPrefix + 1 + iota
	colVersion
	colBlock
	jsonColumns
)

// jsonRows reads a trace of JSON lines.
type jsonRows struct {
	in     *input
	format *jsonFormat
	block  int
	ids    []uint64 // lent to the request until the next line
	lines  int      // that were not blank
}

// jsonLine is what one line holds.
type jsonLine struct {
	seen    [jsonColumns]bool
	arrival int64
	number  [jsonColumns]int64
	session uint64
}

func (j *jsonRows) blockTokens() int { return j.block }

func (j *jsonRows) field(c column, format string, args ...any) error {
	return j.in.errorf("%s: %s", j.format.fields[c].name, fmt.Sprintf(format, args...))
}

// read skips blank lines and the header.
func (j *jsonRows) read(r *Request) error {
	for {
		line, err := j.in.row()
		if err != nil {
			return err
		}
		j.lines++
		var l jsonLine
		if err := j.parse(line, &l); err != nil {
			return err
		}
		if l.seen[colVersion] || l.seen[colBlock] {
			if err := j.header(&l); err != nil {
				return err
			}
			continue
		}
		return j.request(&l, r)
	}
}

func (j *jsonRows) request(l *jsonLine, r *Request) error {
	for c, f := range j.format.fields {
		if f.required && !l.seen[c] {
			return j.field(column(c), "is missing")
		}
	}
	if len(j.ids) > 0 && j.block == 0 {
		return j.field(colPrefix, "needs block_tokens in the header, the first line: {\"clustersim_trace\":1,\"block_tokens\":16}")
	}
	*r = Request{Arrival: des.Time(l.arrival), InputTokens: clampTokens(l.number[colInput]),
		OutputTokens: clampTokens(l.number[colOutput]), Session: l.session}
	if len(j.ids) > 0 {
		r.Prefix = j.ids
	}
	return nil
}

// parse reads one object into l, and its ids into j.ids.
func (j *jsonRows) parse(line []byte, l *jsonLine) error {
	j.ids = j.ids[:0]
	s := scanner{b: line}
	if !s.take('{') {
		return j.in.errorf("must be a JSON object, got %q", clip(line))
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return j.syntax(&s, "wants a comma or }")
		}
		key, ok := s.text()
		if !ok {
			return j.syntax(&s, "wants a key in quotes")
		}
		c, known := j.format.column(key)
		if !s.take(':') {
			return j.syntax(&s, "wants a colon behind the key")
		}
		if !known {
			if err := j.unknown(&s, key); err != nil {
				return err
			}
			continue
		}
		if l.seen[c] {
			return j.field(c, "is given twice")
		}
		l.seen[c] = true
		if err := j.value(&s, c, l); err != nil {
			return err
		}
	}
	if !s.end() {
		return j.syntax(&s, "wants nothing behind the object")
	}
	return nil
}

func (j *jsonRows) syntax(s *scanner, want string) error {
	return fmt.Errorf("%s:%d:%d: not valid JSON: %s, got %q", j.in.name, j.in.number, s.at+1, want, clip(s.b[min(s.at, len(s.b)):]))
}

func (f *jsonFormat) column(key []byte) (column, bool) {
	for c := range f.fields {
		if f.fields[c].name != "" && string(key) == f.fields[c].name {
			return column(c), true
		}
	}
	return 0, false
}

// unknown skips a key that other tools may add, or refuses it in our own format.
func (j *jsonRows) unknown(s *scanner, key []byte) error {
	if !j.format.strict {
		if !s.skip() {
			return j.syntax(s, "wants a value of "+clip(key))
		}
		return nil
	}
	var names []string
	for _, f := range j.format.fields {
		if f.name != "" {
			names = append(names, f.name)
		}
	}
	return fmt.Errorf("%s:%d:%d: %w", j.in.name, j.in.number, s.at, spec.UnknownName("key", clip(key), names))
}

func (j *jsonRows) value(s *scanner, c column, l *jsonLine) (err error) {
	if c == colPrefix {
		if j.ids, err = s.ids(j.ids); err != nil {
			return j.field(c, "%s", err)
		}
		return nil
	}
	text, ok := s.number()
	if !ok {
		return j.field(c, "is not a number: %q", clip(s.b[min(s.at, len(s.b)):]))
	}
	switch c {
	case colArrival:
		if l.arrival, ok = fixedPoint(text, j.format.places); !ok {
			return j.field(c, "%s is past the clock's %d years", clip(text), maxTime/nsPerYear)
		}
	case colSession:
		if l.session, ok = unsigned(text); !ok {
			return j.field(c, "must be a whole number from 0 to 2^64-1, got %s", clip(text))
		}
	default:
		if l.number[c], ok = wholeNumber(text); !ok {
			return j.field(c, "must be a whole number from 1 to %d, got %s", MaxTokens, clip(text))
		}
	}
	return nil
}

// hasKeys sniffs JSON lines by keys in the head of the file.
func hasKeys(head []byte, keys ...string) bool {
	if trimmed := bytes.TrimLeft(head, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return false
	}
	for _, k := range keys {
		if !bytes.Contains(head, []byte(`"`+k+`"`)) {
			return false
		}
	}
	return true
}
