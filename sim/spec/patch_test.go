package spec

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// plant is a description with every kind of place that a path can lead to.
type plant struct {
	Name   string                               `yaml:"name"`
	Count  int                                  `yaml:"count"`
	Share  *float64                             `yaml:"share"`
	On     bool                                 `yaml:"on"`
	HBM    memory                               `yaml:"hbm"`
	Spare  *memory                              `yaml:"spare"`
	Racks  []rack                               `yaml:"racks"`
	Dims   []int                                `yaml:"dims"`
	Sizes  map[string]Bytes                     `yaml:"sizes"`
	Kinds  map[string]*memory                   `yaml:"kinds"`
	Fits   map[string]map[string]map[string]any `yaml:"fits"`
	Floor  Duration                             `yaml:"floor"`
	Limit  Duration                             `yaml:"limit"`
	Budget Power                                `yaml:"budget"`
}

type rack struct {
	Name  string `yaml:"name"`
	Size  int    `yaml:"size"`
	Links []link `yaml:"links"`
}

type link struct {
	Delay Duration  `yaml:"delay"`
	Rate  Bandwidth `yaml:"rate"`
}

const plantFile = `name: p
count: 3
on: true
hbm: {capacity: 80GiB, bandwidth: 3.35TB/s}
racks:
- {name: inner, size: 8, links: [{delay: 100ns, rate: 400Gb/s}]}
- {name: outer, size: 64, links: [{delay: 1m30s, rate: 1.5TB/s}, {delay: 20ns}]}
dims: [2, 4]
sizes: {kv: 584B, v1.5: 1GB}
kinds:
  a: {capacity: 1GiB}
  b: {bandwidth: 2GB/s}
fits:
  gemm: {fp8: {t0: 1.5, eff: 0.5, source: tables}}
  moe: {fp8: {t0: 3}, fp4: {t0: 4}}
floor: 2.1us
budget: 1.4kW
`

// over reads the plant with patches given as path, value, path, value …
func over(t *testing.T, pairs ...string) (p plant, doc *Doc) {
	t.Helper()
	var patches Patches
	for i := 0; i < len(pairs); i += 2 {
		patches = patches.With("top."+pairs[i], pairs[i+1])
	}
	doc = ParseOver("x.yaml", []byte(plantFile), patches.Under("top"), &p)
	return p, doc
}

