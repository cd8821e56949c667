package cost

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/topologies"
)

// Every shipped model on every shipped topology, in layouts, roles and overlaps
// drawn at random: either an error, or steps whose ledgers add up and that no
// peak is beaten in (Step panics where one is).
func TestAnyModelAnywhere(t *testing.T) {
	systems := map[string]*topologies.Topology{}
	for _, name := range topologies.Names() {
		systems[name] = loadTopology(t, name)
	}
	shipped := map[string]*models.Model{}
	for _, name := range models.Names() {
		m, err := models.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		shipped[name] = m
	}
	priced, drawn := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		topology := systems[rapid.SampledFrom(topologies.Names()).Draw(r, "topology")]
		m := drawFormats(r, shipped[rapid.SampledFrom(models.Names()).Draw(r, "model")])
		m, _, err := Substitute(m, topology.Chip)
		if err != nil {
			r.Fatal(err)
		}
		c := Config{Model: m, Topology: topology, Role: rapid.SampledFrom([]Role{Prefill, Decode, Mixed}).Draw(r, "role")}
		c.Engine = loadEngine(t, rapid.SampledFrom(EngineNames()).Draw(r, "engine"))
		c.MaxTokens, c.MaxSequences = 2048, 64
		if len(m.MTP) > 0 {
			c.Drafts = rapid.IntRange(0, 3).Draw(r, "drafts")
		}
		drawn++
		s := fitting(r, &c)
		if s == nil {
			return
		}
		priced++
		loads := make([]Load, s.config.Layout.DP)
		for i := range loads {
			loads[i] = decode(s, rapid.Int64Range(0, 64).Draw(r, "sequences"), rapid.Int64Range(1, 1<<20).Draw(r, "context"))
			if c.Role != Decode {
				loads[i] = both(loads[i], prefill(s, rapid.Int64Range(0, 2).Draw(r, "chunks"), rapid.Int64Range(1, 1024).Draw(r, "chunk"), rapid.Int64Range(0, 1<<20).Draw(r, "prefix")))
			}
		}
		sound(t, s.Step(loads))
		if mem := s.Memory(); mem.Free < mem.SequenceBytes(1) || mem.SequenceBytes(2) < mem.SequenceBytes(1) {
			r.Fatalf("memory: %+v", mem)
		}
	})
	// A single new token behind a long prefix, which MLA projects again in FP8.
	lone := newStepper(t, "r1", "vr-nvl72", Config{Role: Prefill, Layout: Layout{TP: 4, EP: 4}})
	sound(t, lone.Step([]Load{prefill(lone, 1, 1, 1<<18)}))
	if 4*priced < drawn { // about three in four are
		t.Errorf("only %d of %d drawn configurations were valid", priced, drawn)
	}
}

// fitting draws a layout, and widens it until the model fits; nil when no width does.
func fitting(r *rapid.T, c *Config) *Stepper {
	layout := drawLayout(r, c.Model)
	for n := 1 << rapid.IntRange(0, 6).Draw(r, "log2 ranks"); n <= 512; n *= 2 {
		c.Layout = layout(n)
		if s, err := New(*c); err == nil {
			return s
		}
	}
	return nil
}

// drawFormats stores the model in formats of any mixture, or as it ships.
func drawFormats(r *rapid.T, m *models.Model) *models.Model {
	if rapid.Bool().Draw(r, "as shipped") {
		return m
	}
	f := m.Formats
	weights := []models.Format{models.BF16, models.FP8, models.FP8Block, models.NVFP4, models.MXFP4, models.INT8, models.INT4}
	cache := []models.Format{models.BF16, models.FP8, models.NVFP4, models.MXFP4, models.INT8}
	draw := func(of []models.Format, name string) models.Format { return rapid.SampledFrom(of).Draw(r, name) }
	f.Weights, f.Attention, f.AttentionOutput = draw(weights, "weights"), draw(weights, "attention"), draw(weights, "output")
	f.KV = draw(cache, "kv")
	if f.Experts != "" {
		f.Experts = draw(weights, "experts")
		f.Router = draw([]models.Format{models.BF16, models.FP32}, "router")
	}
	if f.Indexer != "" {
		f.Indexer = draw(cache, "indexer")
	}
	out, err := m.WithFormats(f)
	if err != nil {
		r.Skip(err)
	}
	return out
}

// drawLayout draws one of any number of ranks: expert-parallel over data-parallel
// attention, or tensor-parallel.
func drawLayout(r *rapid.T, m *models.Model) func(ranks int) Layout {
	l := Layout{Overlap: rapid.SampledFrom([]Overlap{"", NoOverlap, TwoBatch, Wave}).Draw(r, "overlap")}
	l.PP = rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(r, "pp")
	l.Routing = rapid.SampledFrom([]Routing{{}, {Kind: PowerLaw, Alpha: 1.01}, {Kind: PowerLaw, Alpha: 3}}).Draw(r, "routing")
	mixed := false
	for _, layer := range m.Layers {
		mixed = mixed || layer.FFN.MoE != nil
	}
	widest := 1 << 20
	if rapid.Bool().Draw(r, "data-parallel") {
		widest = rapid.SampledFrom([]int{1, 1, 2}).Draw(r, "tp")
	}
	redundant := rapid.SampledFrom([]int{0, 0, 1}).Draw(r, "redundant")
	if mixed {
		l.Exchange = rapid.SampledFrom([]Exchange{"", "", Gather}).Draw(r, "exchange")
	}
	return func(ranks int) Layout {
		l.TP = min(ranks, widest)
		l.DP = ranks / l.TP
		if mixed {
			l.EP, l.Redundant = ranks, redundant*ranks
		}
		return l
	}
}
