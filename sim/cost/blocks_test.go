package cost

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/topologies"
)

// tooQuick are the blocks of shipped models that a shipped chip prices below what all of
// their work takes at its peaks, by the worst factor of the test's grid and why. The
// reason is said at Stepper.beats, and none may grow in silence.
//
//	tails    tails of a linear layer's convolution, which fits of e_conv above 1 leave to caches
var tooQuick = map[string]struct {
	by  float64
	why string
}{
	"a100 kimi-k3 kda drafts 0":                   {1.01, "tails"},
	"a100 qwen3-next-80b-a3b linear drafts 0":     {1.01, "tails"},
	"a100 qwen3.5-397b-a17b linear drafts 0":      {1.01, "tails"},
	"a100 qwen3.5-397b-a17b linear drafts 3":      {1.01, "tails"},
	"l40s kimi-k3 kda drafts 0":                   {1.01, "tails"},
	"l40s qwen3-next-80b-a3b linear drafts 0":     {1.01, "tails"},
	"l40s qwen3.5-397b-a17b linear drafts 0":      {1.01, "tails"},
	"l40s qwen3.5-397b-a17b linear drafts 3":      {1.01, "tails"},
	"rtx-4090 kimi-k3 kda drafts 0":               {1.01, "tails"},
	"rtx-4090 qwen3-next-80b-a3b linear drafts 0": {1.01, "tails"},
	"rtx-4090 qwen3.5-397b-a17b linear drafts 0":  {1.01, "tails"},
	"rtx-4090 qwen3.5-397b-a17b linear drafts 3":  {1.01, "tails"},
}

// No block of attention of any shipped model beats the peaks of any shipped chip, in
// either phase, at one sequence or thousands, whatever the context: what its work takes
// at the peaks is computed apart from the laws.
func TestNoBlockBeatsItsPeaks(t *testing.T) {
	seen := map[string]float64{}
	base, engine := loadTopology(t, "hgx-h100:8"), loadEngine(t, "ideal")
	for _, chip := range topologies.ChipNames() {
		c, err := topologies.LoadChip(chip)
		if err != nil {
			t.Fatal(err)
		}
		on := Config{Topology: base.WithChip(c), Engine: engine}
		libraries, err := LoadLibraries(on.Topology, engine)
		if err != nil {
			t.Fatal(err)
		}
		on.Libraries = &libraries
		for _, name := range models.Names() {
			for _, s := range blockSteppers(t, on, name) {
				eachBlock(t, s, func(k *attention, ratio float64) {
					key := fmt.Sprintf("%s %s %s drafts %d", chip, name, k.label, s.config.Drafts)
					if ratio > 1+1e-9 { // as beats allows
						seen[key] = max(seen[key], ratio)
					}
				})
			}
		}
	}
	for key, by := range seen {
		if want, listed := tooQuick[key]; !listed || math.Abs(by-want.by) > 0.01 {
			t.Errorf("%s is %.3f times quicker than its peaks allow; listed: %g", key, by, want.by)
		}
	}
	for key := range tooQuick {
		if seen[key] == 0 {
			t.Errorf("%s is within its peaks: take it off the list", key)
		}
	}
}

// blockSteppers are a model's on a chip, whole and on one of eight ranks, with drafts
// where it has them, with the cache as shipped and in FP8; room is not asked for.
func blockSteppers(t *testing.T, on Config, model string) []*Stepper {
	t.Helper()
	shipped := loadModel(t, model, on.Topology.Chip)
	variants := []*models.Model{shipped}
	if f := shipped.Formats; f.KV == models.BF16 && on.Topology.Chip.Peak[topologies.FP8] > 0 {
		f.KV = models.FP8
		narrow, err := shipped.WithFormats(f)
		if err != nil {
			t.Fatal(err)
		}
		variants = append(variants, narrow)
	}
	var out []*Stepper
	for _, m := range variants {
		widest := 8
		if m.Layers[0].Attention.Heads%8 != 0 { // Qwen2.5-7B's 28 heads
			widest = 4
		}
		for _, tp := range []int{1, widest} {
			for _, drafts := range []int{0, 3} {
				if drafts > 0 && len(m.MTP) == 0 {
					continue
				}
				c := on
				c.Model, c.Layout, c.Drafts = m, Layout{TP: tp, EP: 1}, drafts
				s, err := build(c)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, s)
			}
		}
	}
	return out
}