// A patched file is the file that says what the patches say: each of these patches is the
// same as a text replaced.
var sameAsEdits = []struct {
	patches []string
	edits   []string // old, new …
}{
	{[]string{"name", "q"}, []string{"name: p", "name: q"}},
	{[]string{"name", `""`}, []string{"name: p", `name: ""`}},
	{[]string{"count", "0"}, []string{"count: 3", "count: 0"}},
	{[]string{"on", "false"}, []string{"on: true", "on: false"}},
	{[]string{"hbm.bandwidth", "5TB/s"}, []string{"3.35TB/s", "5TB/s"}},
	{[]string{"hbm", "{capacity: 1GB}"}, []string{"{capacity: 80GiB, bandwidth: 3.35TB/s}", "{capacity: 1GB}"}},
	{[]string{"racks.outer.size", "72"}, []string{"size: 64", "size: 72"}},
	{[]string{"racks.1.size", "72"}, []string{"size: 64", "size: 72"}},
	{[]string{"racks[1].links[0].delay", "3ns"}, []string{"1m30s", "3ns"}},
	{[]string{"racks.*.size", "9"}, []string{"size: 8", "size: 9", "size: 64", "size: 9"}},
	{[]string{"racks.size", "9"}, []string{"size: 8", "size: 9", "size: 64", "size: 9"}},
	{[]string{"racks.links.delay", "9ns"}, []string{"100ns", "9ns", "1m30s", "9ns", "20ns", "9ns"}},
	{[]string{"racks.*.links.0.rate", "1GB/s"}, []string{"400Gb/s", "1GB/s", "1.5TB/s", "1GB/s"}},
	{[]string{"racks.outer.links.1.rate", "1GB/s"}, []string{"{delay: 20ns}", "{delay: 20ns, rate: 1GB/s}"}},
	{[]string{"dims", "[1, 2, 3]"}, []string{"[2, 4]", "[1, 2, 3]"}},
	{[]string{"dims.1", "7"}, []string{"[2, 4]", "[2, 7]"}},
	{[]string{"sizes.kv", "1B"}, []string{"584B", "1B"}},
	{[]string{"sizes.v1.5", "1B"}, []string{"1GB", "1B"}},
	{[]string{"sizes.*", "1B"}, []string{"584B", "1B", "1GB", "1B"}},
	{[]string{"kinds.*.capacity", "5GiB"}, []string{"1GiB", "5GiB", "{bandwidth: 2GB/s}", "{bandwidth: 2GB/s, capacity: 5GiB}"}},
	{[]string{"kinds.b", "null"}, []string{"  b: {bandwidth: 2GB/s}\n", ""}},
	{[]string{"fits.gemm.fp8.eff", "0.6"}, []string{"0.5", "0.6"}},
	{[]string{"fits.*.*.t0", "x2"}, []string{"1.5,", "3,", "t0: 3}", "t0: 6}", "t0: 4}", "t0: 8}"}},
	{[]string{"fits.*.fp4.t0", "1"}, []string{"t0: 4}", "t0: 1}"}},
	{[]string{"share", "0.25"}, []string{"count: 3", "count: 3\nshare: 0.25"}},
	{[]string{"spare.capacity", "1GiB"}, []string{"count: 3", "count: 3\nspare: {capacity: 1GiB}"}},
	{[]string{"floor", "null"}, []string{"floor: 2.1us\n", ""}},
	{[]string{"spare.capacity", "null"}, nil},
	{[]string{"share", "null"}, nil},
	{[]string{"count", "x4"}, []string{"count: 3", "count: 12"}},
	{[]string{"hbm.bandwidth", "x1.2"}, []string{"3.35TB/s", "4.02TB/s"}},
	{[]string{"hbm.capacity", "x1.2"}, []string{"80GiB", "96GiB"}},
	{[]string{"hbm.*", "x2"}, []string{"80GiB", "160GiB", "3.35TB/s", "6.7TB/s"}},
	{[]string{"racks.*.links.0.rate", "x0.5"}, []string{"400Gb/s", "200Gb/s", "1.5TB/s", "0.75TB/s"}},
	{[]string{"racks.outer.links.0.delay", "x2"}, []string{"1m30s", "180s"}},
	{[]string{"floor", "x1e3"}, []string{"2.1us", "2100us"}},
	{[]string{"floor", "x1e-1"}, []string{"2.1us", "0.21us"}},
	{[]string{"budget", "x0"}, []string{"1.4kW", "0kW"}},
	{[]string{"dims.*", "x3"}, []string{"[2, 4]", "[6, 12]"}},
	// The narrow wins over the wide, whichever was said first; factors compose.
	{[]string{"racks.*.size", "9", "racks.outer.size", "5"}, []string{"size: 8", "size: 9", "size: 64", "size: 5"}},
	{[]string{"racks.0.size", "5", "racks.size", "9"}, []string{"size: 8", "size: 5", "size: 64", "size: 9"}},
	{[]string{"racks.size", "x2", "racks.inner.size", "x3"}, []string{"size: 8", "size: 48", "size: 64", "size: 128"}},
	{[]string{"hbm", "{capacity: 10GB}", "hbm.capacity", "x2"}, []string{"{capacity: 80GiB, bandwidth: 3.35TB/s}", "{capacity: 20GB}"}},
	{[]string{"hbm.*", "x2", "hbm.bandwidth", "1TB/s"}, []string{"80GiB", "160GiB", "3.35TB/s", "1TB/s"}},
}

func TestAPatchIsTheFileThatSaysIt(t *testing.T) {
	for _, c := range sameAsEdits {
		got, doc := over(t, c.patches...)
		if err := doc.Err(); err != nil {
			t.Errorf("%q: %v", c.patches, err)
			continue
		}
		text := plantFile
		for i := 0; i < len(c.edits); i += 2 {
			if strings.Count(text, c.edits[i]) == 0 {
				t.Fatalf("%q is not in the file", c.edits[i])
			}
			text = strings.Replace(text, c.edits[i], c.edits[i+1], 1)
		}
		var want plant
		if err := Parse("y.yaml", []byte(text), &want).Err(); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives\n%+v\nwant\n%+v", c.patches, got, want)
		}
	}
}

func TestPatchesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		patches []string
		want    string
	}{
		{[]string{"hbm.bandwith", "1TB/s"}, `patch top.hbm.bandwith=1TB/s: unknown key "bandwith"; did you mean top.hbm.bandwidth?`},
		{[]string{"hmb.bandwidth", "1TB/s"}, `patch top.hmb.bandwidth=1TB/s: unknown key "hmb"; did you mean top.hbm.bandwidth?`},
		{[]string{"bandwidth", "1TB/s"}, `patch top.bandwidth=1TB/s: unknown key "bandwidth"; did you mean top.hbm.bandwidth?`},
		{[]string{"racks.outer.delay", "1ns"}, `patch top.racks.outer.delay=1ns: unknown key "delay"; did you mean top.racks.outer.links.0.delay?`},
		{[]string{"racks.foo.size", "1"}, `patch top.racks.foo.size=1: racks: unknown element "foo" (known: inner, outer)`},
		{[]string{"racks.iner.size", "1"}, `patch top.racks.iner.size=1: racks: unknown element "iner"; did you mean "inner"? (known: inner, outer)`},
		{[]string{"racks.2.size", "1"}, `patch top.racks.2.size=1: racks: there is no element 2; they count from 0 to 1`},
		{[]string{"dims.x", "1"}, `patch top.dims.x=1: dims: "x" is no element; they count from 0 to 1, and * is all`},
		{[]string{"sizes.vk", "1B"}, `patch top.sizes.vk=1B: unknown key "vk"; did you mean top.sizes.kv?`},
		{[]string{"fits.gemm.fp4.t0", "1"}, `patch top.fits.gemm.fp4.t0=1: unknown key "fp4"; did you mean top.fits.gemm.fp8.t0?`},
		{[]string{"fits.gemm.fp8.zz", "1"}, `patch top.fits.gemm.fp8.zz=1: unknown key "zz" (known: t0, eff, source)`},
		{[]string{"fits.*.*.zzzzz", "1"}, `patch top.fits.*.*.zzzzz=1: unknown key "zzzzz" (known: t0)`},
		{[]string{"name.first", "a"}, `patch top.name.first=a: name holds one value and no keys`},
		{[]string{"hbm.capacity.low", "1B"}, `patch top.hbm.capacity.low=1B: hbm.capacity holds one value and no keys`},
		{[]string{"fits.moe.fp8.t0.low", "1"}, `patch top.fits.moe.fp8.t0.low=1: fits.moe.fp8.t0 holds one value and no keys`},
		{[]string{"", "1"}, `patch top.=1: names nothing of the file; end it with the path of a key`},
		{[]string{"count", ""}, `patch top.count=: has no value; null leaves the key out, "" in quotes is an empty text`},
		{[]string{"count", "[1"}, `patch top.count=[1: did not find expected ',' or ']' (while parsing a flow sequence that begins at 1:1)`},
		{[]string{"count", "&a 1"}, `patch top.count=&a 1: anchors and aliases cannot stand in a patch's value`},
		{[]string{"dims.0", "null"}, `patch top.dims.0=null: an element of a list cannot be left out by null; say the list as a whole`},
		{[]string{"share", "x2"}, `patch top.share=x2: share has no value here that a factor could multiply; say one`},
		{[]string{"spare.capacity", "x2"}, `patch top.spare.capacity=x2: spare.capacity has no value here that a factor could multiply; say one`},
		{[]string{"name", "x2"}, `patch top.name=x2: name: "p" is no number that a factor could multiply`},
		{[]string{"on", "x2"}, `patch top.on=x2: on: "true" is no number that a factor could multiply`},
		{[]string{"fits.gemm.fp8.source", "x2"}, `patch top.fits.gemm.fp8.source=x2: fits.gemm.fp8.source: "tables" is no number that a factor could multiply`},
		{[]string{"hbm", "x2"}, `patch top.hbm=x2: hbm: a factor multiplies one number, and here are several; name one, or end the path with .*`},
		{[]string{"racks.0.size", "5", "racks.inner.size", "6"}, `patch top.racks.inner.size=6: says the same value as top.racks.0.size=5; give one of them`},
		// What the file itself may not say:
		{[]string{"hbm.bandwidth", "5"}, `patch top.hbm.bandwidth=5: "5" has no unit; want a bandwidth such as 900GB/s or 400Gb/s`},
		{[]string{"count", "x1.5"}, `patch top.count=x1.5: want a whole number, got 4.5`},
		{[]string{"count", "many"}, `patch top.count=many: want a whole number, got "many"`},
		{[]string{"on", "maybe"}, `patch top.on=maybe: want true or false, got "maybe"`},
		{[]string{"dims", "3"}, `patch top.dims=3: want a list, got 3`},
		{[]string{"hbm", "{capasity: 1GB}"}, `patch top.hbm={capasity: 1GB}: unknown key "capasity"; did you mean "capacity"?`},
		{[]string{"hbm", "{capacity: 1}"}, `patch top.hbm={capacity: 1}: hbm.capacity: "1" has no unit; want a size such as 80GiB, 144GB or 584B`},
		{[]string{"name", "!mine x"}, `patch top.name=!mine x: unknown tag !mine`},
		{[]string{"hbm.capacity", "x-1"}, `patch top.hbm.capacity=x-1: "-80GiB" must not be negative`},
		{[]string{"racks.*.links.*.rate", "x2"}, `patch top.racks.*.links.*.rate=x2: racks[1].links[1].rate has no value here that a factor could multiply; say one`},
	} {
		_, doc := over(t, c.patches...)
		if err := doc.Err(); err == nil || err.Error() != c.want {
			t.Errorf("%q:\n%v\nwant\n%s", c.patches, err, c.want)
		}
	}
}

