package serve

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
)

// late is a mixed instance on which one sequence decodes; after waiting steps more,
// n prompts of a whole budget each arrive.
func late(t *testing.T, prefillFirst bool, poll, waiting int64, n int) (b *bed, first int32, prompts []int32) {
	t.Helper()
	b = newBed(t, "llama-3.1-8b", "hgx-h100", cost.Mixed, cost.Layout{TP: 1, DP: 1})
	b.spec.PrefillFirst, b.spec.PollSteps, b.spec.MaxTokens = prefillFirst, poll, 512
	b.in = New(b.spec, b.in.shared, 0)
	b.input = func(uint64) int32 { return 512 }
	b.output = func(uint64) int32 { return 1000 }
	first = b.request()
	b.in.Enqueue(first, 0)
	b.advance(t, 1+waiting)
	for range n {
		h := b.request()
		b.in.Enqueue(h, 0)
		prompts = append(prompts, h)
	}
	return b, first, prompts
}

func (b *bed) advance(t *testing.T, steps int64) {
	t.Helper()
	for range steps {
		b.step(t)
	}
}

// Prompts that run first stop what decodes: k of them cost it k prefill steps and no
// token, where mixed steps would have given it k. They themselves are through sooner.
func TestPrefillFirst(t *testing.T) {
	tokens := func(b *bed, h int32) int64 { n, _, _ := b.in.Emitted(h); return n }
	alone, first, prompts := late(t, true, 1, 4, 3)
	before, since := tokens(alone, first), alone.now
	var prefill des.Time
	for i := range prompts {
		alone.advance(t, 1)
		prefill += alone.in.now.Time
		if alone.in.promptTokens != 512 || alone.table.At(prompts[i]).FirstToken != alone.now {
			t.Fatalf("step %d has %d prompt tokens", i, alone.in.promptTokens)
		}
	}
	if n, _, at := alone.in.Emitted(first); n != before || at != since {
		t.Errorf("%d tokens out at %d while prompts ran, want %d at %d", n, at, before, since)
	}
	alone.advance(t, 1)
	if got := tokens(alone, first); got != before+1 || alone.in.decoding != 4 {
		t.Errorf("%d tokens out after the prompts, %d sequences decode; want %d and 4", got, alone.in.decoding, before+1)
	}

	mixed, first, prompts := late(t, false, 1, 4, 3)
	before, since = tokens(mixed, first), mixed.now
	mixed.advance(t, 3)
	if got := tokens(mixed, first); got != before+3 {
		t.Errorf("mixed: %d tokens out beside three chunks, want %d", got, before+3)
	}
	// Three budgets are not enough for three prompts beside the sequences that decode.
	if mixed.now-since < prefill || mixed.table.At(prompts[2]).FirstToken != 0 {
		t.Errorf("mixed steps of three budgets took %d ns, alone %d", mixed.now-since, prefill)
	}
}

// A look at what has arrived takes all of it, comes every PollSteps decode steps, and
// at once after a prompt: it delays prompts, it does not ration them.
func TestPollDelaysButDoesNotRation(t *testing.T) {
	for waiting := range int64(12) {
		b, _, prompts := late(t, true, 10, waiting, 5)
		// The prompt's own step asked for a look, which the first decode step had.
		delay := int64(0)
		for ; b.table.At(prompts[0]).FirstToken == 0; delay++ {
			b.advance(t, 1)
		}
		if want := (10-waiting%10)%10 + 1; delay != want {
			t.Errorf("%d decode steps after a look, a prompt is out %d steps later, want %d", waiting, delay, want)
		}
		b.advance(t, 4)
		for i, h := range prompts {
			if b.table.At(h).FirstToken == 0 {
				t.Errorf("prompt %d of a burst waits for another look", i)
			}
		}
	}
}
