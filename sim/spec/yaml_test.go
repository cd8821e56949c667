package spec

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// system is a file with everything that can go wrong in it.
type system struct {
	Name  string           `yaml:"name"`
	Count int              `yaml:"count"`
	Share float64          `yaml:"share"`
	On    bool             `yaml:"on"`
	HBM   memory           `yaml:"hbm"`
	Tiers []tier           `yaml:"tiers"`
	Sizes map[string]Bytes `yaml:"sizes"`
	Floor Duration         `yaml:"floor"`
	Peak  *Compute         `yaml:"peak"`
	tier  `yaml:",inline"`
}

type memory struct {
	Capacity  Bytes     `yaml:"capacity"`
	Bandwidth Bandwidth `yaml:"bandwidth"`
}

type tier struct {
	Size  uint  `yaml:"size"`
	Power Power `yaml:"power"`
}

func TestParseReads(t *testing.T) {
	var s system
	err := Parse("x.yaml", []byte(`
name: a
hbm: &hbm {capacity: 80GiB, bandwidth: 3.35TB/s}
tiers: [{size: 8, power: 700W}, {size: 72, power: 1.4kW}]
sizes: {kv: 584B}
floor: 2.1us
peak: 989TFLOPS
size: 3
`), &s).Err()
	if err != nil {
		t.Fatal(err)
	}
	if s.HBM != (memory{80 << 30, 3.35e12}) || s.Tiers[1] != (tier{72, 1400}) || s.Sizes["kv"] != 584 || s.Floor != 2100 || *s.Peak != 989e12 || s.Size != 3 {
		t.Errorf("read %+v", s)
	}
}

// refused is a file and all that is said of it.
type refused struct{ in, want string }

func check(t *testing.T, cases []refused) {
	t.Helper()
	for _, c := range cases {
		var s system
		err := Parse("x.yaml", []byte(c.in), &s).Err()
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\n%v\nwant\n%s", c.in, err, c.want)
		}
	}
}

// Unknown keys come with the nearest of those that may stand there, else with all of them;
// keys given twice are found at any depth.
func TestKeysAreChecked(t *testing.T) {
	check(t, []refused{
		{"nam: x\nhbm:\n  capasity: 1GB", `x.yaml:1:1: unknown key "nam"; did you mean "name"?` + "\n" +
			`x.yaml:3:3: hbm: unknown key "capasity"; did you mean "capacity"?`},
		{"hmb: 1", `x.yaml:1:1: unknown key "hmb"; did you mean "hbm"?`},
		{"hbm: {name: x}", `x.yaml:1:7: hbm: unknown key "name" (known: bandwidth, capacity)`},
		{"tiers:\n- size: 1\n- seize: 2", `x.yaml:3:3: tiers[1]: unknown key "seize"; did you mean "size"?`},
		{"? |\n  two\n  lines\n: x", `x.yaml:1:3: unknown key "two\nlines\n" (known: count, floor, hbm, name, on, peak, power, share, size, sizes, tiers)`},
		{"name: a\nname: b", `x.yaml:2:1: key "name" is given twice, first on line 1`},
		{"hbm:\n  capacity: 1GB\n  capacity: 2GB", `x.yaml:3:3: hbm: key "capacity" is given twice, first on line 2`},
	})
}

