package cost

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
)

// A prompt's rows pass the layers; only those that end a prompt are scored: the head's
// rows are those that decode, drafts with them, and one a prompt that ends.
func TestHeadScoresLastRowsOnly(t *testing.T) {
	const sequences, drafts, chunks, tokens = 5, 1, 3, 700
	s := newStepper(t, "v3", "hgx-h200:8", Config{Role: Mixed, Drafts: drafts, Layout: Layout{DP: 8, EP: 8}})
	step := func(last int64) Step {
		l := both(decode(s, sequences, 900), prefill(s, chunks, tokens, 0))
		l.LastChunks = last
		return s.Step(everywhere(s, l))
	}
	none := step(0)
	for last := int64(1); last <= chunks; last++ {
		// 2·7168·129,280 FLOPs for each, on every rank.
		near(t, "FLOPs of prompts that end", step(last).Flops-none.Flops, 8*float64(last)*2*7168*129280, 1e-6)
	}
	rows := func(l Load) int64 {
		one := newStepper(t, "llama-3.1-8b", "hgx-h100", Config{Role: Mixed})
		return operators(one, everywhere(one, l))["head"].M
	}
	one := newStepper(t, "llama-3.1-8b", "hgx-h100", Config{Role: Mixed})
	if got := rows(prefill(one, chunks, tokens, 0)); got != chunks {
		t.Errorf("three prompts score %d rows", got)
	}
	if got := rows(both(decode(one, sequences, 900), prefill(one, chunks, tokens, 0))); got != sequences+chunks {
		t.Errorf("five sequences and three prompts score %d rows", got)
	}
}

// The host schedules sequences and prompts alike, on the busiest rank; a step that
// verifies drafts costs it more for each sequence, not for prompts.
func TestHostTimeOfSequencesAndPrompts(t *testing.T) {
	e := *loadEngine(t, "vllm")
	e.Fitted.HostStepUs, e.Fitted.HostSequenceUs, e.Fitted.DraftSequenceUs = 300, 7, 11
	for _, drafts := range []int{0, 1} {
		s := newStepper(t, "v3", "hgx-h200:8", Config{Role: Mixed, Engine: &e, Drafts: drafts, Layout: Layout{DP: 8, EP: 8, Overlap: NoOverlap}})
		for _, x := range []struct {
			name                 string
			busiest              Load
			scheduled, verifying int64
		}{
			{"sequences", decode(s, 20, 500), 20, 20},
			{"prompts", prefill(s, 30, 10, 0), 30, 0},
			{"both", both(decode(s, 20, 500), prefill(s, 3, 10, 0)), 23, 20},
		} {
			loads := everywhere(s, decode(s, 2, 500))
			loads[5] = x.busiest
			verifying := max(x.verifying, 2) // of the others
			want := 300_000 + 7000*x.scheduled + 11_000*verifying*int64(drafts)
			if got := int64(s.Step(loads).Causes[cause.Host]); got != want {
				t.Errorf("%d drafts, %s: %d ns of the host, want %d", drafts, x.name, got, want)
			}
		}
	}
}
