package sim

import (
	"math"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
)

// Holding is what the caches of a number of instances hold, in the units that engines
// print when they start.
func Holding(st *cost.Stepper, instances int) *result.KVPool {
	m, c := st.Memory(), st.Config()
	held := m.Holds()
	ranks := int64(c.Layout.DP) * int64(instances)
	k := &result.KVPool{
		Engine: c.Engine.Name, Ranks: int(ranks), BytesPerRank: held.Bytes, TokensPerRank: held.Tokens, Tokens: held.Tokens * ranks,
		EngineBytesPerToken: held.EngineBytes, ModelBytesPerToken: held.ModelBytes, MaxConcurrency: result.Concurrency{},
	}
	for _, tokens := range contexts(c.Model.MaxContext) {
		k.MaxConcurrency[tokens] = math.Round(100*m.Concurrency(tokens)*float64(ranks)) / 100
	}
	return k
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
