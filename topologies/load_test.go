package topologies

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/golden"
)

// Every system loads, and its tiers are these.
func TestTiersGolden(t *testing.T) {
	var b strings.Builder
	for _, name := range append(Names(), "atlas-a2:16", "hgx-h100:4", "supernode8912:16", "supernode8912:512", "hgx-h100:512", "nvl72:144", "vr-nvl72:576", "l40s:3") {
		x := system(t, name)
		fmt.Fprintf(&b, "%s %d × %s\n", x.Name, x.Chips, x.Chip.Name)
		for i, tier := range x.Tiers {
			d := x.TierDelays(i)
			bw, _ := tier.Bandwidth.MarshalText()
			fmt.Fprintf(&b, "  %-9s %5d %-9s %-8s τ %-7s worst %-8s mean %s\n", tier.Name, tier.Size, tier.Shape, bw, tier.Tau.Path(), d.Worst, d.Mean)
		}
		for _, a := range x.Assumptions {
			if !strings.Contains(a, " is assumed: ") {
				t.Errorf("%s: assumption %q", name, a)
			}
		}
	}
	golden.Equal(t, "testdata/tiers.golden", []byte(b.String()))
}

func TestEveryChipLoads(t *testing.T) {
	names := ChipNames()
	if len(names) < 24 {
		t.Errorf("%d chips, want at least 24", len(names))
	}
	for _, n := range names {
		c, err := LoadChip(n)
		if err != nil {
			t.Error(err)
			continue
		}
		if c.Name != n {
			t.Errorf("chips/%s.yaml calls itself %s", n, c.Name)
		}
		if len(c.Operators) == 0 && c.Ancestor == "" {
			t.Errorf("%s has neither operator constants nor an ancestor", n)
		}
		for _, a := range c.Aliases {
			if same, err := LoadChip(a); err != nil || same.Name != n {
				t.Errorf("alias %s of %s: %v", a, n, err)
			}
		}
	}
}

func TestAliasesAreUnique(t *testing.T) {
	for _, n := range Names() {
		x := system(t, n)
		for _, a := range append(x.Aliases, x.Name) {
			if same := system(t, a); same.Name != n {
				t.Errorf("%s of %s means %s", a, n, same.Name)
			}
		}
	}
	if system(t, "nvl72").Name != "gb200-nvl72" {
		t.Error("nvl72 must mean gb200-nvl72")
	}
}

// Every system has libraries for everything, and every library works on every system.
func TestEveryLibraryOnEverySystem(t *testing.T) {
	for _, n := range append(Names(), "hgx-h100:64", "l40s:16") {
		x := system(t, n)
		ls, err := x.DefaultLibraries()
		if err != nil {
			t.Error(err)
			continue
		}
		for name, c := range every(x, ls, min(16, x.Chips), 1, 1e6, decodeMoE(0, 256, 7168)) {
			if c.Total() <= 0 {
				t.Errorf("%s: %s costs %v", n, name, c)
			}
		}
		for _, l := range LibraryNames() {
			if _, err := x.Library(l); err != nil {
				t.Error(err)
			}
		}
	}
}

// What nobody timed on a chip or its links is said.
func TestAssumedLibraries(t *testing.T) {
	for ref, want := range map[string]string{
		"supernode8912":  "cann: its constants are fitted on other chips and assumed for ascend950dt",
		"hgx-mi300x":     "deepep-ll: its constants are fitted on other chips and assumed for mi300x",
		"hgx-h100:64":    "nccl: its constants are fitted on nvlink and assumed for the infiniband links of tier leaf",
		"tpu-v5p-pod":    "ici: ring.chips is assumed",
		"gb300-nvl72":    "trtllm-alltoall: its constants are fitted on other chips and assumed for gb300",
		"nvl576":         "nccl: its constants are fitted on other chips and assumed for rubin-ultra",
		"cloudmatrix384": "cann: dispatch[0].a_us = 17 is assumed",
	} {
		ls, err := system(t, ref).DefaultLibraries()
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(ls.Assumptions(), "\n"); !strings.Contains(all, want) {
			t.Errorf("%s: want %q among\n%s", ref, want, all)
		}
	}
	ls, _ := system(t, "cloudmatrix384").DefaultLibraries()
	if all := strings.Join(ls.Assumptions(), "\n"); strings.Contains(all, "assumed for ascend910c") {
		t.Errorf("the 910C is what CANN was timed on:\n%s", all)
	}
}

