package spec

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// patchLine is where the lines of patched values begin: the n-th patch is on the
// n-th line from here, each of its values in a column of its own.
const patchLine = 1 << 30

// maxNodes bounds what aliases may grow a file to before patches are laid over it.
const maxNodes = 1 << 20

// ParseOver is Parse with patches laid over the file. The file is read as strictly
// as without them, and its own faults are all that is said if it has any. out must
// be as new.
func ParseOver(name string, data []byte, patches Patches, out any) *Doc {
	if len(patches) == 0 {
		return Parse(name, data, out)
	}
	t := reflect.TypeOf(out)
	doc := Parse(name, data, reflect.New(t.Elem()).Interface())
	if len(doc.problems) > 0 {
		return doc
	}
	l := &overlay{doc: doc, spelled: map[string]string{}}
	budget := maxNodes
	root, err := unshare(doc.root.Content[0], &budget)
	if err != nil {
		doc.problems = append(doc.problems, Problem{File: name, Text: err.Error()})
		return doc
	}
	doc.patches, doc.patched, doc.said = inOrder(patches, root, t), root, map[string]int{}
	for i, p := range doc.patches {
		if err := l.lay(i, p, t); err != nil {
			doc.problems = append(doc.problems, Problem{File: name, Patch: p.String(), Text: err.Error()})
		}
	}
	if len(doc.problems) > 0 {
		return doc
	}
	places := map[mark]place{}
	doc.survey(root, t, "", places)
	if err := root.Load(out, yaml.WithKnownFields()); err != nil {
		doc.add(err, data, places)
	}
	return doc
}

// unshare copies a tree with every alias and merge key written out, so that a path
// names one place.
func unshare(n *yaml.Node, budget *int) (*yaml.Node, error) {
	if *budget--; *budget < 0 {
		return nil, errors.New("aliases make the file too large for patches")
	}
	if n.Kind == yaml.AliasNode {
		return unshare(n.Alias, budget)
	}
	out := *n
	out.Anchor, out.Content = "", make([]*yaml.Node, 0, len(n.Content))
	var merges []*yaml.Node
	for i := 0; i < len(n.Content); i++ {
		c, err := unshare(n.Content[i], budget)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.ShortTag() == "!!merge" && i+1 < len(n.Content) {
			i++
			from, err := unshare(n.Content[i], budget)
			if err != nil {
				return nil, err
			}
			merges = append(merges, from)
			continue
		}
		out.Content = append(out.Content, c)
	}
	for _, from := range merges {
		merge(&out, from)
	}
	return &out, nil
}

// merge adds what a merge key brings and the mapping does not have.
func merge(into, from *yaml.Node) {
	if from.Kind == yaml.SequenceNode {
		for _, one := range from.Content {
			merge(into, one)
		}
		return
	}
	for i := 0; i+1 < len(from.Content); i += 2 {
		if child(into, from.Content[i].Value) == nil {
			into.Content = append(into.Content, from.Content[i], from.Content[i+1])
		}
	}
}

// overlay lays patches over one document.
type overlay struct {
	doc    *Doc
	column int
	// spelled is the patch, by its place in full, that said it without a star.
	spelled map[string]string

	// Of the patch being laid:
	line   int
	patch  Patch
	value  *yaml.Node // nil for a factor
	factor string
	stars  bool
}

func (l *overlay) lay(i int, p Patch, t reflect.Type) error {
	l.line, l.patch, l.value, l.stars = patchLine+i, p, nil, false
	l.factor = ""
	if factor, is := factorOf(p.Value); is {
		l.factor = factor
	} else if value, err := parseValue(p.Value); err != nil {
		return err
	} else {
		l.value = value
	}
	segments := split(p.Path)
	if len(segments) == 0 {
		return errors.New("names nothing of the file; end it with the path of a key")
	}
	return l.walk(spot{node: l.doc.patched, t: pointed(t)}, segments)
}

// inOrder puts the wide before the narrow: a whole before its parts, every element
// (a star) before one.
func inOrder(patches Patches, root *yaml.Node, t reflect.Type) Patches {
	out := slices.Clone(patches)
	keys := make(map[Patch][]string, len(out))
	for _, p := range out {
		keys[p] = widths(root, t, split(p.Path))
	}
	slices.SortStableFunc(out, func(a, b Patch) int { return slices.Compare(keys[a], keys[b]) })
	return out
}

// widths are the segments of a path as they sort: a star, said or meant, is "",
// before everything else.
func widths(n *yaml.Node, t reflect.Type, segments []string) []string {
	if len(segments) == 0 {
		return nil
	}
	t = pointed(t)
	segment, next := segments[0], segments[1:]
	first, inner := child(n, segment), below(t, segment)
	if isList(n, t) {
		at, consumed, _ := elements(n, t, segment)
		if first, inner = nil, element(t); len(at) > 0 {
			first = n.Content[at[0]]
		}
		if !consumed {
			segment, next = "*", segments
		}
	}
	return append([]string{strings.TrimPrefix(segment, "*")}, widths(first, inner, next)...)
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}
