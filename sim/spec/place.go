package spec

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	empty      = "the file is empty"
	unknownKey = "unknown key"
)

// mark is a position in a file, both numbers from 1.
type mark struct{ line, column int }

// place is what belongs at a position of a file: of a value its type, of a key the
// keys that may stand there.
type place struct {
	path  string
	value reflect.Type
	keys  []string
}

// survey notes the place of every node that out's type knows, and reports tags that
// nothing would read. Aliases are not followed: what they stand for is surveyed where it is written.
func (d *Doc) survey(n *yaml.Node, t reflect.Type, path string, places map[mark]place) {
	if n.Style&yaml.TaggedStyle != 0 && !strings.HasPrefix(n.ShortTag(), "!!") {
		p := Problem{File: d.file, Line: n.Line, Column: n.Column, Path: path, Text: fmt.Sprintf("unknown tag %s", n.ShortTag())}
		d.blame(&p)
		d.problems = append(d.problems, p)
	}
	t = pointed(t)
	if n.Kind != yaml.DocumentNode {
		places[mark{n.Line, n.Column}] = place{path: path, value: t}
	}
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			d.survey(c, t, path, places)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			d.survey(c, element(t), fmt.Sprintf("%s[%d]", path, i), places)
		}
	case yaml.MappingNode:
		fields := fields(t, map[string]reflect.Type{})
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, inner := n.Content[i], element(t)
			if t != nil && t.Kind() == reflect.Struct {
				inner = fields[key.Value]
			}
			// A block mapping stands where its first key does; this serves both.
			places[mark{key.Line, key.Column}] = place{path: path, value: t, keys: names(fields)}
			d.survey(n.Content[i+1], inner, strings.TrimPrefix(path+"."+key.Value, "."), places)
		}
	}
}

// element is the type of what a list or a map holds, nil of anything else.
func element(t reflect.Type) reflect.Type {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map) {
		return t.Elem()
	}
	return nil
}

// pointed is the type that pointers lead to.
func pointed(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fields are the YAML keys of a struct, those of inlined structs among them.
func fields(t reflect.Type, into map[string]reflect.Type) map[string]reflect.Type {
	if t = pointed(t); t == nil || t.Kind() != reflect.Struct {
		return into
	}
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(options, "inline"):
			fields(f.Type, into)
		case key == "" && f.IsExported():
			into[strings.ToLower(f.Name)] = f.Type
		case key != "" && key != "-":
			into[key] = f.Type
		}
	}
	return into
}

func names(fields map[string]reflect.Type) []string {
	return slices.Sorted(maps.Keys(fields))
}

var (
	unknownField  = regexp.MustCompile(`(?s)^field (.*) not found in type `)
	wrongType     = regexp.MustCompile("(?s)^cannot construct !*(\\S*)(?: `(.*)`)? into (.*)$")
	definedBefore = regexp.MustCompile(`(?s)^mapping key (".*") already defined at line (\d+)$`)
)

// plain says what the library found, in the words of somebody who writes YAML and
// has not read its source.
func plain(e *yaml.LoadError, at place) string {
	msg := strings.TrimPrefix(strings.TrimPrefix(e.Message, "yaml: "), "merge-key: ")
	if m := unknownField.FindStringSubmatch(msg); m != nil {
		text := fmt.Sprintf("%s %q", unknownKey, Clip(m[1]))
		if near := Nearest(m[1], at.keys); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		} else if len(at.keys) > 0 {
			text += fmt.Sprintf(" (known: %s)", strings.Join(at.keys, ", "))
		}
		return text
	}
	if m := wrongType.FindStringSubmatch(msg); m != nil {
		return mismatch(at, strings.TrimSuffix(strings.TrimLeft(m[3], "*"), " (TextUnmarshaler)"), given(m[1], m[2]))
	}
	if m := definedBefore.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("key %s is given twice, first on line %s", m[1], m[2])
	}
	switch {
	case strings.Contains(msg, "no documents in stream"):
		return empty
	case strings.Contains(msg, "expected single document"):
		return "a second document begins here; a file holds one"
	}
	if e.ContextMsg != "" && e.ContextMark != e.Mark {
		msg += fmt.Sprintf(" (%s that begins at %d:%d)", e.ContextMsg, e.ContextMark.Line, e.ContextMark.Column)
	}
	return msg
}

// mismatch explains a value that is not of the type (in Go's name) that was
// wanted. One that fits where it is written is in the wrong place where an alias names it.
func mismatch(at place, goType, got string) string {
	switch {
	case at.value != nil && at.value.String() == goType:
		return fmt.Sprintf("want %s, got %s", wanted(at.value), got)
	case at.keys != nil && goType == "string":
		return fmt.Sprintf("a key must be text, got %s", got)
	}
	return fmt.Sprintf("an alias puts this where it does not fit: %s", got)
}

// units are the types of quantities, with what their text looks like.
var units = map[reflect.Type]string{
	reflect.TypeFor[Bytes]():     wantBytes,
	reflect.TypeFor[Bandwidth](): wantBandwidth,
	reflect.TypeFor[Duration]():  wantDuration,
	reflect.TypeFor[Compute]():   wantCompute,
	reflect.TypeFor[Power]():     wantPower,
}

// wanted names a type by what its text looks like.
func wanted(t reflect.Type) string {
	if want, ok := units[t]; ok {
		return want
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "text"
	}
	switch k := t.Kind(); {
	case k >= reflect.Int && k <= reflect.Int64:
		return "a whole number"
	case k >= reflect.Uint && k <= reflect.Uint64:
		return "a whole number of at least 0"
	case k == reflect.Float32 || k == reflect.Float64:
		return "a number"
	case k == reflect.Bool:
		return "true or false"
	case k == reflect.Slice || k == reflect.Array:
		return "a list"
	case k == reflect.Map || k == reflect.Struct:
		return "keys with values"
	}
	return "text"
}

func given(tag, text string) string {
	switch {
	case tag == "seq":
		return "a list"
	case tag == "map":
		return "keys with values"
	case tag == "str":
		return strconv.Quote(Clip(text))
	case tag == "null":
		return "nothing"
	}
	return text
}

// unreadable finds the first thing in a file that is not text.
func unreadable(data []byte) (Problem, bool) {
	at := mark{1, 1}
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			return Problem{Line: at.line, Column: at.column, Text: fmt.Sprintf("byte %#02x is not UTF-8 text", rest[0])}, true
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f {
			return Problem{Line: at.line, Column: at.column, Text: fmt.Sprintf("control character %#02x in a text file", r)}, true
		}
		at.column++
		if r == '\n' {
			at = mark{at.line + 1, 1}
		}
		rest = rest[size:]
	}
	return Problem{}, false
}

// secondDocument is where the second document of a stream begins: a line of --- or
// what follows a line of ... after something that is not a comment.
func secondDocument(data []byte) (line, column int) {
	some, ended := false, false
	for i, text := range strings.Split(string(data), "\n") {
		text = strings.TrimRight(text, " \t\r")
		switch {
		case text == "" || text[0] == '#' || !some && text[0] == '%':
		case text == "...":
			ended = some
		case some && (ended || text == "---" || strings.HasPrefix(text, "--- ")):
			return i + 1, 1
		default:
			some = true
		}
	}
	return 0, 0
}

func startsWithTab(data []byte, line int) bool {
	lines := strings.SplitN(string(data), "\n", line+1)
	return line <= len(lines) && strings.HasPrefix(strings.TrimLeft(lines[line-1], " "), "\t")
}