func TestWithChip(t *testing.T) {
	x := system(t, "supernode8912")
	pr, err := LoadChip("950pr")
	if err != nil {
		t.Fatal(err)
	}
	y := x.WithChip(pr)
	if y.Chip.Name != "ascend950pr" || x.Chip.Name != "ascend950dt" {
		t.Errorf("%s and %s", y.Chip.Name, x.Chip.Name)
	}
	all := strings.Join(y.Assumptions, "\n")
	if strings.Contains(all, "ascend950dt") || !strings.Contains(all, "ascend950pr") || !strings.Contains(all, "supernode.bandwidth") {
		t.Errorf("assumptions must be the system's and the new chip's:\n%s", all)
	}
	if back := y.WithChip(x.Chip); strings.Join(back.Assumptions, "\n") != strings.Join(x.Assumptions, "\n") {
		t.Error("changing back must give the same assumptions")
	}
}

func TestConstantsInherit(t *testing.T) {
	const base = "source: test\nconfidence: low\nvendor: V\npeak: {bf16: 1TFLOPS}\nmemory: {capacity: 1GiB, bandwidth: 1TB/s}\n"
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("chips/old.yaml", "name: old\n"+base+"operators: {gemm: {bf16: {t0_us: 2.5, ec: 1, rows: 7, median_error_pct: 3, p90_error_pct: 9, source: tables}}}\n")
	write("chips/new.yaml", "name: new\nancestor: old\n"+base+"operators: {moe: {bf16: {t0_us: 9, source: tables}}}\n")
	write("chips/knot.yaml", "name: knot\nancestor: loop\n"+base)
	write("chips/loop.yaml", "name: loop\nancestor: knot\n"+base)
	write("mine.yaml", "name: mine\naliases: [own]\nsource: x\nconfidence: low\nchip: new\nchips: 2\ntiers: [{name: n, shape: switch, bandwidth: 1GB/s, fabric: ub, tau: {hops: [{switch: 1ns}]}}]\n")
	x, err := Load("own", dir)
	if err != nil {
		t.Fatal(err)
	}
	gemm, ok := x.Chip.Constants("gemm", "bf16")
	if !ok || !gemm.Assumed || gemm.Values["t0_us"] != 2.5 || gemm.Rows != 7 || gemm.P90ErrorPct != 9 || len(gemm.Values) != 2 {
		t.Errorf("inherited %+v, %v", gemm, ok)
	}
	if moe, ok := x.Chip.Constants("moe", "bf16"); !ok || moe.Assumed {
		t.Errorf("own %+v, %v", moe, ok)
	}
	if _, ok := x.Chip.Constants("gemm", "fp4"); ok {
		t.Error("nobody has gemm fp4")
	}
	if _, err := LoadChip("knot", dir); err == nil || !strings.Contains(err.Error(), "comes back to knot") {
		t.Errorf("a circle of ancestors: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "mine.yaml"), dir); err != nil {
		t.Error(err)
	}
	if _, err := x.DefaultLibraries(); err == nil || !strings.Contains(err.Error(), "chip new says no communication libraries for a node, which tier n of mine is by its fabric ub: write libraries: {node: {all_reduce: …") {
		t.Errorf("a chip without libraries: %v", err)
	}
}

const goodTopology = `name: x
source: here
confidence: high
chip: h100
chips: 64
tiers:
  - {name: node, size: 8, shape: switch, bandwidth: 450GB/s, fabric: nvlink, tau: {endpoint: 1ns, hops: [{switch: 1ns}]}}
  - {name: pod, size: 64, shape: full-mesh, dims: [2, 4], bandwidth: 50GB/s, fabric: ub, tau: {hops: [{switch: 1ns, metres: 2}]}}
assumptions:
  - {path: "tiers[1].bandwidth", because: guess}
`

func TestTopologyErrors(t *testing.T) {
	if _, err := NewSource(nil, nil).parseTopology("x.yaml", []byte(goodTopology), 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"450GB/s", "0GB/s", "x.yaml:7:53: tiers[0].bandwidth: must be positive"},
		{"450GB/s", "450", "x.yaml:7:53"},
		{"bandwidth: 450GB/s", "bandwith: 450GB/s", `did you mean "bandwidth"`},
		{"chip: h100", "chip: h10", `did you mean "h100"`},
		{"shape: switch", "shape: swich", `did you mean "switch"`},
		{"shape: switch", "shape: dragonfly", `tiers[0].shape: unknown shape "dragonfly" (known: fat-tree, full-mesh, switch, torus)`},
		{"fabric: nvlink", "fabric: nvlnk", `x.yaml:7:70: tiers[0].fabric: unknown fabric "nvlnk"; did you mean "nvlink"?`},
		{"fabric: nvlink, ", "", "tiers[0].fabric: must name the kind of link: nvlink, xgmi,"},
		{"dims: [2, 4]", "dims: [2, 3]", "multiply to 6, but the tier joins 8 members"},
		{"dims: [2, 4]", "dims: [2, -4]", "extents must be 1 to"},
		{"dims: [2, 4]", "dims: []", "needs 1 to 6 extents"},
		{"size: 8", "size: 0", "must be 1 to 10000000 chips"},
		{"size: 8", "size: 64", "must be more than the tier below"},
		{"size: 8", "size: 7", "must be whole domains"},
		{"chips: 64", "chips: 65", "must span all 65 chips"},
		{"chips: 64", "chips: -1", "chips: must be 1 to"},
		{"chips: 64", "chips: 64\nunit: 7", "must be at least 1 and divide chips"},
		{"name: pod", "name: node", "two tiers are called"},
		{"name: pod", "name: optics", "no part or preset of --tau"},
		{"name: pod", "name: p.q", "without dots"},
		{"{switch: 1ns}", "{switch: 1ns}, {switch: -2ns}", "must not be negative"},
		{"{switch: 1ns, metres: 2}", "{switch: 1ns, metres: 2}, {switch: 1ns}", "has one hop"},
		{"{switch: 1ns, metres: 2}", "", "must be 1 to 64 links"},
		{"metres: 2", "metres: -2", "metres: must be 0 to"},
		{"metres: 2", "metres: .inf", "metres: must be 0 to"},
		{"bandwidth: 450GB/s", "bandwidth: 450GB/s, oversubscription: 0.5", "oversubscription: must be 1 (none)"},
		{"bandwidth: 450GB/s", "bandwidth: 450GB/s, oversubscription: 0", "oversubscription: must be 1 (none)"},
		{"endpoint: 1ns", "endpoint: 11s", "must be 0 to 10s"},
		{"tiers[1].bandwidth\"", "tiers[2].bandwidth\"", "names no field of this file"},
		{"because: guess", "because: \"\"", "because must say why"},
		{"source: here", "", "source: is missing"},
		{"confidence: high", "confidence: hgh", `did you mean "high"`},
		{"name: x", "name: a b", "must be a word"},
	} {
		text := strings.Replace(goodTopology, c.old, c.new, 1)
		if _, err := NewSource(nil, nil).parseTopology("x.yaml", []byte(text), 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v\nwant %q in it", c.old, c.new, err, c.want)
		}
	}
	bad := strings.NewReplacer("450GB/s", "0GB/s", "dims: [2, 4]", "dims: [3, 4]", "chip: h100", "chip: h1000").Replace(goodTopology)
	_, err := NewSource(nil, nil).parseTopology("x.yaml", []byte(bad), 0)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three faults at once, got %v", err)
	}
}