// Every fault of every patch is said at once; those of the file come alone.
func TestFaultsOfPatchesComeTogether(t *testing.T) {
	_, doc := over(t, "nam", "x", "racks.3.size", "1")
	want := "patch top.nam=x: unknown key \"nam\"; did you mean top.name?\n" +
		"patch top.racks.3.size=1: racks: there is no element 3; they count from 0 to 1"
	if err := doc.Err(); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	_, doc = over(t, "count", "many", "floor", "7")
	want = "patch top.count=many: want a whole number, got \"many\"\n" +
		"patch top.floor=7: \"7\" is not a duration; want a duration such as 2s, 50ms, 2.1us or 10ns"
	if err := doc.Err(); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	var p plant
	doc = ParseOver("x.yaml", []byte("name: [\n"), Patches{}.With("count", "many"), &p)
	if err := doc.Err(); err == nil || strings.Contains(err.Error(), "many") || !strings.HasPrefix(err.Error(), "x.yaml:2:1: ") {
		t.Errorf("%v, want the file's own fault", err)
	}
}

// A check names the patch where its value is at fault, keeps the line where the file's
// is, and says both where the fault is around the patched value.
func TestChecksNamePatches(t *testing.T) {
	_, doc := over(t, "racks.*.size", "9", "hbm", "{capacity: 1GB}")
	doc.Errorf("racks[1].size", "must be 8")
	doc.Errorf("hbm.bandwidth", "is missing")
	doc.Errorf("racks[1]", "is too large")
	doc.Errorf("count", "must be 4")
	want := `patch top.racks.*.size=9: racks[1].size: must be 8
patch top.hbm={capacity: 1GB}: hbm.bandwidth: is missing
x.yaml:2:8: count: must be 4
x.yaml:7:3: racks[1]: is too large (with patch top.racks.*.size=9)`
	if err := doc.Err(); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	if patch, ok := doc.PatchOf("racks"); !ok || patch != "top.racks.*.size=9" {
		t.Errorf("racks are patched by %q, %t", patch, ok)
	}
	if patch, ok := doc.PatchOf("count"); ok {
		t.Errorf("count is patched by %q", patch)
	}
	if v, ok := doc.Lookup("racks[1].size"); !ok || v != 9 {
		t.Errorf("racks[1].size is %v, %t; want 9", v, ok)
	}
}

