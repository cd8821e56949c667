package cost

import (
	"slices"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost/law"
)

// Steps of more rows than a graph was captured for are launched by the host.
func TestCapturedGraphsEnd(t *testing.T) {
	at := func(limit int, rows int64) Step {
		e := *loadEngine(t, "vllm")
		e.GraphTokens, e.Fitted.EagerKernelUs = limit, 100
		s := newStepper(t, "llama-3.1-8b", "hgx-h100:8", Config{Role: Mixed, Engine: &e})
		return s.Step([]Load{both(Load{}, prefill(s, 1, rows, 0))})
	}
	if captured, open := at(512, 512), at(0, 512); captured != open {
		t.Errorf("up to its limit a step is a graph: %v, without a limit %v", captured.Time, open.Time)
	}
	above, open := at(512, 513), at(0, 513)
	if above.Causes[cause.Launch] <= open.Causes[cause.Launch] || above.Time-above.Causes[cause.Launch] != open.Time-open.Causes[cause.Launch] {
		t.Errorf("above it %v with %v of launches; as a graph %v with %v", above.Time, above.Causes[cause.Launch], open.Time, open.Causes[cause.Launch])
	}
}

// A norm across heads adds one small all-reduce and one kernel a layer to a
// tensor-parallel step, and nothing without tensor parallelism.
func TestNormAcrossHeads(t *testing.T) {
	const rows = 24
	plain := *loadModel(t, "minimax-m2.5", loadTopology(t, "hgx-h200:8").Chip)
	plain.Layers = slices.Clone(plain.Layers)
	for i := range plain.Layers {
		a := *plain.Layers[i].Attention
		a.NormSums = 0
		plain.Layers[i].Attention = &a
	}
	for _, tp := range []int{1, 4} {
		layout := Layout{TP: tp, DP: 8 / tp}
		s := newStepper(t, "minimax-m2.5", "hgx-h200:8", Config{Role: Decode, Layout: layout})
		without := newStepper(t, "", "hgx-h200:8", Config{Model: &plain, Role: Decode, Layout: layout})
		loads := everywhere(s, decode(s, rows, 2000))
		want := 0.0
		if tp > 1 {
			want = 62 * (s.config.Topology.AllReduce(s.comms.libs.AllReduce, tp, rows*2*4, 1).Total() + s.smallKernel)
		}
		near(t, "sums of norms", 1+(s.Step(loads).Time-without.Step(loads).Time).Seconds(), 1+want, 1e-7)
	}
}

// 4-bit experts on a chip without FP4 units: FP8 arithmetic, or BF16 by choice.
func TestFourBitExperts(t *testing.T) {
	for _, x := range []struct {
		topology string
		choice   law.Variant
		want     law.Variant
	}{{"hgx-h200:8", "", law.W4A8}, {"hgx-h200:8", law.W4A16, law.W4A16}, {"hgx-b200:8", law.W4A16, law.W4A8}} {
		e := *loadEngine(t, "vllm")
		e.FourBit = x.choice
		s := newStepper(t, "gpt-oss-120b", x.topology, Config{Role: Decode, Engine: &e, Layout: Layout{TP: 8}})
		if got := s.main.ffns[0].moe.arithmetic.variant; got != x.want {
			t.Errorf("%s, choice %q: %s, want %s", x.topology, x.choice, got, x.want)
		}
	}
}

// A prompt's norms, RoPE and activations are bound by HBM: at 8,192 rows of Llama-70B
// on one chip a layer moves 16 bytes a row and element of the residual, 4 of the
// projected heads and 6 of the MLP.
func TestSmallKernelsMoveBytes(t *testing.T) {
	const rows = 8192
	s := newStepper(t, "llama-3.1-70b", "hgx-h200:8", Config{Role: Prefill, Layout: Layout{TP: 8}})
	seconds := 0.0
	for _, o := range s.Explain([]Load{prefill(s, 1, rows, 0)}).Operators {
		if o.Name == "small kernels" {
			seconds += float64(o.Ns) * 1e-9
		}
	}
	bytes := 80 * rows * float64(16*8192+4*(64+2*8)*128/8+6*28672/8)
	near(t, "small kernels", seconds, 1.05*bytes/(0.8*4.8e12), 0.02)
}

// MiniMax-M2's router is in FP32, outside tensor cores, unless a deployment says
// otherwise: 20 µs and more a layer of decoding sequences.
func TestRouterFormat(t *testing.T) {
	topology := loadTopology(t, "hgx-b200:8")
	wide := loadModel(t, "minimax-m2.5", topology.Chip)
	narrow, err := wide.WithFormats(models.Formats{Router: models.BF16})
	if err != nil {
		t.Fatal(err)
	}
	at := func(m *models.Model) float64 {
		s := newStepper(t, "", "", Config{Topology: topology, Model: m, Role: Decode, Layout: Layout{TP: 4}})
		return s.Step(everywhere(s, decode(s, 64, 1000))).Time.Seconds()
	}
	if d := (at(wide) - at(narrow)) / 62 * 1e6; d < 20 || d > 40 {
		t.Errorf("FP32 costs a layer's router %.1f µs more than BF16", d)
	}
}