func TestSizes(t *testing.T) {
	for ref, want := range map[string]string{
		"hgx-h100:12":        "a part of a node is 1 to 8, more are multiples of 8 up to 10000000; the nearest are hgx-h100:8 and hgx-h100:16",
		"hgx-mi300x:12":      "up to a row of 8",
		"cloudmatrix384:12":  "the nearest are cloudmatrix384:8 and cloudmatrix384:16",
		"cloudmatrix384:392": "has no size of 392 chips",
		"supernode8912:100":  "a part of a cabinet of 64 is up to a row of 8, or whole rows, more are multiples of 64 up to 8912; the nearest are supernode8912:64 and supernode8912:128",
		"supernode8912:12":   "the nearest are supernode8912:8 and supernode8912:16",
		"supernode8912:8913": "has no size of 8913",
		"ub-mesh:1536":       "the nearest are ub-mesh:1024 and ub-mesh:2048",
		"ub-mesh:320":        "the nearest are ub-mesh:256 and ub-mesh:512",
		"tpu-v5p-pod:32":     "a cube of 64 is not cut",
		"tpu-v5p-pod:704":    "the nearest are tpu-v5p-pod:640 and tpu-v5p-pod:768",
		"hgx-h100:0":         "number of chips",
		"hgx-h100:x":         "number of chips",
		"hgx-h100:":          "number of chips",
		"nvl72:73":           "multiples of 4",
		"hgx-h10":            `did you mean "hgx-h100"`,
		"supernode8192":      `did you mean "supernode8912"`,
		"no/such.yaml":       "no such file",
		"../x":               "no such file",
		"":                   "unknown topology",
	} {
		if _, err := Load(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", ref, err, want)
		}
	}
	for ref, tiers := range map[string]int{"hgx-h100": 1, "hgx-h100:8": 1, "hgx-h100:16": 2, "hgx-h100:256": 2, "hgx-h100:264": 3, "hgx-h100:16384": 3, "nvl72:4": 1, "nvl72:76": 2, "supernode8912:8912": 2} {
		x := system(t, ref)
		if len(x.Tiers) != tiers || x.Tiers[tiers-1].Size != x.Chips {
			t.Errorf("%s: %d tiers, the last of %d chips; want %d", ref, len(x.Tiers), x.Tiers[len(x.Tiers)-1].Size, tiers)
		}
		if again := system(t, x.Name); again.Chips != x.Chips {
			t.Errorf("%s calls itself %s, which is another", ref, x.Name)
		}
	}
}

