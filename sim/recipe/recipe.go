package recipe

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

//go:embed recipes
var files embed.FS

const folder = "recipes"

// Recipe is what a launch script says.
type Recipe struct {
	Name        string `yaml:"name"`
	Base        string `yaml:"base,omitempty"`
	Description string `yaml:"description"`
	Source      string `yaml:"source"`
	Match       Match  `yaml:"match,flow,omitempty"`
	Table       *Table `yaml:"table,omitempty"`
	Set         Values `yaml:"set"`
	Also        []Also `yaml:"also,omitempty"`

	file string // what errors call it
}

// Also are values that a script sets on a condition.
type Also struct {
	When string `yaml:"when"`
	Set  Values `yaml:"set"`

	expr *expression
}

// Match is what a row states for the recipe to be found by it.
type Match struct {
	Benchmark Names `yaml:"benchmark,omitempty"`
	Engine    Names `yaml:"engine,omitempty"`
	Version   Names `yaml:"version,omitempty"` // its beginning
	Snapshot  Names `yaml:"snapshot,omitempty"`
	Chip      Names `yaml:"chip,omitempty"`
	Model     Names `yaml:"model,omitempty"`
	Precision Names `yaml:"precision,omitempty"`
	Spec      Names `yaml:"spec,omitempty"`
}

// Names are alternatives; a single one is written without a list.
type Names []string

// UnmarshalYAML reads one name or a list.
func (ns *Names) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*ns = Names{n.Value}
		return nil
	}
	return n.Load((*[]string)(ns))
}

// MarshalYAML writes one name without a list.
func (ns Names) MarshalYAML() (any, error) {
	if len(ns) == 1 {
		return ns[0], nil
	}
	return []string(ns), nil
}

// shipped are the recipes that ship, by name.
var shipped = sync.OnceValues(func() ([]*Recipe, error) {
	var all []*Recipe
	for _, name := range ShippedNames() {
		r, err := read(files, path.Join(folder, name+".yaml"), nil)
		if err != nil {
			return nil, err
		}
		if r.Name != name {
			return nil, fmt.Errorf("%s: name: must be the file's, %q, got %q", r.file, name, r.Name)
		}
		all = append(all, r)
	}
	return all, conflict(all)
})

// Shipped lists the recipes that ship, by name.
func Shipped() ([]*Recipe, error) { return shipped() }

// ShippedNames lists their names, sorted.
func ShippedNames() []string {
	names := spec.YAMLNames(files, folder)
	slices.Sort(names)
	return names
}

// Load finds a shipped recipe by name, or reads one by the path of its YAML file.
func Load(ref string) (*Recipe, error) {
	if spec.IsPath(ref) {
		return read(disk{}, ref, nil)
	}
	all, err := shipped()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(r *Recipe) bool { return strings.EqualFold(r.Name, ref) }); i >= 0 {
		return all[i], nil
	}
	return nil, unknown(ref)
}

// unknown is the error for a name that no recipe has; all names would fill a screen.
func unknown(name string) error {
	var near []string
	for _, n := range ShippedNames() {
		if name != "" && strings.HasPrefix(n, name) && len(near) < 5 {
			near = append(near, n)
		}
	}
	if n := spec.Nearest(name, ShippedNames()); len(near) == 0 && n != "" {
		near = []string{n}
	}
	if len(near) == 0 {
		return fmt.Errorf("unknown recipe %q (recipe list has all)", name)
	}
	return fmt.Errorf("unknown recipe %q; did you mean %s? (recipe list has all)", name, strings.Join(near, ", "))
}

// Paths are the scenario paths that the recipe may set, sorted.
func (r *Recipe) Paths() []string {
	var paths []string
	add := func(vs Values) {
		for _, v := range vs {
			paths = append(paths, v.Path)
		}
	}
	add(r.Set)
	for _, a := range r.Also {
		add(a.Set)
	}
	if r.Table != nil {
		for _, row := range r.Table.rows {
			add(row.set)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// disk opens any path, as os.Open does.
type disk struct{}

func (disk) Open(name string) (fs.File, error) { return os.Open(name) }

// read reads a recipe and what it derives from; descendants are the files that derive
// from it.
func read(from fs.FS, name string, descendants []string) (*Recipe, error) {
	data, err := spec.Description.Read(from.Open(name))
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	r := &Recipe{file: name}
	doc := spec.Parse(name, data, r)
	if doc.Err() == nil {
		r.check(doc)
	}
	if doc.Err() == nil && r.Base != "" {
		base, err := r.base(from, append(slices.Clip(descendants), path.Clean(name)))
		if err != nil {
			doc.Errorf("base", "%v", err)
		} else {
			r.derive(base)
		}
	}
	if doc.Err() == nil && r.Table != nil && r.Table.rows == nil {
		if err := r.Table.read(from, path.Dir(filepath.ToSlash(name)), doc); err != nil {
			return nil, err
		}
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Recipe) base(from fs.FS, line []string) (*Recipe, error) {
	ref := r.Base
	switch {
	case spec.IsPath(ref) && !filepath.IsAbs(ref):
		ref = path.Join(path.Dir(filepath.ToSlash(r.file)), ref)
	case !spec.IsPath(ref):
		if !slices.Contains(ShippedNames(), ref) {
			return nil, unknown(ref)
		}
		from, ref = files, path.Join(folder, ref+".yaml")
	}
	if slices.Contains(line, path.Clean(ref)) {
		return nil, fmt.Errorf("the chain of bases comes back to itself: %s → %s", strings.Join(line, " → "), ref)
	}
	return read(from, ref, line)
}

// derive takes from the base what the recipe does not say.
func (r *Recipe) derive(base *Recipe) {
	own, inherited := r.Match.keys(), base.Match.keys()
	for i := range own {
		if *own[i].names == nil {
			*own[i].names = *inherited[i].names
		}
	}
	if r.Table == nil {
		r.Table = base.Table
	}
	r.Set = r.Set.over(base.Set)
	r.Also = slices.Concat(base.Also, r.Also)
}

func (r *Recipe) check(doc *spec.Doc) {
	for _, f := range []struct{ path, text string }{{"name", r.Name}, {"description", r.Description}, {"source", r.Source}} {
		if f.text == "" {
			doc.Errorf(f.path, "must be given")
		}
	}
	r.Set.compile(r.file, doc)
	for i := range r.Also {
		a := &r.Also[i]
		at := fmt.Sprintf("also[%d]", i)
		if len(a.Set) == 0 {
			doc.Errorf(at, "sets nothing")
		}
		a.Set.compile(r.file, doc)
		if a.When == "" {
			doc.Errorf(at, "needs when, the condition")
			continue
		}
		e, fault := compile(a.When, expr.AsBool())
		if fault != nil {
			doc.Errorf(at+".when", "%s, at column %d of %q", fault.Text, fault.Column+1, a.When)
		}
		a.expr = e
	}
}
