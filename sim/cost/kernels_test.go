package cost

import (
	"math"
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost/law"
)

// kernels counts the launches of a step: a host that takes 10 ms for each takes
// nothing else into account but waiting for the slowest rank.
func kernels(t *testing.T, c Config, load func(s *Stepper) Load) int {
	t.Helper()
	e := *loadEngine(t, "ideal")
	e.DecodeLaunch, e.PrefillLaunch, e.GraphTokens, e.Fitted.EagerKernelUs = Eager, Eager, 0, 10_000
	c.Engine = &e
	s := newStepper(t, "", "", c)
	step := s.Step(everywhere(s, load(s)))
	n := (step.Time - step.Causes[cause.Imbalance]).Seconds() / 10e-3
	if math.Abs(n-math.Round(n)) > 1e-4 {
		t.Fatalf("%v is no whole number of launches", step.Time)
	}
	return int(math.Round(n))
}

func TestLaunchesOfAStep(t *testing.T) {
	hgx := loadTopology(t, "hgx-h100:8")
	llama := loadModel(t, "llama-3.1-8b", hgx.Chip)
	one := func(s *Stepper) Load { return decode(s, 3, 100) }
	// A layer has four projections, an attention kernel, three small ones around it and
	// two in the MLP; the head is a projection and three kernels that sample.
	if got, want := kernels(t, Config{Model: llama, Topology: hgx, Role: Decode}, one), 32*(4+1+3+2)+1+3; got != want {
		t.Errorf("%d kernels, want %d", got, want)
	}
	// Tensor parallelism sums twice a layer and gathers once behind the head.
	if got, want := kernels(t, Config{Model: llama, Topology: hgx, Role: Decode, Layout: Layout{TP: 2}}, one), 32*(4+1+3+2+2)+1+3+1; got != want {
		t.Errorf("TP 2: %d kernels, want %d", got, want)
	}
	// Hyper-connections mix the streams before both blocks of a layer and behind them.
	supernode := loadTopology(t, "supernode8912")
	v4 := loadModel(t, "v4", supernode.Chip)
	plain := *v4
	plain.HC = 1
	layout := Layout{DP: 16, EP: 16, Overlap: NoOverlap}
	with := kernels(t, Config{Model: v4, Topology: supernode, Role: Decode, Layout: layout}, one)
	without := kernels(t, Config{Model: &plain, Topology: supernode, Role: Decode, Layout: layout}, one)
	if with-without != 4*61 {
		t.Errorf("hyper-connections of 61 layers launch %d kernels", with-without)
	}
}

// Hyper-connections of DeepSeek-V4-Pro: four streams of 7,168, 24 mixing weights for
// each of their elements at both blocks of 61 layers.
func TestHyperConnections(t *testing.T) {
	const rows, layers, hidden = 96, 61, 7168
	supernode := loadTopology(t, "supernode8912")
	v4 := loadModel(t, "v4", supernode.Chip)
	plain := *v4
	plain.HC = 1
	config := Config{Model: v4, Topology: supernode, Role: Decode, Layout: Layout{DP: 16, EP: 16, Overlap: NoOverlap}}
	with := newStepper(t, "", "", config)
	config.Model = &plain
	without := newStepper(t, "", "", config)
	loads := everywhere(with, decode(with, rows, 3000))
	a, b := with.Step(loads), without.Step(loads)
	near(t, "FLOPs", a.Flops-b.Flops, 16*rows*layers*2*2*(24*4*hidden+24+3), 1e-6)
	laws, err := law.New(supernode.Chip)
	if err != nil {
		t.Fatal(err)
	}
	// With one stream the norm before an FFN also reads and writes the residual: 4 bytes
	// an element more among its small kernels.
	small := with.main.ffns[0].small * laws.SmallKernel()
	narrow, wide := with.main.ffns[0].smallBytes*rows, (with.main.ffns[0].smallBytes+4*hidden)*rows
	want := laws.MHC(rows, hidden).Total() + laws.SmallKernels(small, narrow).Total() - laws.SmallKernels(small, wide).Total()
	near(t, "time", (a.Time - b.Time).Seconds(), layers*want, 1e-5)
}
