package spec

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// spot is where a patch's path has come to.
type spot struct {
	node *yaml.Node // nil where the file has nothing
	t    reflect.Type
	path string // in the file's own terms: tiers[0].size
	said string // as the patch has it, its root and a dot included
}

func (at spot) key(key string, n *yaml.Node, t reflect.Type) spot {
	return spot{node: n, t: pointed(t), path: strings.TrimPrefix(at.path+"."+key, "."), said: at.said + key + "."}
}

func (at spot) index(i int, segment string) spot {
	return spot{node: at.node.Content[i], t: pointed(element(at.t)), path: fmt.Sprintf("%s[%d]", at.path, i), said: at.said + segment}
}

// absent is a path that ends where names are free and nothing has the name: not what
// every element must have, so a star passes it by.
type absent struct{ error }

// walk follows a path and puts the patch's value where it ends.
func (l *overlay) walk(at spot, segments []string) error {
	switch {
	case isLeaf(at.t):
		return fmt.Errorf("%s holds one value and no keys", at.path)
	case isList(at.node, at.t):
		return l.walkList(at, segments)
	case segments[0] == "*":
		return l.walkAll(at, segments[1:])
	case at.t != nil && at.t.Kind() == reflect.Struct:
		return l.walkStruct(at, segments)
	}
	return l.walkMap(at, segments)
}

// walkStruct goes to a key that the description knows, and makes it where the file
// does not have it.
func (l *overlay) walkStruct(at spot, segments []string) error {
	known := fields(at.t, map[string]reflect.Type{})
	t, ok := known[segments[0]]
	if !ok {
		return l.unknown(at, segments, names(known))
	}
	if at.node.ShortTag() == "!!null" {
		*at.node = *l.mark(&yaml.Node{Kind: yaml.MappingNode})
	}
	i := valueAt(at.node, segments[0])
	if i < 0 && l.removes() && knows(t, segments[1:]) {
		return nil // it is left out already
	}
	if i < 0 {
		key, none := &yaml.Node{Kind: yaml.ScalarNode, Value: segments[0]}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		at.node.Content = append(at.node.Content, l.mark(key), l.mark(none))
		i = len(at.node.Content) - 1
	}
	return l.enter(at, segments[0], i, t, segments[1:])
}

// removes says whether the patch leaves out what is at its path.
func (l *overlay) removes() bool { return l.value != nil && l.value.ShortTag() == "!!null" }

// knows says whether a type has a path below it.
func knows(t reflect.Type, segments []string) bool {
	for _, segment := range segments {
		if t = below(pointed(t), segment); t == nil {
			return false
		}
	}
	return true
}

// walkMap goes to an entry of a mapping whose names are free. It must be there: a
// slip must not become a new entry. A name may have dots.
func (l *overlay) walkMap(at spot, segments []string) error {
	if at.node == nil || at.node.Kind != yaml.MappingNode {
		if at.t != nil && at.t.Kind() == reflect.Map {
			return absent{fmt.Errorf("%s is empty here; say it as a whole", at.path)}
		}
		return fmt.Errorf("%s holds one value and no keys", at.path)
	}
	for n := len(segments); n > 0; n-- {
		name := strings.Join(segments[:n], ".")
		if i := valueAt(at.node, name); i >= 0 {
			return l.enter(at, name, i, element(at.t), segments[n:])
		}
	}
	var have []string
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		have = append(have, at.node.Content[i].Value)
	}
	return absent{l.unknown(at, segments, have)}
}

// enter goes into the value at an index of a mapping's Content, or ends there.
func (l *overlay) enter(at spot, key string, i int, t reflect.Type, rest []string) error {
	next := at.key(key, at.node.Content[i], t)
	if len(rest) == 0 {
		return l.put(at.node, i, next)
	}
	return l.walk(next, rest)
}

// walkAll goes to every key that the file has.
func (l *overlay) walkAll(at spot, rest []string) error {
	if at.node == nil || at.node.Kind != yaml.MappingNode || len(at.node.Content) == 0 {
		return fmt.Errorf("%s is empty here; a star has nothing to stand for", at.path)
	}
	l.stars = true
	known := fields(at.t, map[string]reflect.Type{})
	keys := make([]string, 0, len(at.node.Content)/2)
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		keys = append(keys, at.node.Content[i].Value)
	}
	return every(len(keys), func(k int) error {
		t, i := element(at.t), valueAt(at.node, keys[k])
		if at.t != nil && at.t.Kind() == reflect.Struct {
			t = known[keys[k]]
		}
		if i < 0 {
			return nil
		}
		return l.enter(at, keys[k], i, t, rest)
	})
}

// walkList goes to the elements that the path means.
func (l *overlay) walkList(at spot, segments []string) error {
	found, consumed, err := elements(at.node, at.t, segments[0])
	if err != nil {
		return fmt.Errorf("%s: %w", at.path, err)
	}
	said, rest := segments[0]+".", segments[1:]
	if !consumed {
		said, rest = "", segments
	}
	l.stars = l.stars || !consumed || segments[0] == "*"
	return every(len(found), func(k int) error {
		next := at.index(found[k], said)
		if len(rest) == 0 {
			return l.put(at.node, found[k], next)
		}
		return l.walk(next, rest)
	})
}