// What another description's patches have wrong is said as it is; its other faults stand
// where it is named.
func TestWrap(t *testing.T) {
	_, doc := over(t)
	doc.Wrap("name", Problems{{Patch: "chip.memory=5", Path: "memory", Text: "is wrong"}, {File: "y.yaml", Line: 2, Column: 1, Text: "is odd"}})
	want := "patch chip.memory=5: is wrong\nx.yaml:1:7: name: y.yaml:2:1: is odd"
	if err := doc.Err(); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// A path through an alias or a merge key changes that place alone.
func TestPatchesPassAliases(t *testing.T) {
	const file = "hbm: &a {capacity: 1GB, bandwidth: 1GB/s}\nspare: *a\nkinds: {x: {<<: *a, capacity: 2GB}, y: {<<: [*a]}}\n"
	var p plant
	if err := ParseOver("x.yaml", []byte(file), Patches{}.With("spare.capacity", "7GB").With("kinds.*.bandwidth", "x3"), &p).Err(); err != nil {
		t.Fatal(err)
	}
	if p.HBM != (memory{1e9, 1e9}) || *p.Spare != (memory{7e9, 1e9}) || *p.Kinds["x"] != (memory{2e9, 3e9}) || *p.Kinds["y"] != (memory{1e9, 3e9}) {
		t.Errorf("read %+v, spare %+v, kinds %+v %+v", p.HBM, *p.Spare, *p.Kinds["x"], *p.Kinds["y"])
	}
}

func TestPaths(t *testing.T) {
	_, doc := over(t)
	want := `budget count dims fits.gemm.fp8.eff fits.gemm.fp8.source fits.gemm.fp8.t0 fits.moe.fp4.t0 fits.moe.fp8.t0 floor ` +
		`hbm.bandwidth hbm.capacity kinds.a.bandwidth kinds.a.capacity kinds.b.bandwidth kinds.b.capacity limit name on ` +
		`racks.inner.links.0.delay racks.inner.links.0.rate racks.inner.name racks.inner.size ` +
		`racks.outer.links.0.delay racks.outer.links.0.rate racks.outer.links.1.delay racks.outer.links.1.rate racks.outer.name racks.outer.size ` +
		`share sizes.kv sizes.v1.5 spare.bandwidth spare.capacity`
	if got := strings.Join(doc.Paths(), " "); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	want = `budget count dims fits.*.*.* floor hbm.bandwidth hbm.capacity kinds.*.bandwidth kinds.*.capacity limit name on ` +
		`racks.*.links.*.delay racks.*.links.*.rate racks.*.name racks.*.size share sizes.* spare.bandwidth spare.capacity`
	if got := strings.Join(Paths(reflect.TypeFor[plant]()), " "); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestUnder(t *testing.T) {
	ps := Patches{}.With("chips.h100.memory.bandwidth", "1TB/s").With("chip.power", "x2").With("chips.h100x.power", "1W").With("chip.power", "x3")
	if got := ps.Under("chips").Under("h100"); len(got) != 1 || got[0].Path != "memory.bandwidth" || got[0].String() != "chips.h100.memory.bandwidth=1TB/s" {
		t.Errorf("under chips.h100: %v", got)
	}
	if got := ps.Under("chip"); len(got) != 1 || got[0].Value != "x3" {
		t.Errorf("under chip: %v, want the last one said", got)
	}
	if got := ps.Under("engine"); got != nil {
		t.Errorf("under engine: %v", got)
	}
}

// A number times a factor is the exact product of the two as they are written.
func TestTimes(t *testing.T) {
	for _, c := range [][3]string{
		{"3.35", "1.2", "4.02"}, {"3", "0.1", "0.3"}, {"1.6e+12", "2", "3200000000000"}, {"9007199254740993", "1", "9007199254740993"},
		{"1_000", "1.5", "1500"}, {"-2", ".5", "-1"}, {"0", "7", "0"}, {"1e300", "1e10", ""}, {"1e400", "1", ""}, {"1e-999999999", "1", "0"}, {"x", "1", ""},
	} {
		if got, ok := times(c[0], c[1]); ok != (c[2] != "") || ok && got != c[2] {
			t.Errorf("%s × %s = %q, %t; want %q", c[0], c[1], got, ok, c[2])
		}
	}
}

// Factors that undo each other leave what was there.
func TestFactorsUndo(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		by := rapid.SampledFrom([][2]string{{"x2", "x0.5"}, {"x8", "x0.125"}, {"x1.25", "x0.8"}, {"x1e6", "x1e-6"}}).Draw(r, "by")
		plain, _ := over(t)
		there, doc := over(t, "racks.*.links.0.rate", by[0], "racks.inner.links.0.rate", by[1], "racks.outer.links.0.rate", by[1])
		if err := doc.Err(); err != nil || !reflect.DeepEqual(plain, there) {
			r.Fatalf("%v: %v\n%+v\n%+v", by, err, there, plain)
		}
	})
}

