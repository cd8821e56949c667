package cost

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/topologies"
)

// designText is a model of one design with the given optional keys.
func designText(d models.Design, may ...string) string {
	values := map[string]string{
		"heads": "8", "kv_heads": "4", "head_dim": "128", "nope_dim": "128", "rope_dim": "64", "value_dim": "128", "q_rank": "512", "kv_rank": "512",
		"o_groups": "4", "o_rank": "256", "window": "128", "ratio": "4", "topk": "512", "index_heads": "8", "index_dim": "128", "key_heads": "4",
		"key_dim": "128", "conv": "4", "rule": "delta", "qk_norm": "head", "bias": "qkv", "sinks": "true", "output_gate": "true",
		"shares_topk": "true", "per_head_kv": "true",
	}
	var b strings.Builder
	indexer := ""
	for _, key := range append(slices.Clone(d.Need), may...) {
		value, ok := values[key]
		if !ok {
			value = "1"
		}
		fmt.Fprintf(&b, "    %s: %s\n", key, value)
		if key == "index_dim" {
			indexer = ", indexer: fp8"
		}
	}
	return fmt.Sprintf(`name: %s
source: a test
hidden: 2048
vocab: 32000
max_context: 1048576
formats: {weights: bf16, kv: bf16%s}
attention:
  it:
    design: %s
%sffn:
  dense: {inter: 4096}
layer_count: 4
layers: [{pattern: [it/dense], repeat: 4}]
`, d.Name, indexer, d.Name, b.String())
}

// Every design of the models' table has a law: a model of it, with each of its optional
// parameters, takes time in both phases, and no block of it beats its chip.
func TestEveryDesignHasALaw(t *testing.T) {
	for _, d := range models.Designs() {
		texts := []string{designText(d)}
		for _, key := range d.May {
			if key != "shares_topk" { // of a layer behind one that chooses
				texts = append(texts, designText(d, key))
			}
		}
		for _, text := range texts {
			for _, system := range []string{"hgx-h100:8", "hgx-b200:8", "cloudmatrix384"} {
				topology := loadTopology(t, system)
				file := filepath.Join(t.TempDir(), d.Name+".yaml")
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				m, err := models.Load(file)
				if err != nil {
					t.Fatal(err)
				}
				if m, _, err = Substitute(m, topology.Chip); err != nil {
					t.Fatal(err)
				}
				s, err := New(Config{Model: m, Topology: topology, Layout: Layout{TP: 2}})
				if err != nil {
					t.Errorf("%s on %s: %v", d.Name, system, err)
					continue
				}
				short, long := s.Step(everywhere(s, decode(s, 8, 1000))), s.Step(everywhere(s, decode(s, 8, 500_000)))
				prompt := s.Step(everywhere(s, prefill(s, 1, 4000, 0)))
				for _, step := range []Step{short, long, prompt} {
					sound(t, step)
				}
				if len(s.main.attentions[0].a.Pieces) > 0 && s.main.attentions[0].a.Window == 0 && long.Time <= short.Time {
					t.Errorf("%s on %s: half a million tokens of context cost %d ns, a thousand %d", d.Name, system, long.Time, short.Time)
				}
			}
		}
	}
}

// An attention that no law prices, in whole or in part, is refused by name.
func TestUnpricedAttention(t *testing.T) {
	for _, c := range []struct {
		model  string
		change func(*models.Attention)
		want   string
	}{
		{"qwen3-235b-a22b", func(a *models.Attention) { a.Design = "block" }, `design "block": no law prices it`},
		{"qwen3-235b-a22b", func(a *models.Attention) { a.TopK, a.RunsIndexer = 32, true }, "chooses its top-k by an indexer, which gqa_decode has no terms for"},
		{"qwen3-235b-a22b", func(a *models.Attention) {
			a.Pieces = append(slices.Clone(a.Pieces), models.Piece{Role: models.Index, Stride: 64, PerHead: true, Format: models.BF16})
		}, "has index keys, which gqa_decode has no terms for"},
		{"qwen3-235b-a22b", func(a *models.Attention) { a.Pieces = slices.Clone(a.Pieces); a.Pieces[0].Stride = 4 }, "stand for 4 tokens"},
		{"qwen3-235b-a22b", func(a *models.Attention) { a.Pieces = slices.Clone(a.Pieces); a.Pieces[0].PerHead = false }, "caches every head by itself: true"},
		{"qwen3-235b-a22b", func(a *models.Attention) { a.Pieces = slices.Clone(a.Pieces); a.Pieces[0].Format = models.INT4 }, `no kernel reads a cache in "int4"`},
		{"qwen3-235b-a22b", func(a *models.Attention) { a.StateBytes = 64 }, "keeps 64 B of state"},
		{"qwen3-235b-a22b", func(a *models.Attention) { a.Pieces = nil }, "0 kinds of cache entries"},
		{"deepseek-v3", func(a *models.Attention) {
			a.Linears = slices.DeleteFunc(slices.Clone(a.Linears), func(l models.Linear) bool { return l.Name == "kv_b" })
		}, "has no projection kv_b"},
		{"deepseek-v3", func(a *models.Attention) {
			a.Linears = slices.Clone(a.Linears)
			a.Linears[0].Format = models.INT64
		}, `no kernel multiplies qkv_a, stored in "int64"`},
	} {
		topology := loadTopology(t, "hgx-h200:8")
		m := *loadModel(t, c.model, topology.Chip)
		m.Layers = slices.Clone(m.Layers)
		for i := range m.Layers {
			a := *m.Layers[i].Attention
			c.change(&a)
			m.Layers[i].Attention = &a
		}
		_, err := New(Config{Model: &m, Topology: topology, Layout: Layout{TP: 8}})
		says(t, err, m.Name, c.want)
		if strings.Contains(c.want, "law prices") {
			says(t, err, "formOf and formLaws of sim/cost/forms.go", "sim/calibrate/forms.go")
		}
		if err != nil && strings.Count(err.Error(), c.want) > 1 {
			t.Errorf("it says so for every layer: %v", err)
		}
	}
}

// A chip needs the classes that its models and configurations use, and no other: one
// that has timed five classes and no ancestor runs a GQA model and is refused for MLA.
func TestBareChip(t *testing.T) {
	topology := *loadTopology(t, "hgx-h100:8")
	chip := topology.Chip.Flat()
	few := map[string]map[string]topologies.Constants{}
	for _, class := range []string{"gemm", "moe", "gqa_decode", "gqa_prefill", "small_kernel"} {
		few[class] = chip.Operators[class]
	}
	chip.Name, chip.Operators = "mine", few
	topology.Chip = chip
	whole := newStepper(t, "qwen3-30b-a3b", "hgx-h100:8", Config{Layout: Layout{TP: 2, EP: 2}})
	bare := newStepper(t, "qwen3-30b-a3b", "", Config{Topology: &topology, Layout: Layout{TP: 2, EP: 2}})
	loads := everywhere(bare, both(decode(bare, 8, 5000), prefill(bare, 1, 700, 0)))
	if got, want := bare.Step(loads), whole.Step(loads); got != want {
		t.Errorf("with the classes that it uses %+v, with all %+v", got, want)
	}
	_, err := New(Config{Model: loadModel(t, "deepseek-v3.2", chip), Topology: &topology, Layout: Layout{DP: 8, EP: 8}})
	says(t, err, "model deepseek-v3.2: attention dsa: chip mine: no constants for operators.dsa_decode", "operators.dsa_prefill", "no ancestor has them")
}
