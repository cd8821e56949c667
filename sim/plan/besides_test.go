package plan

import (
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
)

// Where tokens must come fast, the search drafts, sustains more than without and no less
// than with any number of drafts that is fixed, and says what each gave. What is fixed stays.
func TestSearchDrafts(t *testing.T) {
	capacity := func(mtp scenario.MTP) (float64, *Plan, *scenario.Scenario) {
		s := asked("v4-flash", "hgx-h200:16")
		s.Deployment.MTP, s.SLO.TPOT = mtp, 12_000_000
		s.SLO.TTFT.Limit, s.SLO.TTFT.Per = 2_000_000_000, 8192
		out, p := complete(t, s, Options{LayoutOnly: true})
		return p.CapacityRequestsPerS, p, out
	}
	open, p, out := capacity(scenario.MTP{})
	if out.Deployment.MTP.Drafts == 0 || !strings.Contains(strings.Join(p.Gave, "\n"), "MTP") || !strings.Contains(out.Deployment.Why, p.Gave[0]) {
		t.Errorf("%d drafts; %q", out.Deployment.MTP.Drafts, p.Gave)
	}
	for _, fixed := range []scenario.MTP{{Off: true}, {Drafts: 1}, {Drafts: 2}} {
		got, _, out := capacity(fixed)
		if got > 1.01*open || fixed.Drafts == 0 && got > 0.9*open || out.Deployment.MTP != fixed {
			t.Errorf("%+v became %+v: %g requests/s, %g when it is open", fixed, out.Deployment.MTP, got, open)
		}
	}
}

// Overlaps that are tried are those of the engine's own profile.
func TestOverlapsAreTheEngines(t *testing.T) {
	for name, want := range map[string]string{"cann": "none two-batch", "vllm": "none two-batch", "trtllm": "none", "ideal": "none two-batch wave"} {
		e, err := cost.EngineFor(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range overlaps(e) {
			got = append(got, string(o))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}