// What YAML or JSON writes of patches reads back to them.
func TestPatchesInAFile(t *testing.T) {
	var s struct {
		Patches Patches `yaml:"patches"`
	}
	const file = `patches:
  chip.memory.bandwidth: 5TB/s
  topology.tiers.*.bandwidth: x1.2
  engine.poll_steps: 1
  engine.host_overlapped: false
  chip.power: null
  topology.tiers.a.dims: [1, 2]
  model.ffn.moe: {inter: 3072, latent: "64"}
  engine.four_bit: ""
  topology.confidence: "off"
  topology.description: |
    two
    lines
  topology.name: "5"
`
	if err := Parse("x.yaml", []byte(file), &s).Err(); err != nil {
		t.Fatal(err)
	}
	want := `chip.memory.bandwidth=5TB/s|chip.power=null|engine.four_bit=""|engine.host_overlapped=false|engine.poll_steps=1|model.ffn.moe={inter: 3072, latent: "64"}|topology.confidence=off|topology.description="two\nlines\n"|topology.name="5"|topology.tiers.*.bandwidth=x1.2|topology.tiers.a.dims=[1, 2]`
	var got []string
	for _, p := range s.Patches {
		got = append(got, p.String())
	}
	if strings.Join(got, "|") != want {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "|"), want)
	}
	asYAML, err := yaml.Dump(s)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := json.Marshal(s.Patches)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(asYAML), `{"patches": ` + string(inner) + `}`} {
		again := s
		again.Patches = nil
		if err := Parse("y.yaml", []byte(text), &again).Err(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for i := range again.Patches {
			a, errA := parseValue(again.Patches[i].Value)
			b, errB := parseValue(s.Patches[i].Value)
			var va, vb any
			if errA != nil || errB != nil || a.Load(&va) != nil || b.Load(&vb) != nil || !reflect.DeepEqual(va, vb) || again.Patches[i].Path != s.Patches[i].Path {
				t.Errorf("%s reads back as %s", s.Patches[i], again.Patches[i])
			}
		}
	}
	for text, want := range map[string]string{
		"patches: 3":            `x.yaml:1:10: patches: patches are paths with values, such as {chip.memory.bandwidth: 5TB/s}`,
		"patches: {a: 1, a: 2}": `x.yaml:1:10: patches: patch a is given twice`,
	} {
		if err := Parse("x.yaml", []byte(text), &s).Err(); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParseOver(f *testing.F) {
	for _, seed := range [][3]string{
		{plantFile, "racks.*.links.0.delay", "x1.2"}, {plantFile, "hbm", "{capacity: 1GB}"}, {plantFile, "fits.*.*.t0", "null"},
		{"hbm: &a {capacity: 1GB}\nspare: *a\n", "spare.capacity", "x2"}, {"kinds: &k {x: {}, <<: *k}", "kinds.x", "1"}, {"racks: [null]", "racks.0.size", "1"},
		{"dims: []", "dims.*", "1"}, {"hbm:", "hbm.capacity", "1GB"}, {"sizes: {a: 1GB}", "sizes.a", "&a [*a]"}, {"name: a", "..", "x"}, {"fits: {a: {b: {c: [1, {d: 2}]}}}", "fits.a.b.c.1.d", "!!binary x"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, file, path, value string) {
		var p, alone plant
		doc := ParseOver("x.yaml", []byte(file), Patches{}.With("top."+path, value).Under("top"), &p)
		doc.Errorf("racks[1].size", "made up")
		doc.Paths()
		msg := doc.Err().Error()
		given := file + path + value
		for _, leak := range []string{"go-yaml", "cannot construct", "spec.", "!!seq", "!!map", "x.yaml:0", "x.yaml:10737"} {
			if strings.Contains(msg, leak) && !strings.Contains(given, leak) {
				t.Errorf("%q leaks %q in %s", given, leak, msg)
			}
		}
		if own := Parse("x.yaml", []byte(file), &alone).Err(); own != nil && strings.Contains(msg, "patch top") {
			t.Errorf("the file's own faults (%v) come with the patch's: %s", own, msg)
		}
	})
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		path, at string
		want     bool
	}{
		{"a.b", "a.b", true}, {"a", "a.b", true}, {"a.*", "a.b.c", true}, {"*.b", "a.b", true}, {"a[0].b", "a.0.b", true},
		{"a.b", "a", false}, {"a.b", "a.bc", false}, {"a.*.c", "a.b.d", false}, {"b", "a.b", false},
	} {
		if got := Covers(c.path, c.at); got != c.want {
			t.Errorf("%s covers %s: %t", c.path, c.at, got)
		}
	}
}

// What is written as JSON reads back, values and all.
func TestPatchesJSON(t *testing.T) {
	want := Patches{}.With("chip.memory.bandwidth", "x2").With("engine.poll_steps", "3").With("engine.dependent_launch", "false").With("engine.fitted.host_step_us", "1.5")
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Patches
	if err := json.Unmarshal(text, &got); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s reads back as %v, %v", text, got, err)
	}
	if err := json.Unmarshal([]byte(`[1]`), &got); err == nil {
		t.Error("a list is no mapping")
	}
}