// A name is written in letters of any case; that of a chip says which systems have it.
func TestNamesByCaseAndKind(t *testing.T) {
	for ref, want := range map[string]string{"NVL72": "gb200-nvl72", "HGX-H100:16": "hgx-h100:16", "Atlas950": "atlas950-8192", "CloudMatrix384": "cloudmatrix384"} {
		if x, err := Load(ref); err != nil || x.Name != want {
			t.Errorf("%s: %v, want %s", ref, err, want)
		}
	}
	for ref, want := range map[string]string{"H100": "h100", "910C": "ascend910c", "RTX-4090": "rtx-4090"} {
		if c, err := LoadChip(ref); err != nil || c.Name != want {
			t.Errorf("%s: %v, want %s", ref, err, want)
		}
	}
	for ref, want := range map[string]string{
		"h100": "h100 is a chip; did you mean hgx-h100?", "H100:8": "did you mean hgx-h100?", "a100": "hgx-a100?", "b200": "hgx-b200?",
		"gb200": "gb200-nvl72?", "910c": "cloudmatrix384?", "h10O": "unknown topology",
	} {
		if _, err := Load(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
	}
	for ref, want := range map[string]string{"hgx-h100": "hgx-h100 is a topology; its chip is h100", "nvl72": "its chip is gb200"} {
		if _, err := LoadChip(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("chip %s: %v, want %q", ref, err, want)
		}
	}
	// The list of names does not fill the screen where there is a nearest.
	if _, err := Load("hgx-h10"); err == nil || len(err.Error()) > 100 {
		t.Errorf("%v", err)
	}
}

func FuzzTopology(f *testing.F) {
	for _, n := range Names() {
		data, err := shipped.ReadFile(n + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), 0)
	}
	f.Add(goodTopology, 128)
	f.Add(smallTorus, 96)
	f.Fuzz(func(t *testing.T, text string, chips int) {
		if chips < 0 || chips > maxChips {
			chips = 0
		}
		x, err := NewSource(nil, nil).parseTopology("x.yaml", []byte(text), chips)
		if err != nil {
			return
		}
		if x.Chips < 1 || len(x.Tiers) < 1 || x.Tiers[len(x.Tiers)-1].Size != x.Chips || x.Bisection() <= 0 {
			t.Fatalf("%d chips, bisection %s", x.Chips, x.Bisection())
		}
		if p := x.Path(0, x.Chips-1); x.Chips > 1 && (p.Tau < 0 || p.Bandwidth <= 0) {
			t.Fatalf("%+v", p)
		}
		ls, err := x.DefaultLibraries()
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range every(x, ls, min(x.Chips, 100), 1, 1e6, decodeMoE(0, 256, 7168)) {
			if !(c.Total() >= 0) || c.Total() > 1e12 {
				t.Fatalf("%s costs %v", name, c)
			}
		}
	})
}

