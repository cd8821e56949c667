package cost

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// profileOf is the shipped profile that stands for a version of an engine, such as
// sglang-0.5.9; is reports that ref names one of an engine that has profiles.
func profileOf(ref string) (profile string, is bool, err error) {
	name, text, _ := strings.Cut(strings.ToLower(ref), "-")
	asked := versionOf(text)
	var known []string
	for _, e := range versioned() {
		if e.Name != name {
			continue
		}
		known = append(known, fmt.Sprintf("%s (%s to %s)", e.Ref(), e.StandsFor.From, e.StandsFor.To))
		if asked != nil && e.StandsFor.has(asked) {
			profile = e.Ref()
		}
	}
	if profile == "" && len(known) > 0 {
		err = fmt.Errorf("unknown engine %q: no profile stands for that version; known: %s", ref, strings.Join(known, ", "))
	}
	return profile, len(known) > 0, err
}

// versioned are the shipped profiles of versions of engines.
var versioned = sync.OnceValue(func() (all []*Engine) {
	for _, p := range EngineNames() {
		data, err := engineFiles.ReadFile("engines/" + p + ".yaml")
		if err != nil {
			panic("cost: " + err.Error()) // embedded
		}
		if e := (&Engine{}); spec.Parse(p, data, e).Err() == nil && e.Version != "" {
			all = append(all, e)
		}
	}
	return all
})

// EngineProfile is the shipped profile that stands for a version of an engine, by the name
// that it goes by: the engine's alone where it is the newest.
func EngineProfile(engine, version string) (string, error) {
	profile, _, err := profileOf(engine + "-" + version)
	if err != nil || EngineAliases()[engine] == profile {
		return engine, err
	}
	return profile, nil
}

var versionNumbers = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+)*)`)

// versionOf reads the numbers that a version begins with: 0, 5 and 12 of v0.5.12.post1; nil
// where there are none.
func versionOf(text string) (version []int) {
	m := versionNumbers.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	for part := range strings.SplitSeq(m[1], ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil // beyond any version
		}
		version = append(version, n)
	}
	return version
}

// has reports that a version is one of them.
func (v Versions) has(version []int) bool {
	from, to := versionOf(v.From), versionOf(v.To)
	return slices.Compare(version, from) >= 0 && slices.Compare(version[:min(len(version), len(to))], to) <= 0
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