// every visits what a star stands for. Some may lack what the path ends in, where
// names are free; all may not.
func every(n int, visit func(int) error) error {
	var none absent
	passed := 0
	for i := range n {
		switch err := visit(i); {
		case errors.As(err, &none):
			passed++
		case err != nil:
			return err
		}
	}
	if passed == n {
		return none
	}
	return nil
}

// elements are those of a list that a segment means: an index, a name, a star for
// all. A segment that is none of these and a key of the elements means all of them
// too, and is not consumed.
func elements(n *yaml.Node, t reflect.Type, segment string) (found []int, consumed bool, err error) {
	if n == nil || n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, true, errors.New("is empty here; say it as a whole")
	}
	all := make([]int, 0, len(n.Content))
	var names []string
	isKey := below(pointed(element(t)), segment) != nil
	for i, c := range n.Content {
		all = append(all, i)
		name := child(c, "name")
		if c.Kind != yaml.MappingNode || name == nil {
			continue
		}
		names = append(names, name.Value)
		if name.Value == segment {
			found = append(found, i)
		}
	}
	i, notIndex := strconv.Atoi(segment)
	switch {
	case segment == "*":
		return all, true, nil
	case len(found) > 0:
		return found, true, nil
	case notIndex == nil && i >= 0 && i < len(all):
		return all[i : i+1], true, nil
	case notIndex == nil:
		return nil, true, fmt.Errorf("there is no element %d; they count from 0 to %d", i, len(all)-1)
	case isKey:
		return all, false, nil
	case len(names) > 0:
		return nil, true, UnknownName("element", segment, names)
	}
	return nil, true, fmt.Errorf("%q is no element; they count from 0 to %d, and * is all", segment, len(all)-1)
}

// put lays the patch's value at an index of a mapping's or a list's Content.
func (l *overlay) put(parent *yaml.Node, i int, at spot) error {
	n := l.line - patchLine
	if before, ok := l.spelled[at.path]; ok && !l.stars {
		return fmt.Errorf("says the same value as %s; give one of them", before)
	}
	if !l.stars {
		l.spelled[at.path] = l.patch.String()
	}
	l.doc.said[at.path] = n
	if l.value != nil && !l.removes() {
		parent.Content[i] = l.copy(l.value)
		return nil
	}
	if l.removes() {
		if parent.Kind == yaml.SequenceNode {
			return errors.New("an element of a list cannot be left out by null; say the list as a whole")
		}
		parent.Content = append(parent.Content[:i-1:i-1], parent.Content[i+1:]...)
		return nil
	}
	if at.node.ShortTag() == "!!null" {
		return fmt.Errorf("%s has no value here that a factor could multiply; say one", at.path)
	}
	product, err := multiply(at.node, at.t, l.factor)
	if err != nil {
		return fmt.Errorf("%s: %w", at.path, err)
	}
	parent.Content[i] = l.mark(&yaml.Node{Kind: yaml.ScalarNode, Value: product})
	return nil
}

// mark gives a node the position by which an error finds its patch.
func (l *overlay) mark(n *yaml.Node) *yaml.Node {
	l.column++
	n.Line, n.Column = l.line, l.column
	return n
}

func (l *overlay) copy(n *yaml.Node) *yaml.Node {
	out := *n
	out.Content = make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		out.Content[i] = l.copy(c)
	}
	return l.mark(&out)
}

// unknown is the error for a key that is not there, with the nearest path that is.
func (l *overlay) unknown(at spot, segments, known []string) error {
	text := fmt.Sprintf("%s %q", unknownKey, segments[0])
	if near := Nearest(segments[0], known); near != "" {
		path := l.patch.root + at.said + strings.Join(append([]string{near}, segments[1:]...), ".")
		return fmt.Errorf("%s; did you mean %s?", text, path)
	}
	all := l.doc.Paths()
	if elsewhere := endingIn(all, segments, at.said); elsewhere != "" {
		return fmt.Errorf("%s; did you mean %s?", text, l.patch.root+elsewhere)
	}
	if near := Nearest(l.patch.Path, all); near != "" && at.path == "" {
		return fmt.Errorf("%s; did you mean %s?", text, l.patch.root+near)
	}
	if len(known) > 0 {
		text += fmt.Sprintf(" (known: %s)", strings.Join(known, ", "))
	}
	return errors.New(text)
}

// endingIn is a path that ends as asked, one that begins so too if there is any.
func endingIn(paths, segments []string, begin string) (found string) {
	for _, p := range paths {
		if !strings.HasSuffix(p, "."+strings.Join(segments, ".")) {
			continue
		}
		if strings.HasPrefix(p, begin) {
			return p
		}
		if found == "" {
			found = p
		}
	}
	return found
}

// isLeaf says whether a value is one text, whatever its Go type is made of.
func isLeaf(t reflect.Type) bool {
	if t == nil {
		return false
	}
	if p := reflect.PointerTo(t); p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || p.Implements(reflect.TypeFor[yaml.Unmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array, reflect.Interface:
		return false
	}
	return true
}

func isList(n *yaml.Node, t reflect.Type) bool {
	if t == nil || t.Kind() == reflect.Interface {
		return n != nil && n.Kind == yaml.SequenceNode
	}
	return t.Kind() == reflect.Slice || t.Kind() == reflect.Array
}

// below is the type of what a key of a type holds, nil where it has no such key.
func below(t reflect.Type, key string) reflect.Type {
	if t != nil && t.Kind() == reflect.Struct {
		return fields(t, map[string]reflect.Type{})[key]
	}
	return element(t)
}
