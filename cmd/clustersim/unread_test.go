package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// description is a kind of shipped file: what is computed from one, cheapest first, and
// the command that shows it.
type description struct {
	glob     string
	computed []func(file string) (string, error)
	show     string
	// words are the keys that are read by people alone: show prints them.
	words string
	// silent are the keys that nothing prints either: notes to who edits the file.
	silent string
	// alone are the keys that no change of their own can show to be read, and why.
	alone map[string]string
	// others are values to try beside those of other files.
	others map[string][]string
	// skip are keys that another test perturbs.
	skip string
}

// Every key of the shipped files is read: a change of its value, or its absence, moves
// something computed, in one at least of the files that have it; the keys that are
// documentation are listed by name.
func TestEveryKeyIsRead(t *testing.T) {
	if testing.Short() {
		t.Skip("prices and runs every description several times")
	}
	for name, d := range described(t) {
		t.Run(name, func(t *testing.T) {
			files, err := filepath.Glob(d.glob)
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %d files, %v", d.glob, len(files), err)
			}
			values := map[string][]string{}
			roots := make([]*yaml.Node, len(files))
			for i, file := range files {
				roots[i] = node(t, file)
				for _, l := range leaves(roots[i].Content[0], "", nil, 0, nil) {
					if v := l.node.Value; !slices.Contains(values[l.path], v) {
						values[l.path] = append(values[l.path], v)
					}
				}
			}
			p := &prober{d: d, dir: t.TempDir(), values: values, checked: map[string]bool{}, tried: map[string]int{}, dead: map[string]string{}}
			for i, file := range files {
				p.file(t, file, roots[i])
			}
			for path, at := range p.dead {
				if !p.checked[path] {
					t.Errorf("%s: %s moves nothing that is computed", at, path)
				}
			}
			listed := strings.Fields(d.words + " " + d.silent)
			for _, path := range slices.Concat(listed, slices.Collect(maps.Keys(d.alone))) {
				if !p.checked[path] && !strings.HasSuffix(path, "*") {
					t.Errorf("%s is listed, and no file has it", path)
				}
			}
		})
	}
}

// failing stands for what is computed of a file that the computation does not take, such
// as a model too large for the run.
const failing = "failing"

// maxTries is in how many places a key may move nothing before it counts as dead.
const maxTries = 6

// prober perturbs the files of one kind.
type prober struct {
	d       description
	dir     string
	values  map[string][]string // of every path, in all files
	checked map[string]bool     // listed paths that were met, and others that were seen to move
	tried   map[string]int      // files where a path moved nothing
	dead    map[string]string   // such paths, and where one stands
}

func (p *prober) file(t *testing.T, file string, root *yaml.Node) {
	t.Helper()
	copied := filepath.Join(p.dir, filepath.Base(file))
	p.write(t, copied, root)
	bases := make([]string, len(p.d.computed))
	base := func(i int) string {
		if bases[i] == "" {
			p.write(t, copied, root)
			got, err := p.d.computed[i](copied)
			if err != nil {
				got = failing
			}
			bases[i] = got + " "
		}
		return bases[i]
	}
	for _, l := range leaves(root.Content[0], "", nil, 0, nil) {
		switch {
		case matching(p.d.skip, l.path):
		case matching(p.d.silent, l.path):
			p.checked[l.path] = true
		case matching(p.d.words, l.path):
			if !p.checked[l.path] {
				p.printed(t, file, copied, root, l)
			}
			p.checked[l.path] = true
		case p.checked[l.path] || p.tried[l.path] == maxTries:
		case p.d.alone[l.path] != "" || p.moves(t, copied, root, l, base):
			p.checked[l.path] = true
		default:
			p.tried[l.path]++
			p.dead[l.path] = fmt.Sprintf("%s:%d", file, l.node.Line)
		}
	}
}

// moves says whether some other value, or none, moves what is computed.
func (p *prober) moves(t *testing.T, copied string, root *yaml.Node, l leaf, base func(int) string) bool {
	t.Helper()
	for i := range p.d.computed {
		want := base(i)
		if want == failing+" " {
			continue
		}
		for change := range l.changes(append(slices.Clip(p.values[l.path]), p.d.others[l.path]...)) {
			p.write(t, copied, root)
			got, err := p.d.computed[i](copied)
			change()
			if err == nil && got+" " != want {
				return true
			}
		}
	}
	return false
}

