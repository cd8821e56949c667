package cost

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/topologies"
)

// Every pair that is dispatched is sent once and comes back once, whatever the ranks:
// tokens·k·(FP8 and scales there + BF16 back) but for the (1/n) that stays.
func TestExpertBytesAreConserved(t *testing.T) {
	for _, ranks := range []int{16, 32, 128} {
		s := newStepper(t, "v3", "hgx-h800:128", Config{Role: Decode, Layout: Layout{DP: ranks, EP: ranks, Overlap: NoOverlap}})
		const sequences = 4096
		step := s.Step(everywhere(s, decode(s, int64(sequences/ranks), 2000)))
		sent := 0.0
		for _, b := range step.LinkBytes {
			sent += b
		}
		n := float64(ranks)
		near(t, "bytes of all ranks over all tiers", sent, 58*sequences*8*(7168*(1+1./32)+2*7168)*(n-1)/n, 1e-9)
	}
}

// Spreading the same requests over twice the ranks never gives one rank more work,
// and all together no more arithmetic.
func TestTwiceTheRanksNeverMoreEach(t *testing.T) {
	systems := map[string]*topologies.Topology{}
	for _, name := range []string{"hgx-h200:128", "supernode8912", "nvl72:144"} {
		systems[name] = loadTopology(t, name)
	}
	rapid.Check(t, func(r *rapid.T) {
		model := rapid.SampledFrom([]string{"v3", "v4", "qwen3-235b-a22b"}).Draw(r, "model")
		topology := rapid.SampledFrom([]string{"hgx-h200:128", "supernode8912", "nvl72:144"}).Draw(r, "topology")
		ranks := rapid.SampledFrom([]int{16, 32, 64}).Draw(r, "ranks")
		each := 2 * rapid.Int64Range(1, 64).Draw(r, "sequences")
		context := rapid.Int64Range(100, 20000).Draw(r, "context")
		step := func(ranks int, each int64) (Step, float64) {
			s := newStepper(t, model, "", Config{Topology: systems[topology], Role: Decode, Layout: Layout{DP: ranks, EP: ranks, Overlap: NoOverlap}, MaxSequences: 1024})
			return s.Step(everywhere(s, decode(s, each, context))), float64(ranks)
		}
		a, n := step(ranks, each)
		b, m := step(2*ranks, each/2)
		if b.Flops/m > a.Flops/n*(1+1e-9) || b.Flops > a.Flops*(1+1e-9) {
			r.Errorf("FLOPs: %g on %v ranks, %g on %v", a.Flops, n, b.Flops, m)
		}
		if b.Bytes/m > a.Bytes/n*(1+1e-9) {
			r.Errorf("HBM bytes a rank: %g on %v ranks, %g on %v", a.Bytes/n, n, b.Bytes/m, m)
		}
		for tier := range a.LinkBytes {
			if tier == 0 && b.LinkBytes[0]/m > a.LinkBytes[0]/n*(1+1e-9) {
				r.Errorf("innermost bytes a rank: %g on %v ranks, %g on %v", a.LinkBytes[0]/n, n, b.LinkBytes[0]/m, m)
			}
		}
	})
}
