package topologies

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

//go:embed *.yaml chips/*.yaml libraries/*.yaml
var shipped embed.FS

// The folders of the three kinds of file, below the package and below any
// overlay folder.
const (
	topologyDir = "."
	chipDir     = "chips"
	libraryDir  = "libraries"
)

// layers are the file trees a name is looked up in, the user's before the shipped.
func layers(dirs []string) []fs.FS {
	trees := make([]fs.FS, 0, len(dirs)+1)
	for _, d := range dirs {
		trees = append(trees, os.DirFS(d))
	}
	return append(trees, shipped)
}

// readNamed finds the YAML that ref means: a path, a file's name in a layer, or
// an alias a file gives itself. It returns what errors should call the file.
func readNamed(kind, dir, ref string, dirs []string) (name string, data []byte, err error) {
	for _, d := range dirs {
		if _, err := os.ReadDir(d); err != nil {
			return ref, nil, fmt.Errorf("topologies folder: %w", err)
		}
	}
	if spec.IsPath(ref) {
		data, err = spec.Description.Read(os.Open(ref))
		if err != nil {
			return ref, nil, fmt.Errorf("%s file: %w", kind, err)
		}
		return ref, data, nil
	}
	if name, data, ok := findNamed(dir, ref, dirs); ok {
		return name, data, nil
	}
	return ref, nil, unknown(kind, ref, knownIn(dir, dirs), dirs)
}

// findNamed looks for a file's name in every layer, then for an alias.
func findNamed(dir, ref string, dirs []string) (name string, data []byte, ok bool) {
	trees := layers(dirs)
	for i, tree := range trees {
		if n := spec.NameIn(ref, spec.YAMLNames(tree, dir)); n != "" {
			if data, err := spec.Description.Read(tree.Open(path.Join(dir, n+".yaml"))); err == nil {
				return shownPath(dir, n, i, dirs), data, true
			}
		}
	}
	for i, tree := range trees {
		for _, n := range spec.YAMLNames(tree, dir) {
			data, err := spec.Description.Read(tree.Open(path.Join(dir, n+".yaml")))
			if err == nil && spec.NameIn(ref, headOf(data).Aliases) != "" {
				return shownPath(dir, n, i, dirs), data, true
			}
		}
	}
	return "", nil, false
}

// knownIn are the names and aliases that there are.
func knownIn(dir string, dirs []string) []string {
	var known []string
	for _, tree := range layers(dirs) {
		for _, n := range spec.YAMLNames(tree, dir) {
			if data, err := spec.Description.Read(tree.Open(path.Join(dir, n+".yaml"))); err == nil {
				known = append(append(known, n), headOf(data).Aliases...)
			}
		}
	}
	return known
}

// unknown suggests among names and aliases but lists the names alone. A name that is one
// of another kind is called that.
func unknown(kind, ref string, known, dirs []string) error {
	if hint := otherKind(kind, ref, dirs); hint != "" {
		return fmt.Errorf("%s", hint)
	}
	names := namesIn(folderOf(kind), dirs)
	near := spec.Nearest(ref, known)
	err := spec.UnknownName(kind, ref, names)
	if near != "" && !slices.Contains(names, near) {
		return fmt.Errorf("%w; the nearest alias is %q", err, near)
	}
	return err
}

func folderOf(kind string) string {
	switch kind {
	case "chip":
		return chipDir
	case "library":
		return libraryDir
	}
	return topologyDir
}

// otherKind says of a name for a topology that it is a chip's, and which systems have it,
// and of a name for a chip that it is a topology's.
func otherKind(kind, ref string, dirs []string) string {
	switch kind {
	case "topology":
		name, _, ok := findNamed(chipDir, ref, dirs)
		if !ok {
			return ""
		}
		with := systemsOf(strings.TrimSuffix(path.Base(filepath.ToSlash(name)), ".yaml"), dirs)
		if with == nil {
			return fmt.Sprintf("%s is a chip, and no topology has it", ref)
		}
		return fmt.Sprintf("%s is a chip; did you mean %s?", ref, strings.Join(with, " or "))
	case "chip":
		if _, data, ok := findNamed(topologyDir, ref, dirs); ok {
			return fmt.Sprintf("%s is a topology; its chip is %s", ref, headOf(data).Chip)
		}
	}
	return ""
}

