package cost

import "testing"

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
