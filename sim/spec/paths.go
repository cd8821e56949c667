package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Paths lists the paths of every value that a type of description may hold, sorted.
// A star stands for the names of a map and for the elements of a list.
func Paths(t reflect.Type) []string {
	out := leaves("", nil, t, nil)
	slices.Sort(out)
	return out
}

// Paths lists the paths of every value of the file and of those that it leaves out,
// sorted; the elements of a list by name where they have one.
func (d *Doc) Paths() []string {
	root := d.patched
	if root == nil && d.root != nil && len(d.root.Content) == 1 {
		root = d.root.Content[0]
	}
	out := leaves("", root, d.t, nil)
	slices.Sort(out)
	return slices.Compact(out)
}

// leaves adds the paths below a place; n is nil where no file says what is there.
func leaves(path string, n *yaml.Node, t reflect.Type, into []string) []string {
	t = pointed(t)
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	join := func(key string) string { return strings.TrimPrefix(path+"."+key, ".") }
	switch {
	case isLeaf(t) || strings.Count(path, ".") > maxDepth:
	case t != nil && t.Kind() == reflect.Struct:
		known := fields(t, map[string]reflect.Type{})
		for _, key := range names(known) {
			into = leaves(join(key), child(n, key), known[key], into)
		}
		return into
	case isList(n, t) && n != nil && len(n.Content) > 0 && (n.Content[0].Kind != yaml.ScalarNode):
		for i, c := range n.Content {
			into = leaves(join(elementName(n, i)), c, element(t), into)
		}
		return into
	case isList(n, t) && n == nil && !isLeaf(pointed(element(t))):
		return leaves(join("*"), nil, element(t), into)
	case n != nil && n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			into = leaves(join(n.Content[i].Value), n.Content[i+1], element(t), into)
		}
		return into
	case n == nil && t != nil && t.Kind() == reflect.Map:
		return leaves(join("*"), nil, element(t), into)
	}
	if path == "" {
		return into
	}
	return append(into, path)
}

// maxDepth ends a listing where types or aliases go round in a circle.
const maxDepth = 32

// elementName is the name of a list's element where it is one to call it by, else its index.
func elementName(n *yaml.Node, i int) string {
	name := child(n.Content[i], "name")
	if name == nil || name.Kind != yaml.ScalarNode || name.Value == "" || strings.ContainsAny(name.Value, ".[]*") {
		return strconv.Itoa(i)
	}
	if _, err := strconv.Atoi(name.Value); err == nil {
		return strconv.Itoa(i)
	}
	if found, _, _ := elements(n, nil, name.Value); len(found) != 1 {
		return strconv.Itoa(i)
	}
	return name.Value
}

// Lookup gives the value at a dotted path of the file, with the patches laid over it.
func (d *Doc) Lookup(path string) (value any, ok bool) {
	n := d.patched
	if n == nil && d.root != nil && len(d.root.Content) == 1 {
		n = d.root.Content[0]
	}
	for _, part := range split(path) {
		if n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		n = child(n, part)
	}
	if n == nil || n.Load(&value) != nil {
		return nil, false
	}
	return value, true
}

// PatchOf is the patch that says the value at a path, or a part of it.
func (d *Doc) PatchOf(path string) (patch string, ok bool) {
	i, _, ok := d.responsible(path)
	if !ok {
		return "", false
	}
	return d.patches[i].String(), true
}

// responsible is the patch whose value is at a path or around it; else, with
// within, one of those inside what is there.
func (d *Doc) responsible(path string) (patch int, within, ok bool) {
	for at := path; at != ""; at = parent(at) {
		if i, said := d.said[at]; said {
			return i, false, true
		}
	}
	patch = len(d.patches)
	for at, i := range d.said {
		if path == "" || strings.HasPrefix(at, path+".") || strings.HasPrefix(at, path+"[") {
			patch = min(patch, i)
		}
	}
	return patch, true, patch < len(d.patches)
}

func parent(path string) string {
	if i := strings.LastIndexAny(path, ".["); i > 0 {
		return path[:i]
	}
	return ""
}

// blame names the patch that a fault in a patched value comes from.
func (d *Doc) blame(p *Problem) {
	if p.Line < patchLine {
		return
	}
	p.Patch = d.patches[p.Line-patchLine].String()
	p.Line, p.Column = 0, 0
}

// blameFor names the patch that a fault found by a check comes from. A fault around
// patched values may be the file's own: it keeps its place there and names the patch too.
func (d *Doc) blameFor(p *Problem) {
	i, within, ok := d.responsible(p.Path)
	switch {
	case !ok:
	case within:
		p.Text += fmt.Sprintf(" (with patch %s)", d.patches[i])
	default:
		p.Patch, p.Line, p.Column = d.patches[i].String(), 0, 0
	}
}

// Where says which place of the file, or which patch, gives the value at a dotted path, in
// the way of errors: "file:line:column: path", or "patch path=value".
func (d *Doc) Where(path string) string {
	p := Problem{File: d.file, Path: path}
	p.Line, p.Column = d.find(path)
	d.blameFor(&p)
	p.Text = ""
	return strings.TrimSuffix(p.Error(), ": ")
}