func TestTypesAreChecked(t *testing.T) {
	check(t, []refused{
		{"count: abc", `x.yaml:1:8: count: want a whole number, got "abc"`},
		{"count: 1.5", `x.yaml:1:8: count: want a whole number, got 1.5`},
		{"count: [1]", `x.yaml:1:8: count: want a whole number, got a list`},
		{"size: -1", `x.yaml:1:7: size: want a whole number of at least 0, got -1`},
		{"share: x", `x.yaml:1:8: share: want a number, got "x"`},
		{"on: maybe", `x.yaml:1:5: on: want true or false, got "maybe"`},
		{"name: {a: b}", `x.yaml:1:7: name: want text, got keys with values`},
		{"tiers: 3", `x.yaml:1:8: tiers: want a list, got 3`},
		{"tiers: [7]", `x.yaml:1:9: tiers[0]: want keys with values, got 7`},
		{"hbm: 3", `x.yaml:1:6: hbm: want keys with values, got 3`},
		{"hbm: {capacity: [1]}", `x.yaml:1:17: hbm.capacity: want a size such as 80GiB, 144GB or 584B, got a list`},
		{"peak: [1]", `x.yaml:1:7: peak: want a rate such as 989TFLOPS or 1504TOPS, got a list`},
		{"- 1", `x.yaml:1:1: want keys with values, got a list`},
		{"3", `x.yaml:1:1: want keys with values, got 3`},
	})
}

func TestUnitsAreChecked(t *testing.T) {
	check(t, []refused{
		{"hbm: {capacity: 80}", `x.yaml:1:17: hbm.capacity: "80" has no unit; want a size such as 80GiB, 144GB or 584B`},
		{"hbm: {capacity: -1GB}", `x.yaml:1:17: hbm.capacity: "-1GB" must not be negative`},
		{"hbm: {capacity: 9EB, bandwidth: 1e300PB/s}", `x.yaml:1:33: hbm.bandwidth: "1e300PB/s" is too large; want a bandwidth such as 900GB/s or 400Gb/s`},
		{"hbm: {capacity: 10EB}", `x.yaml:1:17: hbm.capacity: "10EB" is larger than 9223372036854775807 bytes`},
		{"hbm: {bandwidth: 900GB}", `x.yaml:1:18: hbm.bandwidth: "900GB": unknown unit "GB"; want a bandwidth such as 900GB/s or 400Gb/s`},
		{"sizes: {kv: 3qB}", `x.yaml:1:13: sizes.kv: "3qB": unknown unit prefix "q"; want a size such as 80GiB, 144GB or 584B`},
		{"floor: 5", `x.yaml:1:8: floor: "5" is not a duration; want a duration such as 2s, 50ms, 2.1us or 10ns`},
		{"power: fast", `x.yaml:1:8: power: "fast" does not start with a finite number; want a power such as 700W`},
	})
}

func TestAFileIsOneDocumentOfPlainYAML(t *testing.T) {
	check(t, []refused{
		{"", "x.yaml: the file is empty"},
		{"# nothing\n", "x.yaml: the file is empty"},
		{"null", "x.yaml: the file is empty"},
		{"name: a\n---\nname: b", "x.yaml:2:1: a second document begins here; a file holds one"},
		{"# c\n---\nname: a\n...\n# d\nname: b", "x.yaml:6:1: a second document begins here; a file holds one"},
		{"name: !mine x", `x.yaml:1:7: name: unknown tag !mine`},
		{"count: !mine x", "x.yaml:1:8: count: unknown tag !mine\nx.yaml:1:8: count: want a whole number, got x"},
		{"name: *x", `x.yaml:1:7: unknown anchor 'x' referenced`},
		{"hbm: &a {<<: *a}", `x.yaml:1:14: hbm.<<: cyclic merge alias`},
		{"tiers: &a [*a]", `x.yaml:1:8: tiers: an alias puts this where it does not fit: a list`},
		{"? [a]\n: b", `x.yaml:1:3: a key must be text, got a list`},
		{"hbm:\n\tcapacity: 1GB", `x.yaml:2:1: a tab cannot indent; use spaces`},
		{"name: \"abc", `x.yaml:1:11: found unexpected end of stream (while scanning a quoted scalar that begins at 1:7)`},
		{"name: [1,2", `x.yaml:2:1: did not find expected ',' or ']' (while parsing a flow sequence that begins at 1:7)`},
		{"name: a\n  b: c", `x.yaml:2:4: mapping values are not allowed in this context`},
		{"name: ab\x00", `x.yaml:1:9: control character 0x00 in a text file`},
		{"name: é\nb: \xff", `x.yaml:2:4: byte 0xff is not UTF-8 text`},
	})
}

