package serve

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
)

// mixedBed serves prompts of 60 tokens, a hundred a step, on so many ranks; answers
// do not end.
func mixedBed(t *testing.T, ranks int) *bed {
	b := newBed(t, "llama-3.1-8b", "hgx-h100", cost.Mixed, cost.Layout{DP: ranks})
	b.spec.MaxTokens, b.spec.DecodeRows = 100, 1
	b.input = func(uint64) int32 { return 60 }
	b.output = func(uint64) int32 { return 1 << 20 }
	return b
}

// prompted steps the bed and gives the prompt tokens of each step.
func (b *bed) prompted(t *testing.T, steps int) (tokens []int64) {
	t.Helper()
	for range steps {
		b.step(t)
		tokens = append(tokens, b.in.promptTokens)
	}
	return tokens
}

func expect(t *testing.T, what string, got []int64, want ...int64) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: prompt tokens by step %v, want %v", what, got, want)
			return
		}
	}
}

// Prompts of 60 tokens in steps of 100: cut, the second begins beside the first;
// whole, it waits for a step of its own, beside the first's decoding. Two of 50 share
// a step. There is room for one however long it is, of as many tokens as a step has or
// of more.
func TestWholePrompts(t *testing.T) {
	for _, x := range []struct {
		whole  bool
		input  int32
		tokens []int64
	}{
		{false, 60, []int64{100, 20}},
		{true, 60, []int64{60, 60}},
		{true, 50, []int64{100, 0}},
		{true, 100, []int64{100, 100}},
		{true, 120, []int64{120, 120}},
	} {
		b := mixedBed(t, 1)
		b.spec.WholePrompts = x.whole
		b.input = func(uint64) int32 { return x.input }
		b.in.Enqueue(b.request(), 0)
		b.in.Enqueue(b.request(), 0)
		expect(t, "prompts", b.prompted(t, 2), x.tokens...)
	}
}

// A lone prompt is held back for as many steps as the engine waits, and not at all
// when nothing decodes or when it brings the step to its share.
func TestBatchWait(t *testing.T) {
	b := mixedBed(t, 1)
	b.spec.BatchWait = cost.BatchWait{Steps: 3, Share: 0.9}
	b.in.Enqueue(b.request(), 0)
	expect(t, "nothing decodes", b.prompted(t, 1), 60)
	b.in.Enqueue(b.request(), 0)
	expect(t, "61 of 100 tokens", b.prompted(t, 5), 0, 0, 0, 60, 0)
	b.input = func(uint64) int32 { return 88 }
	b.in.Enqueue(b.request(), 0)
	expect(t, "90 of 100 tokens", b.prompted(t, 1), 88)
}

// With data-parallel attention a prompt waits for one on every rank, at most so many
// steps; when all have one they begin, after the steps in which more may come.
func TestBalance(t *testing.T) {
	b := mixedBed(t, 2)
	b.spec.Balance = cost.Balance{Steps: 4, Gather: 2}
	b.in.Enqueue(b.request(), 0)
	expect(t, "nothing decodes", b.prompted(t, 1), 60)
	b.in.Enqueue(b.request(), 1)
	expect(t, "one rank does not decode", b.prompted(t, 1), 60)
	b.in.Enqueue(b.request(), 0)
	expect(t, "one rank has none", b.prompted(t, 5), 0, 0, 0, 60, 0)
	b.in.Enqueue(b.request(), 0)
	b.in.Enqueue(b.request(), 1)
	expect(t, "both have one", b.prompted(t, 3), 0, 0, 120)
}