// printed fails where a change of a word does not show.
func (p *prober) printed(t *testing.T, file, copied string, root *yaml.Node, l leaf) {
	t.Helper()
	was := l.node.Value
	show := func() string {
		p.write(t, copied, root)
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(p.d.show+" "+copied+" --output json"), io.Reader(strings.NewReader("")), &stdout, &stderr); code != exitDone {
			return ""
		}
		return stdout.String()
	}
	before := show()
	for _, value := range append([]string{was + "x", was + "1"}, p.values[l.path]...) {
		l.node.Value = value
		after := show()
		l.node.Value = was
		if after != "" && after != before {
			return
		}
	}
	t.Errorf("%s: %s: %s does not print it", file, l.path, p.d.show)
}

func (p *prober) write(t *testing.T, file string, root *yaml.Node) {
	t.Helper()
	data, err := yaml.Dump(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func node(t *testing.T, file string) *yaml.Node {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		t.Fatal(err)
	}
	return &root
}

// leaf is a scalar of a file: its path with list items as [] and names that are data as
// *, its node, and where that stands in its parent.
type leaf struct {
	path   string
	node   *yaml.Node
	parent *yaml.Node
	at     int
}

// dataKeys are the maps whose keys are data: what they hold is one path for all.
var dataKeys = regexp.MustCompile(`^(attention|ffn|libraries|[a-z.]*chips)$`)

func leaves(n *yaml.Node, path string, parent *yaml.Node, at int, out []leaf) []leaf {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if dataKeys.MatchString(path) {
				key = "*"
			}
			out = leaves(n.Content[i+1], strings.TrimPrefix(path+"."+key, "."), n, i+1, out)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			out = leaves(item, path+"[]", n, i, out)
		}
	case yaml.ScalarNode:
		out = append(out, leaf{path, n, parent, at})
	}
	return out
}

var quantity = regexp.MustCompile(`^([0-9.]+)([A-Za-z/]+)$`)

// changes yields after each change that may be made of the leaf; the argument undoes it.
func (l leaf) changes(others []string) func(yield func(undo func()) bool) {
	was := *l.node
	var values []string
	number, unit := was.Value, ""
	if m := quantity.FindStringSubmatch(was.Value); m != nil {
		number, unit = m[1], m[2]
	}
	switch v, err := strconv.ParseFloat(number, 64); {
	case was.ShortTag() == "!!bool":
		values = []string{map[bool]string{true: "false", false: "true"}[was.Value == "true"]}
	case err == nil:
		for _, x := range []float64{v * 1.25, v * 0.75, v * 2, v + 1, v - 1, v / 2, v * 16, math.Round(v / 512)} {
			values = append(values, strconv.FormatFloat(x, 'f', -1, 64)+unit)
		}
		values = append(values, others...)
	default:
		values = others
	}
	return func(yield func(func()) bool) {
		restore := func() { *l.node = was }
		for _, v := range values {
			if v == was.Value {
				continue
			}
			l.node.Value = v
			if was.ShortTag() == "!!int" && !strings.Contains(v, ".") || was.ShortTag() == "!!float" {
				l.node.Tag = ""
			}
			if !yield(restore) {
				return
			}
		}
		content := l.parent.Content
		from := l.at
		if l.parent.Kind == yaml.MappingNode {
			from--
		}
		l.parent.Content = slices.Delete(slices.Clone(content), from, l.at+1)
		yield(func() { l.parent.Content = content })
	}
}

// matching says that a path is one of a list, whose entries may end in *.
func matching(list, path string) bool {
	for _, entry := range strings.Fields(list) {
		if head, open := strings.CutSuffix(entry, "*"); entry == path || open && strings.HasPrefix(path, head) {
			return true
		}
	}
	return false
}

// moving is a fingerprint of anything.
func moving(v ...any) string { return fmt.Sprintf("%+v", v) }
