package cost

import (
	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/des"
)

// ContextShift is the fixed point of context lengths inside the engine: a value
// counts 2^-16 tokens, so that a sequence whose drafts are partly accepted grows
// by a constant integer a step and sums never depend on the order of events.
const ContextShift = 16

// Load is what one attention rank (a TP group) works on in one step: sums over its
// sequences, never a list of them. The engine keeps it up to date in place.
type Load struct {
	// Sequences decode one step each (1 + drafts rows with MTP).
	Sequences int64
	// Context[j] is Σ min(L, Model.Breaks[j]) over them in 2^-ContextShift tokens,
	// L counting the token being decoded.
	Context [models.MaxBreaks]int64
	// ChunkTokens are prompt tokens processed in this step, from Chunks sequences,
	// LastChunks of which end their prompt here (and need the LM head).
	ChunkTokens, Chunks, LastChunks int64
	// Pairs[j] is Σ min(position, Model.Breaks[j]) over those tokens, positions
	// counted from 1 and including any cached or earlier part of the prompt.
	Pairs [models.MaxBreaks]int64
	// Prefix is the number of tokens before the chunks, summed over them: what an
	// MHA-form prefill must project again.
	Prefix int64
}

// MaxTiers bounds the tiers of a topology that a step keeps byte counts for.
const MaxTiers = 4

// Step is the time of one step of an instance and what made it.
type Step struct {
	Time   des.Time
	Causes [cause.Count]des.Time // sums to Time exactly
	Tau    des.Time              // part of CommLatency that the topology's delays cause
	Hidden des.Time              // what overlap took off the critical path, apart
	// Of all ranks together: model FLOPs, compulsory HBM bytes (weights touched,
	// KV read and written) and bytes sent over each tier.
	Flops, Bytes float64
	LinkBytes    [MaxTiers]float64
}

// PairSum is Σ min(i, limit) for i = prefix+1 … prefix+n: the pairs that a chunk of
// n tokens behind prefix tokens adds to Load.Pairs.
func PairSum(prefix, n, limit int64) int64 {
	return triangle(prefix+n, limit) - triangle(prefix, limit)
}

func triangle(n, limit int64) int64 {
	if n <= limit {
		return n * (n + 1) / 2
	}
	return limit*(limit+1)/2 + (n-limit)*limit
}
