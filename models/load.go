package models

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

//go:embed *.yaml
var shipped embed.FS

// Names lists the models there are, shipped and in the overlay folders, sorted.
func Names(dirs ...string) []string {
	names := spec.YAMLNames(shipped, ".")
	for _, dir := range dirs {
		names = append(names, spec.YAMLNames(os.DirFS(dir), ".")...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Refs lists what a model can be asked for by: names, aliases and repositories.
func Refs(dirs ...string) []string {
	known := map[string]bool{}
	if _, err := (Source{Dirs: dirs}).findAnywhere("", known); err != nil {
		return Names(dirs...)
	}
	return slices.Sorted(maps.Keys(known))
}

// Source is where models come from: overlay folders, the first one first and before the
// shipped models, and patches that are laid over the file that is read, or over what a
// Hugging Face config.json is converted to.
type Source struct {
	Dirs    []string
	Patches spec.Patches // their paths begin in the model: attention.csa.ratio
}

// Load finds a model by name or alias, in letters of any case, by the path of a YAML file
// or of a Hugging Face config.json, or by a Hugging Face repository. Folders in dirs are looked through before the shipped models.
func Load(ref string, dirs ...string) (*Model, error) { return Source{Dirs: dirs}.Load(ref) }

// Load is the package's Load with the patches laid over what it finds.
func (s Source) Load(ref string) (*Model, error) {
	for _, dir := range s.Dirs {
		if _, err := os.ReadDir(dir); err != nil {
			return nil, fmt.Errorf("models folder: %w", err)
		}
	}
	if !spec.IsPath(ref) {
		return s.loadNamed(ref)
	}
	m, err := s.loadFile(ref)
	if !errors.Is(err, fs.ErrNotExist) || strings.Count(ref, "/") != 1 {
		return m, err
	}
	known := map[string]bool{}
	if m, found := s.findAnywhere(ref, known); m != nil || found != nil {
		return m, found
	}
	if near := spec.Nearest(ref, repositories(known)); near != "" {
		return nil, fmt.Errorf("%w; nor does a model of that repository ship: did you mean %q?", err, near)
	}
	return nil, err
}

func (s Source) loadNamed(ref string) (*Model, error) {
	known := map[string]bool{}
	m, err := s.findAnywhere(ref, known)
	if m != nil || err != nil {
		return m, err
	}
	maps.DeleteFunc(known, func(name string, _ bool) bool { return strings.Contains(name, "/") })
	return nil, unknown(ref, known)
}

// findAnywhere looks through the overlay folders and then what ships.
func (s Source) findAnywhere(ref string, known map[string]bool) (*Model, error) {
	for _, dir := range s.Dirs {
		if m, err := s.find(os.DirFS(dir), dir, ref, known); m != nil || err != nil {
			return m, err
		}
	}
	return s.find(shipped, "models", ref, known)
}

func repositories(known map[string]bool) []string {
	var list []string
	for name := range known {
		if strings.Contains(name, "/") {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// Paths lists what can be patched of a model, as model.PATH has it.
func (s Source) Paths(ref string) ([]string, error) {
	m, err := s.Load(ref)
	if err != nil {
		return nil, err
	}
	data, err := m.YAML()
	if err != nil {
		return nil, err
	}
	doc := spec.Parse(m.Name, data, &document{})
	return doc.Paths(), doc.Err()
}

func unknown(ref string, known map[string]bool) error {
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	return spec.UnknownName("model", ref, names)
}

// find looks for a name in one folder, then for an alias or a repository; it adds what
// the folder has to known.
func (s Source) find(fsys fs.FS, dir, ref string, known map[string]bool) (*Model, error) {
	names := spec.YAMLNames(fsys, ".")
	if name := spec.NameIn(ref, names); name != "" {
		return s.readYAML(fsys, dir, name)
	}
	for _, name := range names {
		known[name] = true
		data, err := spec.Description.Read(fsys.Open(name + ".yaml"))
		if err != nil {
			return nil, err
		}
		var head struct {
			Aliases      []string `yaml:"aliases"`
			Repositories []string `yaml:"repositories"`
		}
		// A file that does not parse has no aliases; it is reported when it is asked for.
		if yaml.Load(data, &head) != nil {
			continue
		}
		others := append(head.Aliases, head.Repositories...)
		for _, a := range others {
			known[a] = true
		}
		for _, r := range head.Repositories {
			others = append(others, path.Base(r)) // what is said of a model for short
		}
		if spec.NameIn(ref, others) != "" {
			return s.readYAML(fsys, dir, name)
		}
	}
	return nil, nil
}

func (s Source) readYAML(fsys fs.FS, dir, name string) (*Model, error) {
	data, err := spec.Description.Read(fsys.Open(name + ".yaml"))
	if err != nil {
		return nil, err
	}
	return fromYAML(filepath.ToSlash(filepath.Join(dir, name+".yaml")), data, s.Patches)
}

func (s Source) loadFile(file string) (*Model, error) {
	data, err := spec.Description.Read(os.Open(file))
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if json.Valid(data) || strings.EqualFold(filepath.Ext(file), ".json") {
		m, err := fromHF(hfName(file), file, data, s.Patches)
		if err == nil && m.plain() {
			beside := filepath.Join(filepath.Dir(file), "hf_quant_config.json")
			if _, none := os.Stat(beside); none == nil {
				m.doc.notes = append(m.doc.notes, beside+": is not read; the weights are counted as "+string(m.Formats.Weights)+" unless deployment.precision says otherwise")
				m.Notes = m.doc.notes
			}
		}
		return m, err
	}
	return fromYAML(file, data, s.Patches)
}

// plain reports whether nothing is stored in fewer bits than a BF16 checkpoint.
func (m *Model) plain() bool {
	return m.Formats.Weights == BF16 && (m.Formats.Experts == "" || m.Formats.Experts == BF16)
}

// hfName names a model after its file, or after the folder of a config.json.
func hfName(path string) string {
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if base == "config" {
		if abs, err := filepath.Abs(path); err == nil {
			return filepath.Base(filepath.Dir(abs))
		}
	}
	return base
}

// fromYAML reads one model file with patches laid over it; name is what errors call it.
func fromYAML(name string, data []byte, patches spec.Patches) (*Model, error) {
	doc := &document{}
	file := spec.ParseOver(name, data, patches, doc)
	if err := file.Err(); err != nil {
		return nil, err
	}
	checker{doc, file.Errorf}.check()
	if err := file.Err(); err != nil {
		return nil, err
	}
	return sized(doc, name)
}

func patchDocument(doc *document, name string, patches spec.Patches) (*Model, error) {
	data, err := yamlOf(doc)
	if err != nil {
		return nil, err
	}
	return fromYAML(name, data, patches)
}

// fromDocument checks and builds a document that no YAML file stands behind;
// name is what errors call it.
func fromDocument(doc *document, name string) (*Model, error) {
	var problems spec.Problems
	checker{doc, func(path, format string, args ...any) {
		problems = append(problems, spec.Problem{File: name, Path: path, Text: fmt.Sprintf(format, args...)})
	}}.check()
	if len(problems) > 0 {
		return nil, problems
	}
	return sized(doc, name)
}

// sized builds, and refuses what would overflow the engine's 63-bit sums.
func sized(doc *document, name string) (*Model, error) {
	m := build(doc)
	if p := m.params(); p.total.Cmp(big64(1<<56)) > 0 {
		return nil, spec.Problems{{File: name, Text: fmt.Sprintf("has %s parameters; at most %d are supported", p.total, int64(1)<<56)}}
	}
	return m, nil
}

// YAML writes the model as a file that reads back to an equal model.
func (m *Model) YAML() ([]byte, error) { return yamlOf(m.doc) }

func yamlOf(doc *document) ([]byte, error) {
	return yaml.Dump(doc, yaml.WithIndent(2), yaml.WithLineWidth(120))
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