// systemsOf are the topologies of a chip.
func systemsOf(chip string, dirs []string) []string {
	var with []string
	for _, n := range namesIn(topologyDir, dirs) {
		_, data, ok := findNamed(topologyDir, n, dirs)
		if !ok {
			continue
		}
		name, _, ok := findNamed(chipDir, headOf(data).Chip, dirs)
		if ok && strings.TrimSuffix(path.Base(filepath.ToSlash(name)), ".yaml") == chip {
			with = append(with, n)
		}
	}
	return with
}

func shownPath(dir, name string, layer int, dirs []string) string {
	file := path.Join(dir, name+".yaml")
	if layer < len(dirs) {
		return filepath.Join(dirs[layer], filepath.FromSlash(file))
	}
	return path.Join("topologies", file)
}

// head is what a description is called.
type head struct {
	Name    string   `yaml:"name"`
	Aliases []string `yaml:"aliases"`
	Chip    string   `yaml:"chip"` // of a topology
}

// headOf reads nothing else, so that looking a name up does not fail on a fault
// elsewhere in an unrelated file.
func headOf(data []byte) head {
	var h head
	if yaml.Load(data, &h) != nil {
		return head{}
	}
	return h
}

func namesIn(dir string, dirs []string) []string {
	var names []string
	for _, tree := range layers(dirs) {
		names = append(names, spec.YAMLNames(tree, dir)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Names lists the topologies there are, shipped and in the overlay folders.
func Names(dirs ...string) []string { return namesIn(topologyDir, dirs) }

// ChipNames lists the chips there are, shipped and in the overlay folders.
func ChipNames(dirs ...string) []string { return namesIn(chipDir, dirs) }

// Refs lists the names and aliases of topologies.
func Refs(dirs ...string) []string { return refsIn(topologyDir, dirs) }

// ChipRefs lists the names and aliases of chips.
func ChipRefs(dirs ...string) []string { return refsIn(chipDir, dirs) }

func refsIn(dir string, dirs []string) []string {
	refs := knownIn(dir, dirs)
	slices.Sort(refs)
	return slices.Compact(refs)
}

// LibraryNames lists the communication libraries there are.
func LibraryNames(dirs ...string) []string { return namesIn(libraryDir, dirs) }

// assumptionFile is a value that nobody published, by its path in the file, and
// why it was chosen.
type assumptionFile struct {
	Path    string `yaml:"path"`
	Because string `yaml:"because"`
}

// readAssumptions checks that every assumption points at a field of the file,
// and puts each in a sentence. What a patch says is no longer what was assumed.
func readAssumptions(doc *spec.Doc, owner string, list []assumptionFile) []string {
	var out []string
	for i, a := range list {
		value, ok := doc.Lookup(a.Path)
		patch, patched := doc.PatchOf(a.Path)
		switch {
		case a.Path == "" || !ok && !patched:
			doc.Errorf(fmt.Sprintf("assumptions[%d].path", i), "%q names no field of this file", a.Path)
		case a.Because == "":
			doc.Errorf(fmt.Sprintf("assumptions[%d]", i), "because must say why the value was chosen")
		}
		text := fmt.Sprintf("%s: %s", owner, a.Path)
		if s, isScalar := scalarText(value); isScalar {
			text += " = " + s
		}
		if patched {
			text += fmt.Sprintf(" is patched (%s); what the file says", patch)
		}
		out = append(out, text+" is assumed: "+a.Because)
	}
	return out
}

// scalarText writes a decoded YAML scalar, and says whether it is one.
func scalarText(v any) (string, bool) {
	switch v.(type) {
	case string, int, int64, uint64, float64, bool:
		return fmt.Sprint(v), true
	}
	return "", false
}
