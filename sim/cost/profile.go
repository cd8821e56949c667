package cost

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

// EngineNames are the shipped profiles, sorted, versions of one engine by their numbers.
func EngineNames() []string {
	names := spec.YAMLNames(engineFiles, "engines")
	slices.SortFunc(names, func(a, b string) int {
		nameA, versionA := engineVersion(a)
		nameB, versionB := engineVersion(b)
		if c := strings.Compare(nameA, nameB); c != 0 {
			return c
		}
		return slices.Compare(versionA, versionB)
	})
	return names
}

// EngineAliases are the names of engines without a version, each with its newest profile.
func EngineAliases() map[string]string {
	out := map[string]string{}
	for _, profile := range EngineNames() { // the newest comes last
		if name, version := engineVersion(profile); version != nil {
			out[name] = profile
		}
	}
	return out
}

// engineVersion takes the name of a profile such as vllm-0.16 apart; the version is nil
// where it has none.
func engineVersion(profile string) (name string, version []int) {
	i := strings.LastIndexByte(profile, '-')
	if i < 0 {
		return profile, nil
	}
	for _, part := range strings.Split(profile[i+1:], ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return profile, nil
		}
		version = append(version, n)
	}
	return profile[:i], version
}

// EnginePaths lists what can be patched of an engine profile, as engine.PATH has it.
func EnginePaths() []string {
	return slices.DeleteFunc(spec.Paths(reflect.TypeFor[Engine]()), func(p string) bool { return p == "base" })
}

// LoadEngine finds a shipped profile by name, with its version or without for the
// newest, or reads one by the path of its YAML file. Patches are laid over all that it
// says, what it has from its base included.
func LoadEngine(ref string, patches ...spec.Patch) (*Engine, error) {
	e, err := readEngine(ref, nil)
	if err != nil {
		return nil, err
	}
	return e.Patched(patches)
}

// Ref is the name by which a shipped profile of just this version is found.
func (e *Engine) Ref() string {
	if e.Version == "" {
		return e.Name
	}
	return e.Name + "-" + e.Version
}

// Patched is the engine with patches laid over it.
func (e *Engine) Patched(patches spec.Patches) (*Engine, error) {
	if len(patches) == 0 {
		same := *e
		return &same, nil
	}
	data, err := yaml.Dump(e)
	if err != nil {
		return nil, err
	}
	out := &Engine{}
	doc := spec.ParseOver("engine "+e.Name, data, patches, out)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	if out.Base != e.Base {
		doc.Errorf("base", "a patched profile keeps its base; name another profile as the engine")
	}
	out.complete(doc)
	out.check(doc)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return out, nil
}
