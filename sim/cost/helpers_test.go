package cost

import (
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/topologies"
)

// loadModel is a shipped model in a chip's formats.
func loadModel(t testing.TB, name string, chip *topologies.Chip) *models.Model {
	t.Helper()
	m, err := models.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if m, _, err = Substitute(m, chip); err != nil {
		t.Fatal(err)
	}
	return m
}

func loadTopology(t testing.TB, name string) *topologies.Topology {
	t.Helper()
	topology, err := topologies.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return topology
}

func loadEngine(t testing.TB, name string) *Engine {
	t.Helper()
	e, err := LoadEngine(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// newStepper completes a configuration with a model and a topology by name.
func newStepper(t testing.TB, model, topology string, c Config) *Stepper {
	t.Helper()
	if c.Topology == nil {
		c.Topology = loadTopology(t, topology)
	}
	if c.Model == nil {
		c.Model = loadModel(t, model, c.Topology.Chip)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decode is the load of n sequences of a length on a rank.
func decode(s *Stepper, n, context int64) Load {
	l := Load{Sequences: n}
	for j, b := range s.config.Model.Breaks {
		l.Context[j] = n * min(b, context) << ContextShift
	}
	return l
}

// prefill is the load of chunks of n prompt tokens each, behind a prefix each.
func prefill(s *Stepper, chunks, n, prefix int64) Load {
	l := Load{ChunkTokens: chunks * n, Chunks: chunks, LastChunks: chunks, Prefix: chunks * prefix}
	for j, b := range s.config.Model.Breaks {
		l.Pairs[j] = chunks * PairSum(prefix, n, b)
	}
	return l
}

// both is decode and prefill work in one step.
func both(a, b Load) Load {
	a.ChunkTokens, a.Chunks, a.LastChunks, a.Prefix = b.ChunkTokens, b.Chunks, b.LastChunks, b.Prefix
	a.Pairs = b.Pairs
	return a
}

// everywhere gives all ranks the same load.
func everywhere(s *Stepper, l Load) []Load {
	loads := make([]Load, s.config.Layout.DP)
	for i := range loads {
		loads[i] = l
	}
	return loads
}

// sound fails when a step's ledger does not add up.
func sound(t testing.TB, step Step) {
	t.Helper()
	var total des.Time
	for c, v := range step.Causes {
		if v < 0 {
			t.Fatalf("%s is negative: %+v", cause.Names[c], step)
		}
		total += v
	}
	if total != step.Time {
		t.Fatalf("causes sum to %d, the step is %d", total, step.Time)
	}
	if step.Tau < 0 || step.Tau > step.Causes[cause.CommLatency] || step.Hidden < 0 || step.Causes[cause.Idle] != 0 {
		t.Fatalf("tau, hidden or idle out of range: %+v", step)
	}
	if step.Time > 0 && !(step.Flops > 0 && step.Bytes > 0) {
		t.Fatalf("a step without work: %+v", step)
	}
}

// near fails when got is not within a share of want.
func near(t testing.TB, what string, got, want, share float64) {
	t.Helper()
	if !(got >= want*(1-share) && got <= want*(1+share)) {
		t.Errorf("%s: got %.6g, want %.6g within %.3g %%", what, got, want, 100*share)
	}
}
