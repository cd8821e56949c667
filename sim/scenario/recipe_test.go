package scenario

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/spec"
)

// What shipped recipes set are paths of a scenario, and every constant reads there.
func TestRecipesSetPaths(t *testing.T) {
	all, err := recipe.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	known := paths("engine", reflect.TypeFor[cost.Engine](), Paths())
	for _, r := range all {
		for _, path := range r.Paths() {
			if !slices.Contains(known, path) {
				t.Errorf("%s sets %s: %v", r.Name, path, unknownPath(path))
			}
		}
	}
}

// Every shipped recipe without a table applies to a run that states what it asks for,
// and leaves a scenario without a fault.
func TestRecipesApply(t *testing.T) {
	all, err := recipe.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	pool := recipe.Pool{Instances: 1, Ranks: 8, TP: 1, DP: 8, EP: 8}
	for _, r := range all {
		if r.Table != nil {
			continue
		}
		for _, clients := range []int{1, 64, 4096} {
			s := &Scenario{Version: Version, Model: "deepseek-r1", Topology: "hgx-h200"}
			f := recipe.Facts{Chip: "h200", Model: s.Model, Clients: clients, Input: 1024, Output: 1024, Serve: pool, Prefill: pool, Decode: pool}
			set, err := s.Follow(r, f, func(string) bool { return false })
			if err != nil || len(set) == 0 {
				t.Errorf("%s: %d values, %v", r.Name, len(set), err)
				continue
			}
			for _, p := range []*Pool{s.Deployment.Serve, s.Deployment.Prefill, s.Deployment.Decode} {
				if p != nil {
					p.Instances, p.DP, p.EP = 1, 8, 8
				}
			}
			if err := s.Validate(); err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
		}
	}
}

func TestSays(t *testing.T) {
	s := &Scenario{Model: "v3", Deployment: Deployment{Serve: &Pool{TP: 8}}, Patches: spec.Patches{}.With("engine.poll_steps", "0").With("engine.balance", "{steps: 3}").With("engine.max_tokens.*", "4096")}
	for path, want := range map[string]bool{
		"model": true, "deployment.serve.tp": true, "deployment.serve.dp": false, "deployment.decode.tp": false, "workload.rate": false, "deployment": true, "no.such.path": false,
		"engine.poll_steps": true, "engine.graph_tokens": false, "engine.balance.steps": true, "engine.max_tokens.mixed": true, "engine.max_tokens": false,
	} {
		if s.Says(path) != want {
			t.Errorf("%s: %t, want %t", path, !want, want)
		}
	}
	if s.Workload != nil || s.Deployment.Decode != nil {
		t.Error("asking made what was asked for")
	}
}

// What is stated stays, and a fault of a recipe says where it stands.
func TestFollow(t *testing.T) {
	r, err := recipe.Load("sglang-r1-fp8-blackwell")
	if err != nil {
		t.Fatal(err)
	}
	s := &Scenario{Deployment: Deployment{Serve: &Pool{Instances: 1, TP: 8, MaxTokens: 100}}}
	set, err := s.Follow(r, recipe.Facts{Mode: "aggregated", Clients: 4}, s.Says)
	if err != nil {
		t.Fatal(err)
	}
	if s.Deployment.Serve.MaxTokens != 100 || s.Deployment.Serve.MaxSequences != 128 {
		t.Errorf("%+v", s.Deployment.Serve)
	}
	if slices.ContainsFunc(set, func(v recipe.Setting) bool { return strings.HasSuffix(v.Path, "max_tokens") }) {
		t.Errorf("%v has what was stated", set)
	}
}
