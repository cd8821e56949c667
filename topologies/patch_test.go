package topologies

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

// patched is a source with patches given as path, value, path, value …
func patched(pairs ...string) *Source {
	var patches spec.Patches
	for i := 0; i < len(pairs); i += 2 {
		patches = patches.With(pairs[i], pairs[i+1])
	}
	return NewSource(nil, patches)
}

func loaded(t *testing.T, s *Source, ref string) *Topology {
	t.Helper()
	x, err := s.Load(ref)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestPatchesReachEveryDescription(t *testing.T) {
	s := patched("topology.tiers.supernode.bandwidth", "x2", "topology.tiers.*.tau.endpoint", "100ns", "topology.tiers.cabinet.tau.endpoint", "0ns",
		"topology.chips", "8192", "topology.tiers.supernode.size", "8192", "topology.partial", "false",
		"chip.memory.bandwidth", "5TB/s", "chips.ascend910c.operators.gemm.*.t0_us", "x3", "chips.950pr.power", "100W",
		"library.cann.dispatch.a_us", "5", "library.cann.combine.0.a_us", "x2")
	plain, x := loaded(t, NewSource(nil, nil), "supernode8912"), loaded(t, s, "supernode8912")
	if x.Chips != 8192 || x.Tiers[1].Size != 8192 || x.Tiers[1].Bandwidth != 2*plain.Tiers[1].Bandwidth || x.Tiers[0].Bandwidth != plain.Tiers[0].Bandwidth {
		t.Errorf("%d chips, tiers %+v", x.Chips, x.Tiers)
	}
	if x.Tiers[0].Tau.Endpoint != 0 || x.Tiers[1].Tau.Endpoint != 100 {
		t.Errorf("endpoints %v and %v, want 0 and 100ns", x.Tiers[0].Tau.Endpoint, x.Tiers[1].Tau.Endpoint)
	}
	if x.Chip.Memory.Bandwidth != 5e12 || x.Chip.Memory.Capacity != plain.Chip.Memory.Capacity {
		t.Errorf("memory %+v", x.Chip.Memory)
	}
	// The chip's constants are its ancestor's: a patch of that one reaches it, and what a
	// digest covers.
	for _, variant := range []string{"int8", "bfloat16"} {
		before, ok := plain.Chip.Constants("gemm", variant)
		after, there := x.Chip.Constants("gemm", variant)
		if ok != there || after.Values["t0_us"] != 3*before.Values["t0_us"] || after.Values["ec"] != before.Values["ec"] {
			t.Errorf("%s: %v, with the ancestor's t0_us times three %v", variant, before.Values, after.Values)
		}
	}
	if reflect.DeepEqual(x.Chip.Parent.Operators, plain.Chip.Parent.Operators) {
		t.Error("the ancestor shows nothing of its patch")
	}
	pr, err := s.LoadChip("ascend950pr")
	if err != nil || pr.Power != 100 {
		t.Errorf("power %v, %v; want that of the alias 950pr", pr.Power, err)
	}
	l, err := x.Library("cann")
	if err != nil {
		t.Fatal(err)
	}
	was, err := plain.Library("cann")
	if err != nil || l.Dispatch.AUs != 5 || l.Combine.AUs != 2*was.Combine.AUs || l.Dispatch.Inner != was.Dispatch.Inner {
		t.Errorf("dispatch %+v, combine %+v, %v", l.Dispatch, l.Combine, err)
	}
	if err := s.Unused(); err != nil {
		t.Error(err)
	}
}

// What a patch says is no longer an assumption of the file's.
func TestPatchedAssumptions(t *testing.T) {
	x := loaded(t, patched("topology.tiers.cabinet.bandwidth", "1TB/s"), "supernode8912")
	all := strings.Join(x.Assumptions, "\n")
	if !strings.Contains(all, "supernode8912: cabinet.bandwidth = 1TB/s is patched (topology.tiers.cabinet.bandwidth=1TB/s); what the file says is assumed: the split") {
		t.Error(all)
	}
	if !strings.Contains(all, "supernode8912: supernode.bandwidth = 224GB/s is assumed: ") || strings.Contains(all, "784GB/s") {
		t.Error(all)
	}
}

// name:N is applied to the patched system.
func TestPatchesComeBeforeTheSize(t *testing.T) {
	x := loaded(t, patched("topology.tiers.*.bandwidth", "x2", "topology.unit", "4"), "hgx-h100:4")
	plain := loaded(t, NewSource(nil, nil), "hgx-h100:8")
	if x.Chips != 4 || len(x.Tiers) != 1 || x.Tiers[0].Bandwidth != 2*plain.Tiers[0].Bandwidth {
		t.Errorf("%d chips, tiers %+v", x.Chips, x.Tiers)
	}
}

func TestPatchesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"topology.tiers.foo.bandwidth", "1GB/s", `patch topology.tiers.foo.bandwidth=1GB/s: tiers: unknown element "foo" (known: cabinet, supernode)`},
		{"topology.tiers.cabinet.bandwidth", "0GB/s", `patch topology.tiers.cabinet.bandwidth=0GB/s: tiers[0].bandwidth: must be positive`},
		{"topology.tiers.cabinet.size", "63", `tiers[0].dims: multiply to 64, but the tier joins 63 members`},
		{"topology.tiers", "[]", `patch topology.tiers=[]: must be 1 to 8, got 0`},
		{"topology.chip", "h1000", `patch topology.chip=h1000: unknown chip "h1000"`},
		{"chip.memory.bandwith", "5TB/s", `patch chip.memory.bandwith=5TB/s: unknown key "bandwith"; did you mean chip.memory.bandwidth?`},
		{"chip.memory.bandwidth", "5", `patch chip.memory.bandwidth=5: "5" has no unit; want a bandwidth such as 900GB/s or 400Gb/s`},
		{"chip.memory.bandwidth", "0TB/s", `patch chip.memory.bandwidth=0TB/s: must be positive`},
		{"chip.peak.fp2", "1PFLOPS", `patch chip.peak.fp2=1PFLOPS: unknown key "fp2"; did you mean chip.peak.fp8?`},
		{"chip.peak", "{bf16: 1PFLOPS, fp2: 1PFLOPS}", `patch chip.peak={bf16: 1PFLOPS, fp2: 1PFLOPS}: peak.fp2: unknown precision "fp2"`},
		{"chip.peak.bf16", "null", `patch chip.peak.bf16=null`},
		{"chip.operators.gemm.bfloat16.t0_us", "1", `chip.operators.gemm.bfloat16.t0_us`},
		{"chips.ascend910c.operators.gemm.bfloat16.t0us", "1", `patch chips.ascend910c.operators.gemm.bfloat16.t0us=1: unknown key "t0us"; did you mean chips.ascend910c.operators.gemm.bfloat16.t0_us?`},
		{"chips.ascend910c.operators.gemm.bfloat16.t0_us", "soon", `patch chips.ascend910c.operators.gemm.bfloat16.t0_us=soon: soon is not what t0_us holds`},
		{"chip.cores", "x1.01", `want a whole number`},
	} {
		_, err := patched(c.path, c.value).Load("supernode8912")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v\nwant %q in it", c.path, c.value, err, c.want)
		}
	}
	x := loaded(t, patched("library.cann.dispatch.e_inner", "2"), "supernode8912")
	if _, err := x.Library("cann"); err == nil || err.Error() != `patch library.cann.dispatch.e_inner=2: dispatch[0].e_inner: must be above 0 and at most 1, got 2` {
		t.Error(err)
	}
}