func TestErrorsComeTogetherInTheOrderOfTheirLines(t *testing.T) {
	var s system
	doc := Parse("x.yaml", []byte("name: a\nhbm:\n  capasity: 80GiB\n  bandwidth: 900\ntiers:\n- {size: 8}\n- {size: 0}\n"), &s)
	doc.Errorf("tiers[1].size", "must be positive, got %d", 0)
	doc.Errorf("name", "must not be a")
	doc.Errorf("hbm.floor", "is missing")
	want := `x.yaml:1:7: name: must not be a
x.yaml:3:3: hbm: unknown key "capasity"; did you mean "capacity"?
x.yaml:3:3: hbm.floor: is missing
x.yaml:4:14: hbm.bandwidth: "900" has no unit; want a bandwidth such as 900GB/s or 400Gb/s
x.yaml:7:10: tiers[1].size: must be positive, got 0`
	if err := doc.Err(); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// Nesting and aliases that grow without bound are refused, not followed.
func TestAbuseIsRefused(t *testing.T) {
	laughs := "tiers: &a [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]\n"
	for c := 'b'; c <= 'l'; c++ {
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 10) + "]\n"
	}
	for name, in := range map[string]string{
		"lists":   strings.Repeat("[", 200_000),
		"maps":    strings.Repeat("{a: ", 200_000),
		"blocks":  strings.Repeat("- ", 200_000),
		"closed":  "tiers: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"aliases": laughs,
		"merges":  "hbm: &a {<<: *a}",
	} {
		var s system
		if err := Parse("x.yaml", []byte(in), &s).Err(); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "go-yaml") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"name: a\nhbm: {capacity: 80GiB, bandwidth: 900GB/s}\ntiers: [{size: 8, power: 700W}]\n",
		"a: &a [*a]", "<<: 3", "? [a]\n: b", "name: a\n---\nname: b", "name: !!binary x", "%YAML 1.2\n---\nname: |\n  a\n", "sizes: {a: 1GB, a: 2GB}",
		"&a x: *a", "name: 2001-01-01\nfloor: 1h\npeak: ~", "- - - ? : !!map {}", "\ufeffname: x", "tiers: [&t {size: 1}, {<<: *t, power: 1W}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s system
		doc := Parse("x.yaml", data, &s)
		doc.Errorf("tiers[1].size", "made up")
		msg := doc.Err().Error()
		for _, leak := range []string{"go-yaml", "cannot construct", "spec.", "!!seq", "!!map", "x.yaml:0"} {
			if strings.Contains(msg, leak) && !strings.Contains(string(data), leak) {
				t.Errorf("%q leaks %q in %s", data, leak, msg)
			}
		}
	})
}

// A mapping of very many keys is refused at once: comparing them with each other would
// take time with the square of their number.
func TestManyKeys(t *testing.T) {
	var b strings.Builder
	b.WriteString("a:\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "  key%d: 1\n", i)
	}
	var out struct{ A map[string]int }
	doc := Parse("f.yaml", []byte(b.String()), &out)
	if err := doc.Err(); err == nil || err.Error() != "f.yaml:2:3: 100000 keys stand side by side here; at most 4096 do in a description" || doc.Loaded() {
		t.Errorf("%v, loaded %t", err, doc.Loaded())
	}
}

// Errors quote the beginning of what is too long to be a slip.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	var out struct{ Model string }
	for _, err := range []error{
		UnknownName("model", long, []string{"é"}),
		Parse("f.yaml", []byte(long+": 1\n"), &out).Err(),
		Parse("f.yaml", []byte("model: ["+long+"]\n"), &out).Err(),
	} {
		if err == nil || len(err.Error()) > 600 || !utf8.ValidString(err.Error()) {
			t.Errorf("%.700v", err)
		}
	}
}