// eachBlock calls f with the largest share of a peak that all of a block's work needs.
func eachBlock(t *testing.T, s *Stepper, f func(k *attention, ratio float64)) {
	t.Helper()
	for _, st := range []*stack{&s.main, &s.draft} {
		for i := range st.attentions {
			k := &st.attentions[i]
			for _, context := range []int64{1, 128, 4096, 131072, 1 << 20} {
				for _, n := range []int64{1, 16, 512, 4096} {
					for _, l := range []Load{decode(s, n, context), prefill(s, 1, n, context), both(decode(s, n, context), prefill(s, 1, n, context))} {
						var w work
						w.fill(&l, s.verify, 1, 1)
						d, p := s.attentionTimes(k, &w, w.rows+w.chunkTokens)
						var o operator
						s.blockWork(&o, k, &w)
						seconds := d.Total() + p.Total()
						if err := s.beats(k, &w, &o, seconds); err != nil {
							t.Fatal(err)
						}
						f(k, max(o.atPeak, o.bytes/s.hbm())/seconds)
					}
				}
			}
		}
	}
}

// A user's chip whose constants let a block beat its peaks is refused before a step is
// priced, with the block and the arithmetic; what caches serve is left out.
func TestChipThatBeatsPhysics(t *testing.T) {
	topology := *loadTopology(t, "hgx-h200:8")
	price := func(class, variant, key string, value float64) error {
		chip := topology.Chip.Flat()
		chip.Name = "mine"
		values := map[string]float64{}
		for k, v := range chip.Operators[class][variant].Values {
			values[k] = v
		}
		values[key] = value
		c := chip.Operators[class][variant]
		c.Values = values
		chip.Operators[class][variant] = c
		system := topology.WithChip(chip)
		_, err := New(Config{Model: loadModel(t, "deepseek-v3.2", chip), Topology: system, Layout: Layout{TP: 8, EP: 8}})
		return err
	}
	if err := price("dsa_decode", "kv_fp8", "e_index", 0.9); err != nil {
		t.Error(err)
	}
	err := price("dsa_decode", "kv_fp8", "e_index", 50)
	says(t, err, "chip mine: its constants price attention below what its peaks allow", "MBU of attention dsa above 1", "deepseek-v3.2 on hgx-h200:8")
	if err := price("dsa_prefill", "flashmla_kv", "e_gather", 50); err != nil {
		t.Errorf("gathers of a prompt come from caches: %v", err)
	}
}

// Times of a block's parts are marked as apportioned, and only they: what a law prices
// alone is not.
func TestApportioned(t *testing.T) {
	for _, c := range []struct {
		model string
		whole bool
	}{{"deepseek-v3.2", true}, {"qwen3-235b-a22b", false}} {
		s := newStepper(t, c.model, "hgx-h200:8", Config{Layout: Layout{TP: 8, EP: 8}})
		parts := 0
		for _, o := range s.Explain(everywhere(s, both(decode(s, 8, 5000), prefill(s, 1, 100, 0)))).Operators {
			of := o.LayerKind == s.main.attentions[0].label && !strings.Contains(o.Name, "floors") && o.Class != "elementwise" && o.Class != "all-reduce"
			if want := c.whole && of; o.Apportioned != want {
				t.Errorf("%s: %s %s: apportioned %v", c.model, o.LayerKind, o.Name, o.Apportioned)
			}
			if o.Apportioned {
				parts++
			}
		}
		if c.whole && parts < 6 {
			t.Errorf("%s: %d parts", c.model, parts)
		}
	}
}
