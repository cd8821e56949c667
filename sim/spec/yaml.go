package spec

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Problem is one fault in one place of an input file.
type Problem struct {
	File         string
	Line, Column int
	Path         string // dotted field path, "" when unknown
	Text         string
}

func (p Problem) Error() string {
	at := p.File
	if p.Line > 0 {
		at += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		at += ": " + p.Path
	}
	return at + ": " + p.Text
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
	root     *yaml.Node
	problems Problems
}

// Parse decodes YAML strictly into out (a pointer to a struct): unknown keys,
// wrong types and malformed units are all collected. The caller goes on to its
// own checks with Errorf and ends with Err; out must not be used when Err is
// not nil. name is what errors call the file.
func Parse(name string, data []byte, out any) *Doc {
	doc := &Doc{file: name}
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		doc.add(err, nil)
		return doc
	}
	doc.root = &root
	if err := yaml.Load(data, out, yaml.WithKnownFields()); err != nil {
		doc.add(err, out)
	}
	return doc
}

var unknownField = regexp.MustCompile(`field (\S+) not found in type`)

func (d *Doc) add(err error, out any) {
	var many *yaml.LoadErrors
	if !errors.As(err, &many) {
		var one *yaml.LoadError
		if errors.As(err, &one) {
			d.problems = append(d.problems, Problem{File: d.file, Line: one.Mark.Line, Column: one.Mark.Column, Text: clean(one.Error())})
			return
		}
		d.problems = append(d.problems, Problem{File: d.file, Text: clean(err.Error())})
		return
	}
	for _, e := range many.Errors {
		p := Problem{File: d.file, Line: e.Mark.Line, Column: e.Mark.Column}
		msg := e.Error()
		if m := unknownField.FindStringSubmatch(msg); m != nil {
			p.Text = fmt.Sprintf("unknown key %q", m[1])
			if near := Nearest(m[1], fieldNames(reflect.TypeOf(out), map[reflect.Type]bool{})); near != "" {
				p.Text += fmt.Sprintf("; did you mean %q?", near)
			}
		} else {
			p.Text = clean(msg)
		}
		d.problems = append(d.problems, p)
	}
}

var position = regexp.MustCompile(`^(yaml: )?((construct|parse|scan|load)\w* errors?:?\s*)?(line \d+(, column \d+)?: )?`)

func clean(msg string) string { return position.ReplaceAllString(strings.TrimSpace(msg), "") }

// Errorf records a fault of the field at a dotted path such as
// "decode.experts.redundant" or "tiers[1].size".
func (d *Doc) Errorf(path, format string, args ...any) {
	p := Problem{File: d.file, Path: path, Text: fmt.Sprintf(format, args...)}
	p.Line, p.Column = d.find(path)
	d.problems = append(d.problems, p)
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
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		var i int
		if _, err := fmt.Sscanf(part, "%d", &i); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// fieldNames lists the YAML keys that a type knows, at any depth.
func fieldNames(t reflect.Type, seen map[reflect.Type]bool) []string {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Array) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); tag != "" && tag != "-" {
			names = append(names, tag)
		}
		names = append(names, fieldNames(f.Type, seen)...)
	}
	return names
}
