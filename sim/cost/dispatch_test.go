package cost

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/models"
)

// operators are the seconds, bytes and rows of a step's operators by name, all layers
// together.
func operators(s *Stepper, loads []Load) map[string]Operator {
	out := map[string]Operator{}
	for _, o := range s.Explain(loads).Operators {
		sum := out[o.Name]
		sum.Ns, sum.Bytes, sum.M, sum.Flops = sum.Ns+o.Ns, sum.Bytes+o.Bytes, o.M, sum.Flops+o.Flops
		out[o.Name] = sum
	}
	return out
}

// What goes to the experts does not know how attention was spread: the same tokens of
// the same expert group, held by 32 ranks of their own or by 8 groups of four that
// share their rows, send the same bytes in the same time.
func TestDispatchIsTheSameUnderTensorParallelism(t *testing.T) {
	for _, x := range []struct {
		name string
		role Role
		load func(s *Stepper, share int64) Load
	}{
		{"decode", Decode, func(s *Stepper, share int64) Load { return decode(s, 32*share, 3000) }},
		{"prefill", Prefill, func(s *Stepper, share int64) Load { return prefill(s, share, 1024, 0) }},
	} {
		at := func(tp int) (map[string]Operator, int64) {
			s := newStepper(t, "v3", "hgx-h200:32", Config{Role: x.role, Layout: Layout{TP: tp, DP: 32 / tp, EP: 32, Overlap: NoOverlap}, MaxSequences: 1024})
			l := x.load(s, int64(tp))
			return operators(s, everywhere(s, l)), (l.Sequences + l.ChunkTokens) / int64(tp)
		}
		alone, rows := at(1)
		for _, tp := range []int{2, 4, 8} {
			shared, same := at(tp)
			if same != rows {
				t.Fatalf("%s: %d rows a rank, want %d", x.name, same, rows)
			}
			for _, name := range []string{"dispatch", "combine", "routed experts"} {
				a, b := alone[name], shared[name]
				if a.Ns == 0 || b.Bytes != a.Bytes || b.M != a.M || b.Ns < a.Ns-2 || b.Ns > a.Ns+2 { // rows are rounded by their running sum
					t.Errorf("%s, TP %d: %s takes %d ns and %g bytes of %d rows; without tensor parallelism %d, %g, %d", x.name, tp, name, b.Ns, b.Bytes, b.M, a.Ns, a.Bytes, a.M)
				}
			}
		}
		// 8 experts a token: FP8 with a scale for 32 elements there, BF16 back.
		near(t, x.name+": bytes dispatched", alone["dispatch"].Bytes, float64(rows)*8*7168*(1+1./32), 1e-9)
		near(t, x.name+": bytes combined", alone["combine"].Bytes, float64(rows)*8*7168*2, 1e-9)
	}
}

// Bytes over all links of a step of TP 4, DP 8, EP 32, in closed form: the exchange, and
// what a tensor-parallel group sums after attention and gathers after the experts.
func TestLinkBytesUnderTensorParallelism(t *testing.T) {
	const rows, tp, dp, hidden = 64, 4, 8, 7168
	s := newStepper(t, "v3", "hgx-h200:32", Config{Role: Decode, Layout: Layout{TP: tp, DP: dp, EP: tp * dp, Overlap: NoOverlap}})
	sent := 0.0
	for _, b := range s.Step(everywhere(s, decode(s, rows, 2000))).LinkBytes {
		sent += b
	}
	// A ring of n moves 2(n−1)/n of a vector through each rank to sum it, (n−1)/n to
	// gather it. V3's first three layers are dense, and sum where the others gather.
	ring := float64(tp-1) / tp * rows * hidden * 2 * tp * dp
	exchange := 58 * rows * dp * 8 * (hidden*(1+1./32) + 2*hidden) * 31. / 32
	vocab := 129280.
	// Candidates or logits of the head come on top: bounded by BF16 logits of every row.
	head := 2 * rows * vocab * dp * tp
	low := exchange + ring*(61*2+3*2+58)
	if sent < low*(1-1e-9) || sent > low*(1+1e-9)+head {
		t.Errorf("%.6g bytes sent, want %.6g and at most %.6g of the head", sent, low, head)
	}
	none := 0.0
	for name, o := range operators(s, everywhere(s, decode(s, rows, 2000))) {
		if name == "gather logits" || name == "gather candidates" || name == "gather rows" {
			none += o.Bytes * (tp - 1) / tp * tp * dp
		}
	}
	near(t, "bytes sent", sent, low+none, 1e-6)
}

// What a token weighs on its way to the experts is what they multiply: 4 bits and a scale
// of 8 for 16 elements where they multiply FP4, 8 bits and one for 32 in FP8, BF16 when
// nothing is quantised; it comes back in BF16.
func TestDispatchedPrecision(t *testing.T) {
	topology := loadTopology(t, "hgx-b200:16")
	for format, each := range map[models.Format]float64{models.NVFP4: 0.5 + 1./16, models.FP8Block: 1 + 1./32, models.BF16: 2} {
		m, err := loadModel(t, "v3", topology.Chip).WithFormats(models.Formats{Experts: format})
		if err != nil {
			t.Fatal(err)
		}
		s := newStepper(t, "", "", Config{Model: m, Topology: topology, Role: Decode, MaxSequences: 64, MaxTokens: 64, Layout: Layout{DP: 16, EP: 16, Overlap: NoOverlap}})
		ops := operators(s, everywhere(s, decode(s, 32, 1000)))
		near(t, string(format)+": dispatched", ops["dispatch"].Bytes, 32*8*7168*each, 1e-9)
		near(t, string(format)+": combined", ops["combine"].Bytes, 32*8*7168*2, 1e-9)
	}
}

// However uneven, no expert gets a token twice: the fullest rank has at most every
// token for each of its slots, or for each of a token's k.
func TestHeaviestRankGetsEachTokenOnce(t *testing.T) {
	topology := loadTopology(t, "cloudmatrix384")
	v3 := loadModel(t, "v3", topology.Chip)
	rapid.Check(t, func(r *rapid.T) {
		loads := make([]float64, 256)
		for i := range loads {
			loads[i] = 1e-6
		}
		for range rapid.IntRange(1, 12).Draw(r, "hot experts") {
			loads[rapid.IntRange(0, 255).Draw(r, "expert")] = 1
		}
		ranks := rapid.SampledFrom([]int{32, 64, 128, 256}).Draw(r, "ranks")
		s := newStepper(t, "", "", Config{Model: v3, Topology: topology, Role: Decode, Layout: Layout{DP: ranks, EP: ranks, Routing: Routing{Kind: Histogram, Histogram: loads}}})
		e := s.main.ffns[len(s.main.ffns)-1].moe
		tokens := float64(rapid.IntRange(1, 10_000).Draw(r, "tokens"))
		pairs, touched, most, reached := s.loads(e, tokens)
		if each := min(8, 256/float64(ranks)); most > tokens*each*(1+1e-12) || most < pairs {
			r.Errorf("%g tokens: %g pairs on the heaviest of %d ranks, %g in the mean, at most %g", tokens, most, ranks, pairs, tokens*each)
		}
		if slots := 256 / float64(ranks); reached > slots || touched > slots*(1+1e-12) {
			r.Errorf("%g and %g experts of %g are touched", touched, reached, slots)
		}
	})
}
