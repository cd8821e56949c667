package sim

import (
	"fmt"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
)

// Holding is what the caches of one instance hold, in the units that engines print when
// they start.
func Holding(st *cost.Stepper) *result.KVPool {
	m, c := st.Memory(), st.Config()
	held := m.Holds()
	k := &result.KVPool{
		Engine: c.Engine.Name, Ranks: 1, BytesPerRank: held.Bytes, TokensPerRank: held.Tokens, Tokens: held.Tokens,
		EngineBytesPerToken: held.EngineBytes, ModelBytesPerToken: held.ModelBytes, MaxConcurrency: result.Concurrency{},
	}
	for _, tokens := range contexts(c.Model.MaxContext) {
		k.MaxConcurrency[tokens] = m.Concurrency(tokens)
	}
	return k.Times(c.Layout.DP)
}

// contexts are the lengths that a cache is measured by: powers of two from 4,096 on, and
// the model's longest.
func contexts(longest int64) []int64 {
	var out []int64
	for n := int64(4096); n < longest; n *= 2 {
		out = append(out, n)
	}
	return append(out, longest)
}

// shortCache says that the pool that decodes cannot hold one mean request of each client
// of a closed loop: the rest wait for memory, so latencies are of the queue.
func (r *run) shortCache() string {
	loop := r.load.loop
	if loop == nil {
		return ""
	}
	p := &r.pools[len(r.pools)-1]
	ranks := int64(p.Asked.Instances * p.spec.Ranks)
	tokens := int64(loop.Input.Mean() + loop.Output.Mean())
	holds := float64(ranks) * float64(p.spec.Memory.Free-p.spec.Watermark) / float64(p.spec.Memory.SequenceBytes(tokens))
	if clients := int64(loop.Concurrency); holds >= float64(min(clients, ranks*p.spec.MaxSequences)) {
		return ""
	}
	return fmt.Sprintf("the KV cache of pool %s holds %.1f requests of the mean length, %d tokens, for %d clients: others wait for memory or are pre-empted; a larger engine.memory_fraction, a wider layout or fewer clients would help",
		p.Name, holds, tokens, loop.Concurrency)
}
