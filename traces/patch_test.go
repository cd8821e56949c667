package traces

import (
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

func TestPatchedProfiles(t *testing.T) {
	patches := spec.Patches{}.With("workload.sessions.turns", "x0.5").With("workload.sessions.turn_gap", "x2").
		With("workload.input_tokens", "lognormal(mean=100,p99=300)").With("workload.output_tokens", "7").With("workload.arrivals", "constant").Under("workload")
	plain, err := LoadProfile("agent")
	if err != nil {
		t.Fatal(err)
	}
	p, err := LoadProfile("agent", patches...)
	if err != nil {
		t.Fatal(err)
	}
	if 2*p.Sessions.Turns != plain.Sessions.Turns || p.Sessions.TurnGap != 2*plain.Sessions.TurnGap || p.Sessions.SharedTokens != plain.Sessions.SharedTokens {
		t.Errorf("%+v of %+v", *p.Sessions, *plain.Sessions)
	}
	if p.Input.String() != "lognormal(mean=100,p99=300)" || p.Output != Constant(7) || p.Arrivals.String() != "constant" {
		t.Errorf("%+v", p)
	}
	// What a patch leaves out stays out, however often the workload is resolved.
	w := Workload{Profile: "agent", Patches: spec.Patches{}.With("sessions", "null").With("output_tokens", "9"), Rate: 1, Requests: 20}
	if w, err = w.Resolve(); err != nil || w.Sessions != nil || w.Output != Constant(9) {
		t.Fatalf("%+v, %v", w, err)
	}
	if w, err = w.Resolve(); err != nil || w.Sessions != nil {
		t.Fatalf("%+v, %v", w, err)
	}
	s, err := Generate(w)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Next()
	if err != nil || r.OutputTokens != 9 || len(r.Prefix) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRefusedProfilePatches(t *testing.T) {
	for _, c := range [][3]string{
		{"sessions.turn", "3", `patch workload.sessions.turn=3: unknown key "turn"; did you mean workload.sessions.turns?`},
		{"rate", "3", `patch workload.rate=3: unknown key "rate"`},
		{"sessions.turns", "0", `patch workload.sessions.turns=0: must be from 1 to 10000, got 0`},
		{"sessions.turns", "x0.01", `want a whole number, got 0.4`},
		{"input_tokens", "normal(3)", `patch workload.input_tokens=normal(3): unknown distribution "normal"`},
		{"input_tokens", "null", `patch workload.input_tokens=null: must be given`},
		{"input_tokens", "x2", `"lognormal(mean=5200,p99=26000)" is no number that a factor could multiply`},
		{"sessions.turn_gap", "30", `patch workload.sessions.turn_gap=30: "30" is not a duration`},
	} {
		_, err := LoadProfile("agent", spec.Patches{}.With("workload."+c[0], c[1]).Under("workload")...)
		if err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s=%s: %v\nwant %q in it", c[0], c[1], err, c[2])
		}
	}
	w := Workload{Patches: spec.Patches{}.With("sessions", "null"), Rate: 1, Input: Constant(1), Output: Constant(1)}
	if _, err := w.Resolve(); err == nil || err.Error() != "patch sessions=null: the workload has no profile" {
		t.Error(err)
	}
}

// Every value of every profile by itself changes nothing.
func TestAnyProfileValueByItself(t *testing.T) {
	for _, name := range Profiles() {
		want, err := LoadProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, data, err := readProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := yaml.Load(data, &file); err != nil {
			t.Fatal(err)
		}
		paths, err := ProfilePaths(name)
		if err != nil {
			t.Fatal(err)
		}
		var all spec.Patches
		for _, path := range paths {
			outer, inner, nested := strings.Cut(path, ".")
			v, ok := file[outer]
			if m, is := v.(map[string]any); nested && is {
				v, ok = m[inner]
			}
			if !ok {
				continue
			}
			text, err := yaml.Dump(v)
			if err != nil {
				t.Fatal(err)
			}
			all = all.With(path, strings.TrimSpace(string(text)))
		}
		if got, err := LoadProfile(name, all...); err != nil || len(all) < 6 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s with %d patches: %v\n%+v\n%+v", name, len(all), err, got, want)
		}
	}
}
