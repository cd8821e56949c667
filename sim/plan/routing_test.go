package plan

import (
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
)

// TestRoutingIsTheValidatedOne: a scenario that says nothing of routing is resolved,
// planned and priced as one that states what comparisons with measurements assume, and
// not as one with even loads.
func TestRoutingIsTheValidatedOne(t *testing.T) {
	ask := func(routing string) *scenario.Scenario {
		return &scenario.Scenario{Version: 1, Seed: 1, Model: "v3", Topology: "hgx-h200:16", Deployment: scenario.Deployment{Mode: "aggregated", Routing: routing}}
	}
	step := func(routing string) *Step {
		t.Helper()
		s, err := Typical(t.Context(), ask(routing), sim.Options{}, Asked{
			Phase: cost.Decode, Alone: &scenario.Pool{Instances: 1, TP: 1, DP: 16, EP: 16}, Sequences: 64, Context: 4096,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	open, stated, even := step(""), step("power-law(1.01)"), step("uniform")
	if open.Scenario.Deployment.Routing != "power-law(1.01)" {
		t.Errorf("resolved to %q", open.Scenario.Deployment.Routing)
	}
	took := func(s *Step) int64 { return int64(s.Stepper.Step(s.Loads).Time) }
	if took(open) != took(stated) || took(open) <= took(even) {
		t.Errorf("a step takes %d ns, %d as stated, %d with even loads", took(open), took(stated), took(even))
	}
}
