package spec

import (
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	known := []string{"atlas950-8192", "gb200-nvl72", "supernode8912", "v4", "v4-flash", "v3.2", "hbm"}
	for name, want := range map[string]string{
		"supernode8192": "supernode8912", "Supernode8912": "supernode8912", "supernod8912": "supernode8912", "atlas950": "atlas950-8192",
		"gb200_nvl72": "gb200-nvl72", "v4flash": "v4-flash", "v3": "v4", "v32": "v3.2", "hmb": "hbm", "x": "", "": "", "qwertyuiop": "", "é": "",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}

func TestUnknownName(t *testing.T) {
	for _, c := range []struct {
		name  string
		known []string
		want  string
	}{
		{"v5", []string{"v4", "v3.2"}, `unknown model "v5"; did you mean "v4"? (known: v3.2, v4)`},
		{"zzzzzz", []string{"v4"}, `unknown model "zzzzzz" (known: v4)`},
		{"v4", nil, `unknown model "v4"`},
	} {
		if got := UnknownName("model", c.name, c.known).Error(); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

// One slip of the keyboard in a name of four letters or more still finds it, when it is the only one.
func TestNearestForgivesASlip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9-]{4,16}`).Draw(t, "name")
		i := rapid.IntRange(0, len(name)-2).Draw(t, "at")
		typed := rapid.SampledFrom([]string{
			name[:i] + name[i+1:],
			name[:i] + "_" + name[i:],
			name[:i] + "_" + name[i+1:],
			name[:i] + name[i+1:i+2] + name[i:i+1] + name[i+2:],
		}).Draw(t, "typed")
		if got := Nearest(typed, []string{name}); got != name {
			t.Fatalf("%q for %q finds %q", typed, name, got)
		}
	})
}

// The distance is one: symmetric, 0 only for equals, at most the longer length, at least the
// difference of lengths.
func TestDistance(t *testing.T) {
	text := rapid.StringMatching(`[ab]{0,7}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		d := distance(a, b)
		if d != distance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) || d < max(len(a)-len(b), len(b)-len(a)) {
			t.Fatalf("%q, %q: %d, back %d", a, b, d, distance(b, a))
		}
		if want := slowDistance(a, b); d != want {
			t.Fatalf("%q, %q: %d, by definition %d", a, b, d, want)
		}
	})
}

// slowDistance is the definition, by recursion on the ends.
func slowDistance(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	x, y := a[:len(a)-1], b[:len(b)-1]
	last := 1
	if a[len(a)-1] == b[len(b)-1] {
		last = 0
	}
	d := min(slowDistance(x, b)+1, slowDistance(a, y)+1, slowDistance(x, y)+last)
	if len(x) > 0 && len(y) > 0 && a[len(a)-1] == y[len(y)-1] && x[len(x)-1] == b[len(b)-1] {
		d = min(d, slowDistance(x[:len(x)-1], y[:len(y)-1])+1)
	}
	return d
}

func TestYAMLNames(t *testing.T) {
	files := fstest.MapFS{"m/v4.yaml": {}, "m/readme.md": {}, "m/sub.yaml/x": {}, "m/v3.2.yaml": {}}
	if got := YAMLNames(files, "m"); len(got) != 2 || got[0] != "v3.2" || got[1] != "v4" {
		t.Errorf("%q, want v3.2 and v4", got)
	}
	if got := YAMLNames(files, "none"); got != nil {
		t.Errorf("%q of a folder that is not there", got)
	}
}

func TestIsPath(t *testing.T) {
	for ref, want := range map[string]bool{"v4": false, "v3.2": false, "./v4": true, "a/b": true, `a\b`: true, "x.yaml": true, "x.yml": true, "config.json": true, "glm-4.5": false} {
		if got := IsPath(ref); got != want {
			t.Errorf("%q is a path: %t, want %t", ref, got, want)
		}
	}
}
