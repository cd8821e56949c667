package topologies

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/clustersim/clustersim/sim/spec"
)

// Source is where descriptions come from: overlay folders, which go before the shipped
// files, and patches that are laid over what is read:
//
//	topology.PATH      the system's file, before name:N makes it one of N chips
//	chip.PATH          the system's own chip, not those it descends from
//	chips.NAME.PATH    the chip of that name or alias, wherever it is read
//	library.NAME.PATH  the communication library of that name or alias
//
// It may be used by many goroutines at once.
type Source struct {
	dirs    []string
	patches spec.Patches

	mu   sync.Mutex
	laid map[string]bool // patches, by their whole paths, that something was read with
	docs map[*Chip]*spec.Doc
}

// NewSource is a source of files; what of the patches names something else is left alone.
func NewSource(dirs []string, patches spec.Patches) *Source {
	return &Source{dirs: dirs, patches: patches, laid: map[string]bool{}, docs: map[*Chip]*spec.Doc{}}
}

// Where says which place of a chip's file, or which patch, gives the value at a dotted
// path of it, and the path: "chip.yaml:3:7: peak.bf16". It is empty of a chip that the
// source has not read.
func (s *Source) Where(c *Chip, path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if doc := s.docs[c]; doc != nil {
		return doc.Where(path)
	}
	return ""
}

// Load reads a system by name, alias or path. `name:N` makes one of N chips,
// grown by the file's unit or cut to a part.
func (s *Source) Load(ref string) (*Topology, error) {
	base, chips, err := splitSize(ref)
	if err != nil {
		return nil, err
	}
	file, data, err := readNamed("topology", topologyDir, base, s.dirs)
	if err != nil {
		return nil, err
	}
	return s.parseTopology(file, data, chips)
}

// LoadChip reads a chip by name, alias or path, with its ancestors.
func (s *Source) LoadChip(ref string) (*Chip, error) { return s.loadChip(ref, false, nil) }

// Load reads a system as Source.Load does, without patches. dirs are overlay folders.
func Load(ref string, dirs ...string) (*Topology, error) { return NewSource(dirs, nil).Load(ref) }

// LoadChip reads a chip as Source.LoadChip does, without patches. dirs are overlay
// folders whose chips/ go before the shipped ones.
func LoadChip(ref string, dirs ...string) (*Chip, error) { return NewSource(dirs, nil).LoadChip(ref) }

// Unused is the error for patches of topologies, chips and libraries that nothing has
// been read with, nil when there are none. Ask when all has been loaded.
func (s *Source) Unused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out spec.Problems
	for _, p := range s.patches {
		root, rest, _ := strings.Cut(p.Whole(), ".")
		if s.laid[p.Whole()] {
			continue
		}
		text := ""
		switch root {
		case "topology", "chip":
			text = "no topology is read"
		case "chips":
			text = s.unusedName("chip", chipDir, rest)
		case "library":
			text = s.unusedName("library", libraryDir, rest)
		default:
			continue
		}
		out = append(out, spec.Problem{Patch: p.String(), Text: text})
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// unusedName says of NAME.PATH that the name is unknown, or known and not in use.
func (s *Source) unusedName(kind, dir, rest string) string {
	var known []string
	for _, tree := range layers(s.dirs) {
		for _, n := range spec.YAMLNames(tree, dir) {
			known = append(known, n)
			if _, data, err := readNamed(kind, dir, n, s.dirs); err == nil {
				known = append(known, headOf(data).Aliases...)
			}
		}
	}
	for _, n := range known {
		if strings.HasPrefix(rest, n+".") {
			return fmt.Sprintf("nothing that is loaded uses the %s %s", kind, n)
		}
	}
	name, _, _ := strings.Cut(rest, ".")
	return unknown(kind, name, known, s.dirs).Error()
}

func (s *Source) folders() []string {
	if s == nil {
		return nil
	}
	return s.dirs
}

// under are the patches of a root, which are laid from now on; keys, where there are
// any, are the only ones that count.
func (s *Source) under(root string, keys ...string) spec.Patches {
	if s == nil || len(s.patches) == 0 {
		return nil
	}
	out := s.patches.Under(root)
	if len(keys) > 0 {
		out = slices.DeleteFunc(out, func(p spec.Patch) bool {
			key, _, _ := strings.Cut(p.Path, ".")
			return !slices.Contains(keys, key)
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range out {
		s.laid[p.Whole()] = true
	}
	return out
}

// named are the patches of a description by its name and aliases.
func (s *Source) named(root string, data []byte, keys ...string) spec.Patches {
	if s == nil || len(s.patches) == 0 {
		return nil
	}
	h := headOf(data)
	var out spec.Patches
	for _, name := range append([]string{h.Name}, h.Aliases...) {
		out = append(out, s.under(root+"."+name, keys...)...)
	}
	return out
}

// Paths lists what can be patched of a system, as topology.PATH has it.
func (s *Source) Paths(ref string) ([]string, error) {
	base, _, err := splitSize(ref)
	if err != nil {
		return nil, err
	}
	return s.paths("topology", topologyDir, base, &topologyFile{})
}

// ChipPaths lists what can be patched of a chip, as chip.PATH has it.
func (s *Source) ChipPaths(ref string) ([]string, error) {
	return s.paths("chip", chipDir, ref, &chipFile{})
}

// LibraryPaths lists what can be patched of a communication library, as
// library.NAME.PATH has it.
func (s *Source) LibraryPaths(ref string) ([]string, error) {
	return s.paths("library", libraryDir, ref, &libraryFile{})
}

func (s *Source) paths(kind, dir, ref string, file any) ([]string, error) {
	name, data, err := readNamed(kind, dir, ref, s.dirs)
	if err != nil {
		return nil, err
	}
	doc := spec.Parse(name, data, file)
	return doc.Paths(), doc.Err()
}
