package spec

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Problem is one fault in one place of an input file, or in a patch laid over it.
type Problem struct {
	File         string
	Line, Column int
	Path         string // dotted field path, "" when unknown
	Text         string
	Patch        string // what is at fault instead of a place in the file, path=value
}

func (p Problem) Error() string {
	at := p.File
	if p.Patch != "" {
		at = "patch " + p.Patch
	}
	if p.Line > 0 {
		at += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" && !p.patchSays(p.Path) {
		at += ": " + p.Path
	}
	return at + ": " + p.Text
}

// patchSays reports whether a path is the patch's own.
func (p Problem) patchSays(path string) bool {
	own, _, _ := strings.Cut(p.Patch, "=")
	return own == path || strings.HasSuffix(own, "."+path)
}

// Problems are all the faults of one file, in the order of their lines.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Doc is a parsed YAML file that remembers where each field stands, so that a
// check made after decoding can still point at the line.
type Doc struct {
	file     string
	root     *yaml.Node // as the file has it, for positions
	t        reflect.Type
	problems Problems

	loaded  bool           // it was decoded, but for what the problems say
	patches Patches        // laid over the file, in the order in which they were
	patched *yaml.Node     // the file with them
	said    map[string]int // which of them says the value of a place
}

// Parse decodes YAML strictly into out (a pointer to a struct): unknown keys, keys
// given twice, unknown tags, wrong types and malformed units are all collected. The
// caller goes on to its own checks with Errorf and ends with Err; out must not be
// used when Err is not nil. name is what errors call the file.
func Parse(name string, data []byte, out any) *Doc {
	doc := &Doc{file: name, t: reflect.TypeOf(out)}
	if p, bad := unreadable(data); bad {
		p.File = name
		doc.problems = append(doc.problems, p)
		return doc
	}
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		doc.add(err, data, nil)
		return doc
	}
	doc.root = &root
	if len(root.Content) == 1 && root.Content[0].ShortTag() == "!!null" {
		doc.problems = append(doc.problems, Problem{File: name, Text: empty})
	}
	if n := crowded(&root); n != nil {
		doc.problems = append(doc.problems, Problem{File: name, Line: n.Line, Column: n.Column,
			Text: fmt.Sprintf("%d keys stand side by side here; at most %d do in a description", len(n.Content)/2, mostKeys)})
		return doc
	}
	places := map[mark]place{}
	doc.survey(&root, reflect.TypeOf(out), "", places)
	if err := yaml.Load(data, out, yaml.WithKnownFields()); err != nil {
		doc.add(err, data, places)
	}
	doc.loaded = true
	return doc
}

// Loaded reports whether the file is YAML of a size that is read; some of its keys and
// values may be wrong.
func (d *Doc) Loaded() bool { return d.loaded }

// mostKeys is how many keys a mapping may have: the time to compare them with each other
// grows with the square of their number.
const mostKeys = 4096

// crowded is a mapping with too many keys, nil when there is none.
func crowded(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode && len(n.Content) > 2*mostKeys {
		return n
	}
	for _, c := range n.Content {
		if found := crowded(c); found != nil {
			return found
		}
	}
	return nil
}

// add takes over the library's errors in plain words.
func (d *Doc) add(err error, data []byte, places map[mark]place) {
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	var all []*yaml.LoadError
	switch {
	case errors.As(err, &many):
		all = many.Errors
	case errors.As(err, &one):
		all = []*yaml.LoadError{one}
	default:
		all = []*yaml.LoadError{{Message: err.Error()}}
	}
	for _, e := range all {
		p := Problem{File: d.file, Line: e.Mark.Line, Column: e.Mark.Column}
		at := places[mark{p.Line, p.Column}]
		p.Path, p.Text = at.path, plain(e, at)
		d.blame(&p)
		switch {
		case strings.Contains(e.Message, "expected single document"):
			p.Line, p.Column = secondDocument(data)
		case p.Line > 0 && e.Stage == yaml.ScannerStage && startsWithTab(data, p.Line):
			p.Text = "a tab cannot indent; use spaces"
		}
		d.problems = append(d.problems, p)
	}
}

// Errorf records a fault of the field at a dotted path such as
// "decode.experts.redundant" or "tiers[1].size".
func (d *Doc) Errorf(path, format string, args ...any) {
	p := Problem{File: d.file, Path: path, Text: fmt.Sprintf(format, args...)}
	p.Line, p.Column = d.find(path)
	d.blameFor(&p)
	d.problems = append(d.problems, p)
}

// ErrorAt records a fault at a place that the caller has kept.
func (d *Doc) ErrorAt(line, column int, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Column: column, Path: path, Text: fmt.Sprintf(format, args...)})
}

// ErrorfUnlessFaulty is Errorf where nothing is known to be wrong yet: a fault at
// the path, around it or within it leaves nothing to be said about the value. An
// unknown key beside it does not.
func (d *Doc) ErrorfUnlessFaulty(path, format string, args ...any) {
	for _, p := range d.problems {
		if strings.HasPrefix(p.Text, unknownKey) {
			continue
		}
		if p.Path == "" || p.Path == path || strings.HasPrefix(path, p.Path+".") || strings.HasPrefix(p.Path, path+".") {
			return
		}
	}
	d.Errorf(path, format, args...)
}

// Wrap records what went wrong with another description that this one names at a
// path. What is wrong with patches stands for itself.
func (d *Doc) Wrap(path string, err error) {
	var problems Problems
	if !errors.As(err, &problems) {
		d.Errorf(path, "%v", err)
		return
	}
	var rest Problems
	for _, p := range problems {
		if p.Patch != "" && p.Line == 0 {
			d.problems = append(d.problems, p)
		} else {
			rest = append(rest, p)
		}
	}
	if len(rest) > 0 {
		d.Errorf(path, "%v", rest)
	}
}

// Explain says where unknown keys have gone, by their dotted paths.
func (d *Doc) Explain(gone map[string]string) {
	for i := range d.problems {
		p := &d.problems[i]
		rest, unknown := strings.CutPrefix(p.Text, unknownKey+` "`)
		key, _, _ := strings.Cut(rest, `"`)
		if text, ok := gone[strings.TrimPrefix(p.Path+"."+key, ".")]; unknown && ok {
			p.Text = fmt.Sprintf("%s %q: %s", unknownKey, key, text)
		}
	}
}

// Err returns every fault found, or nil.
func (d *Doc) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	sort.SliceStable(d.problems, func(i, j int) bool { return d.problems[i].Line < d.problems[j].Line })
	return d.problems
}

// find gives the position of the deepest part of path that is in the file.
func (d *Doc) find(path string) (line, column int) {
	if d.root == nil || len(d.root.Content) == 0 {
		return 0, 0
	}
	n := d.root.Content[0]
	line, column = n.Line, n.Column
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := child(n, part)
		if next == nil {
			return line, column
		}
		n, line, column = next, next.Line, next.Column
	}
	return line, column
}

func child(n *yaml.Node, part string) *yaml.Node {
	switch {
	case n == nil:
	case n.Kind == yaml.MappingNode:
		if i := valueAt(n, part); i >= 0 {
			return n.Content[i]
		}
	case n.Kind == yaml.SequenceNode:
		var i int
		if _, err := fmt.Sscanf(part, "%d", &i); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// valueAt is where a mapping's Content has the value of a key, -1 if nowhere.
func valueAt(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i + 1
		}
	}
	return -1
}