// A patch of something that nothing reads is an error, for the caller to ask for.
func TestUnusedPatches(t *testing.T) {
	s := patched("chips.h10.power", "1W", "chips.b300.power", "1W", "library.ncl.ring.q", "1", "library.nccl.ring.q", "1", "chip.cores", "100", "engine.poll_steps", "1")
	want := `patch chip.cores=100: no topology is read
patch chips.b300.power=1W: nothing that is loaded uses the chip b300
patch chips.h10.power=1W: unknown chip "h10"; did you mean "h100"?`
	if err := s.Unused(); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("%v\nwant\n%s …", err, want)
	}
	x := loaded(t, s, "hgx-b300")
	if _, err := x.Library("nccl"); err != nil {
		t.Fatal(err)
	}
	if err := s.Unused(); err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), `unknown chip "h10"`) || !strings.Contains(err.Error(), `unknown library "ncl"; did you mean "nccl"?`) {
		t.Errorf("%v, want what is unknown alone", err)
	}
}

// Every value of every shipped file can be patched by itself, and nothing changes.
func TestAnyValueByItself(t *testing.T) {
	h100 := loaded(t, NewSource(nil, nil), "hgx-h100")
	kinds := []struct {
		dir   string
		names []string
		root  func(name string) string
		file  func() any
		read  func(s *Source, name string) (any, error)
	}{
		{topologyDir, Names(), func(string) string { return "topology" }, func() any { return &topologyFile{} }, func(s *Source, name string) (any, error) {
			x, err := s.Load(name)
			if err == nil {
				x.source, x.Assumptions = nil, nil
			}
			return x, err
		}},
		{chipDir, ChipNames(), func(n string) string { return "chips." + n }, func() any { return &chipFile{} }, func(s *Source, name string) (any, error) {
			c, err := s.LoadChip(name)
			if err == nil {
				c.Assumptions = nil
			}
			return c, err
		}},
		{libraryDir, LibraryNames(), func(n string) string { return "library." + n }, func() any { return &libraryFile{} }, func(s *Source, name string) (any, error) {
			x := *h100
			x.source = s
			l, err := x.Library(name)
			if err == nil {
				l.Assumptions = nil
			}
			return l, err
		}},
	}
	patches := 0
	for _, kind := range kinds {
		for _, name := range kind.names {
			want, err := kind.read(NewSource(nil, nil), name)
			if err != nil {
				t.Fatal(err)
			}
			all := ownValues(t, kind.dir, name, kind.root(name), kind.file())
			if system, is := want.(*Topology); is { // tiers that its size has no use for take no patches
				all = slices.DeleteFunc(all, func(p spec.Patch) bool {
					rest, tier := strings.CutPrefix(p.Path, "topology.tiers.")
					name, _, _ := strings.Cut(rest, ".")
					return tier && !slices.ContainsFunc(system.Tiers, func(t Tier) bool { return t.Name == name })
				})
			}
			tries := []spec.Patches{all}
			for i := patches % 101; i < len(all); i += 101 { // a few alone: the files are many
				tries = append(tries, all[i:i+1])
			}
			patches += len(all)
			for _, ps := range tries {
				if got, err := kind.read(NewSource(nil, ps), name); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s with %d of its own values as patches: %v\n%+v\n%+v", name, len(ps), err, got, want)
				}
			}
		}
	}
	if patches < 4500 {
		t.Errorf("%d values were patched; the files have more", patches)
	}
}