func FuzzChip(f *testing.F) {
	for _, n := range []string{"h100", "ascend910c", "rubin-ultra"} {
		data, err := shipped.ReadFile("chips/" + n + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("name: a\noperators: {gemm: {x: {a: .nan, rows: -1, source: 3}}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := NewSource(nil, nil).parseChip("x.yaml", []byte(text), false, nil)
		if err != nil {
			return
		}
		if c.Peak[BF16] <= 0 || c.Memory.Capacity <= 0 || c.Memory.Bandwidth <= 0 || c.Dies < 1 {
			t.Fatalf("%+v", c)
		}
		c.Constants("gemm", "bf16")
	})
}

func FuzzLibrary(f *testing.F) {
	x := system(f, "hgx-h100:16")
	for _, n := range LibraryNames() {
		data, err := shipped.ReadFile("libraries/" + n + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := x.parseLibrary("x.yaml", []byte(text), nil)
		if err != nil {
			return
		}
		ls := Libraries{AllReduce: l, Collective: l, Decode: l, Prefill: l, Transfer: l, Fused: l}
		for name, c := range every(x, ls, 16, 1, 1e6, decodeMoE(0, 256, 7168)) {
			if !(c.Latency >= 0 && c.Bandwidth >= 0 && c.Tau <= c.Latency*(1+1e-9)) {
				t.Fatalf("%s costs %+v", name, c)
			}
		}
	})
}

// A grandchild's factors multiply its parent's; a chip with constants of its own is
// where inheritance ends.
func TestTransfer(t *testing.T) {
	chip := func(text string) (*Chip, error) {
		return NewSource(nil, nil).parseChip("x.yaml", []byte("name: x\nvendor: v\nsource: s\nconfidence: low\npeak: {bf16: 1PFLOPS}\nmemory: {capacity: 1GiB, bandwidth: 1TB/s}\n"+text), false, nil)
	}
	mi300x, err := LoadChip("mi300x")
	if err != nil {
		t.Fatal(err)
	}
	of, err := chip("ancestor: mi300x\ntransfer: {compute: 0.5, source: s}\n")
	if err != nil {
		t.Fatal(err)
	}
	got, parent := of.Inherited(), mi300x.Inherited()
	if got.Compute != 0.5*parent.Compute || got.Memory != parent.Memory || got.Floors != parent.Floors || got.Source != "s" {
		t.Errorf("%+v on top of %+v", got, parent)
	}
	if h100, err := LoadChip("h100"); err != nil || h100.Inherited() != (Transfer{Compute: 1, Memory: 1, Floors: 1}) {
		t.Errorf("%+v, %v", h100.Inherited(), err)
	}
	for text, want := range map[string]string{
		"transfer: {compute: 0.5, source: s}\n":                                                               "x.yaml:7:11: transfer: is for a chip with an ancestor",
		"ancestor: h100\ntransfer: {compute: 0.5}\n":                                                          "transfer: source is missing",
		"ancestor: h100\ntransfer: {memory: 2, floors: -1, source: s}\n":                                      "transfer.memory: must be between 0.05 and 1.5, got 2",
		"ancestor: h100\noperators: {gemm: {fp8: {t0_us: 1, source: s}}}\ntransfer: {floors: 2, source: s}\n": "has its own in operators",
	} {
		if _, err := chip(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A shape that the table does not say everything of cannot be loaded, and a tier that
// no file was checked for has no price.
func TestShapesAreWhole(t *testing.T) {
	table := append(slices.Clone(joinings), joining{shape: "dragonfly", path: switchedPath, worst: switchedWorst, delays: switchedDelays})
	if _, err := shapeIn(table, "dragonfly"); err == nil || !strings.Contains(err.Error(), `shape "dragonfly" has no cut, part, meet in the table`) {
		t.Errorf("got %v", err)
	}
	for _, j := range joinings {
		if _, err := shapeIn(joinings, j.shape); err != nil {
			t.Error(err)
		}
	}
	x := *system(t, "hgx-h100:16")
	x.Tiers = slices.Clone(x.Tiers)
	x.Tiers[1].Shape = "dragonfly"
	defer func() {
		if recover() == nil {
			t.Error("a tier of a shape that nobody knows has a delay")
		}
	}()
	x.TierDelays(1)
}

// What a chip's software decides is said in its file or in an ancestor's, which the
// assumptions then name; what is said of cores is said whole.
func TestSoftwareOfChips(t *testing.T) {
	const head = "name: x\nvendor: Acme\nsource: s\nconfidence: low\npeak: {bf16: 1PFLOPS}\nmemory: {capacity: 1GiB, bandwidth: 1TB/s}\n"
	for _, name := range ChipNames() {
		c, err := LoadChip(name)
		if err != nil {
			t.Fatal(err)
		}
		if c.Engine == "" || c.Libraries[Node] == (Stack{}) || c.Core == "" || strings.Contains(strings.Join(c.Assumptions, "\n"), "assumed as on its ancestor") {
			t.Errorf("%s: engine %q, core %q, libraries %v, %q", name, c.Engine, c.Core, c.Libraries, c.Assumptions)
		}
	}
	c, err := NewSource(nil, nil).parseChip("x.yaml", []byte(head+"ancestor: ascend910c\nengine: vllm\n"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Engine != "vllm" || c.Libraries[Node].Dispatch != "cann" || !c.Multiplies().Integers || c.Core != "" {
		t.Errorf("%+v", c.Software)
	}
	if all := strings.Join(c.Assumptions, "\n"); all != "x: communication libraries and arithmetic assumed as on its ancestor ascend910c" {
		t.Errorf("assumptions %q", all)
	}
	for text, want := range map[string]string{
		"cores: 8\n":                             "x.yaml:7:8: cores: core must say what one is: sm,",
		"core: smm\ncores: 8\n":                  `unknown kind of core "smm"; did you mean "sm"?`,
		"core: sm\n":                             "core: cores must say how many there are",
		"efficiency: {hbm: 0.8}\n":               `unknown key "efficiency"`,
		"libraries: {nod: {all_reduce: nccl}}\n": `unknown domain "nod"; did you mean "node"?`,
		"libraries: {node: {all_reduce: nccl, transfer: a}}\n":   "libraries.node.dispatch: must name a communication library",
		"arithmetic: {integer: true}\n":                          `did you mean "integers"?`,
		"core: other\ncores: 8\nlibraries: {bus: {reduce: x}}\n": `unknown key "reduce"`,
	} {
		if _, err := NewSource(nil, nil).parseChip("x.yaml", []byte(head+text), false, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
