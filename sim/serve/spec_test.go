package serve

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
)

// A request fits exactly when an idle rank has room for it beside the watermark: one that is
// let in can be admitted, and one that is refused could never be.
func TestFitsIsWhatAnIdleRankAdmits(t *testing.T) {
	for _, x := range []struct {
		model, topology string
		ep              int
	}{
		{"llama-3.1-8b", "hgx-h100", 1}, {"v4-flash", "supernode8912", 4}, {"gpt-oss-120b", "hgx-b200", 4}, {"qwen3-next-80b-a3b", "gb200-nvl72", 4},
	} {
		for _, role := range []cost.Role{cost.Mixed, cost.Prefill, cost.Decode} {
			b := newBed(t, x.model, x.topology, role, cost.Layout{DP: 4, EP: x.ep})
			longest := int64(0)
			for step := int64(1) << 40; step > 0; step /= 2 {
				if b.spec.Fits(longest + step) {
					longest += step
				}
			}
			admitted := func(tokens int64) bool { return b.in.admits(0, b.spec.Memory.SequenceBytes(tokens)) }
			if longest < 1000 || !admitted(longest) || admitted(longest+1) {
				t.Errorf("%s, %s: requests of up to %d tokens fit; an idle rank admits that: %v, and one more: %v",
					x.model, role, longest, admitted(longest), admitted(longest+1))
			}
		}
	}
}

// A cached block takes what its tokens add to a long prompt: full attention's keys and values, and nothing
// of windows and states, which a sequence has once. Formulas are layers with full attention × 2 × KV heads ×
// head size × bytes.
func TestBlockBytesIsWhatABlockAdds(t *testing.T) {
	for _, x := range []struct {
		model, topology string
		ep, block       int
		token           int64
	}{
		{"llama-3.1-8b", "hgx-h100", 1, 16, 32 * 2 * 8 * 128 * 2},
		{"gpt-oss-120b", "hgx-b200", 4, 64, 18 * 2 * 8 * 64 * 2},
		{"qwen3-next-80b-a3b", "gb200-nvl72", 4, 512, 12 * 2 * 2 * 256 * 2},
	} {
		b := newBed(t, x.model, x.topology, cost.Mixed, cost.Layout{DP: 4, EP: x.ep})
		if s := NewSpec(0, b.spec.Stepper, x.block); s.BlockBytes != int64(x.block)*x.token {
			t.Errorf("%s: a block of %d tokens takes %d bytes, want %d", x.model, x.block, s.BlockBytes, int64(x.block)*x.token)
		}
	}
}