// ownValues are a file's values as patches that change nothing.
func ownValues(t *testing.T, dir, name, root string, file any) (out spec.Patches) {
	t.Helper()
	shown, data, err := readNamed("file", dir, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := yaml.Load(data, &decoded); err != nil {
		t.Fatal(err)
	}
	for _, path := range spec.Parse(shown, data, file).Paths() {
		if text, ok := valueAt(decoded, path); ok && !strings.HasPrefix(path, "aliases") {
			out = out.With(root+"."+path, text)
		}
	}
	return out
}

// valueAt finds a value by walking a decoded file, and writes it as YAML.
func valueAt(at any, path string) (string, bool) {
	for path != "" {
		switch v := at.(type) {
		case map[string]any:
			key, rest := "", ""
			for k := range v { // names may have dots: the longest that fits
				if (path == k || strings.HasPrefix(path, k+".")) && len(k) > len(key) {
					key, rest = k, strings.TrimPrefix(strings.TrimPrefix(path, k), ".")
				}
			}
			if key == "" {
				return "", false
			}
			at, path = v[key], rest
		case []any:
			segment, rest, _ := strings.Cut(path, ".")
			found := false
			for i, e := range v {
				m, _ := e.(map[string]any)
				if m["name"] == segment || fmt.Sprint(i) == segment {
					at, path, found = e, rest, true
					break
				}
			}
			if !found {
				return "", false
			}
		default:
			return "", false
		}
	}
	text, err := yaml.Dump(at, yaml.WithFlowSimpleCollections(true))
	return strings.TrimSpace(string(text)), err == nil
}

// Patches that would not be heard are refused: of a tier that the size cuts off, of the
// number of chips beside a size, of what an ancestor does not hand down.
func TestPatchesThatWouldNotBeHeard(t *testing.T) {
	for _, c := range []struct{ system, path, value, want string }{
		{"hgx-h100:8", "topology.tiers.leaf.bandwidth", "x2", "8 chips are within tier node: there is no tier leaf"},
		{"hgx-h100:64", "topology.chips", "16", "hgx-h100:64 says the number of chips"},
	} {
		_, err := NewSource(nil, spec.Patches{}.With(c.path, c.value)).Load(c.system)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s: %v, want %q", c.system, c.path, err, c.want)
		}
	}
	for path, heard := range map[string]bool{"chips.h100.memory.bandwidth": false, "chips.h100.operators.gemm.bfloat16.ec": true} {
		s := NewSource(nil, spec.Patches{}.With(path, "x0.9"))
		if _, err := s.Load("hgx-h200:8"); err != nil {
			t.Fatal(err)
		}
		if err := s.Unused(); (err == nil) != heard {
			t.Errorf("%s of an ancestor: %v", path, err)
		}
	}
	if _, err := NewSource(nil, spec.Patches{}.With("topology.tiers.*.bandwidth", "x2")).Load("hgx-h100:8"); err != nil {
		t.Errorf("every tier: %v", err)
	}
}

// A library without the law of its role is refused: it would be free.
func TestLibrariesHaveTheLawsOfTheirRoles(t *testing.T) {
	for _, c := range []struct{ key, library, want string }{
		{"all_reduce", "mooncake", "libraries.all_reduce: mooncake has no law for it"},
		{"dispatch", "mooncake", "libraries.dispatch: mooncake has no law"},
		{"transfer", "nccl", "libraries.transfer: nccl has no law"},
		{"dispatch", "nccl", ""}, {"all_reduce", "deepep-ll", "libraries.all_reduce: deepep-ll has no law"},
	} {
		topology, err := NewSource(nil, spec.Patches{}.With("chip.libraries.node."+c.key, c.library)).Load("hgx-h100:8")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := topology.DefaultLibraries(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s by %s: %v, want %q", c.key, c.library, err, c.want)
		}
	}
}
