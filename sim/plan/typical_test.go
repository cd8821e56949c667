package plan

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

// The step that is explained is the one that runs: where a run's time goes is within a
// few points of what the typical step says, in both phases. Prompt steps differ in size
// from one to the next, most of all on few ranks; one of mean size stands for them.
func TestTypicalStepIsWhatRuns(t *testing.T) {
	for _, c := range []struct {
		model, topology string
		set             map[string]string
		prefill         float64 // how far the shares of a prefill step may be off
	}{
		{"v4", "supernode8912", map[string]string{"workload.rate": "5400", "workload.requests": "2000"}, 0.03},
		{"v3", "cloudmatrix384", map[string]string{"deployment.mode": "disaggregated", "workload.requests": "2000"}, 0.06},
		{"llama-3.1-8b", "hgx-h100:8", map[string]string{"workload.requests": "4000"}, 0.05},
		{"v4-flash", "hgx-h200:16", map[string]string{"workload.requests": "2000"}, 0.10},
		{"llama-3.1-70b", "hgx-h100:8", map[string]string{"workload.concurrency": "64", "workload.requests": "8000"}, 0.05},
		{"llama-3.1-8b", "hgx-h100:8", map[string]string{"deployment.mode": "disaggregated", "workload.rate": "2", "workload.requests": "400"}, 0.05},
	} {
		t.Run(c.model+"/"+c.topology, func(t *testing.T) {
			s := asked(c.model, c.topology)
			for path, value := range c.set {
				if err := s.Set(path, value); err != nil {
					t.Fatal(err)
				}
			}
			s = laid(t, s)
			ready, p := complete(t, s, Options{})
			r, err := sim.Run(context.Background(), ready, p.Options)
			if err != nil {
				t.Fatal(err)
			}
			// the same rate
			if ready.Workload.Rate > 0 {
				s.Workload.Rate = ready.Workload.Rate
			}
			compareShares(t, s, cost.Prefill, r, c.prefill)
			compareShares(t, s, cost.Decode, r, 0.05)
		})
	}
}

func compareShares(t *testing.T, s *scenario.Scenario, phase cost.Role, r *result.Result, points float64) {
	t.Helper()
	step, err := Typical(context.Background(), s, sim.Options{}, Asked{Phase: phase})
	if err != nil {
		t.Fatal(err)
	}
	ran := r.Causes.Decode
	if phase == cost.Prefill {
		ran = r.Causes.Prefill
	}
	priced := step.Stepper.Step(step.Loads)
	for c := range cause.Idle {
		got := float64(priced.Causes[c]) / float64(priced.Time)
		want := ran[c] / (1 - ran[cause.Idle])
		if d := got - want; d > points || d < -points {
			t.Errorf("%s of pool %s, %s: explained %.1f %%, run %.1f %%", phase, step.Pool, c, 100*got, 100*want)
		}
	}
}

// Where the scenario has no rate, the step is that of 80 % of the estimated capacity; a
// rate beyond it is said, and the largest batch shown.
func TestTypicalRate(t *testing.T) {
	s := asked("llama-3.1-8b", "hgx-h100:8")
	ready, p := complete(t, s, Options{LayoutOnly: true})
	instances := float64(ready.Deployment.Serve.Instances)
	step, err := Typical(context.Background(), s, sim.Options{}, Asked{})
	if err != nil {
		t.Fatal(err)
	}
	if want := 0.8 * p.CapacityRequestsPerS / instances; math.Abs(step.Rate-want) > 1e-9*want {
		t.Errorf("an instance is priced at %g requests/s, want %g", step.Rate, want)
	}
	s.Workload = &scenario.Workload{Rate: 3 * p.CapacityRequestsPerS}
	beyond, err := Typical(context.Background(), s, sim.Options{}, Asked{Phase: cost.Decode})
	if err != nil {
		t.Fatal(err)
	}
	held, m := beyond.Loads[0], beyond.Stepper.Memory()
	if notes := strings.Join(beyond.Notes, "\n"); !strings.Contains(notes, "more than an instance") || m.KVBytes(held.Context, held.Sequences) > m.Free {
		t.Errorf("beyond capacity: %q, %d sequences", notes, held.Sequences)
	}
}
