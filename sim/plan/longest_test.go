package plan

import (
	"context"
	"testing"
	"time"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/scenario"
)

// The layout that a plan chooses runs the workload it was chosen for, its longest
// request included: on these systems a prefill rank of the fastest layout, or a rank
// once the part is left free that admission keeps, is too small for it.
func TestChosenLayoutHoldsTheLongestRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("two whole runs")
	}
	for _, c := range []struct{ model, topology string }{{"minimax-m2", "hgx-h200:64"}, {"gpt-oss-120b", "rtx-4090:8"}} {
		s, p := complete(t, laid(t, asked(c.model, c.topology)), Options{})
		s.Workload.Requests = 2000
		if _, err := sim.Run(context.Background(), s, sim.Options{}); err != nil {
			t.Errorf("%s on %s, %s: %v", c.model, c.topology, p.Candidates[0].Text, err)
		}
	}
}

// Prompts of a thousand budgets are cut into no more steps than a plan needs.
func TestCutQueueIsBounded(t *testing.T) {
	sample := make([]lengths, sampled)
	for i := range sample {
		sample[i] = lengths{1_000_000, 1000}
	}
	start := time.Now()
	c := cutQueue(sample, []int64{1 << 40, 128}, 1024)
	if n := len(c.steps[0]); n != mostSteps || len(c.steps[1]) != n {
		t.Errorf("%d and %d steps, want %d", n, len(c.steps[1]), mostSteps)
	}
	t.Logf("cut in %s", time.Since(start))
}

// What exceeds the model's context is left to be rejected: it does not rule out the
// layouts that hold all else.
func TestLongestIsWithinTheModel(t *testing.T) {
	s := asked("llama-3.1-70b", "hgx-h100:8")
	s.Workload = &scenario.Workload{Profile: "reasoning"}
	_, p := complete(t, s, Options{LayoutOnly: true})
	if l := p.demand.longest; l.in+l.out != 131072 || l.in < 1 || l.out < 1 {
		t.Errorf("longest request: %+v", l)
	}
	if got := (lengths{500, 2000}).within(1000); got != (lengths{1, 999}) {
		t.Errorf("cut to 1,000 tokens: %+v", got)
	}
}
