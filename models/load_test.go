package models

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

const small = `name: small
source: test
hidden: 64
vocab: 100
max_context: 4096
formats: {weights: bf16, experts: bf16, kv: bf16}
attention:
  full: {design: gqa, heads: 8, kv_heads: 2, head_dim: 16}
ffn:
  moe: {inter: 32, experts: 8, topk: 2}
layer_count: 4
layers:
- {pattern: [full/moe], repeat: 4}
`

// The recomputed total is within 2 % of the published one, or the file says why not.
func TestPublishedTotals(t *testing.T) {
	for _, name := range Names() {
		m := mustLoad(t, name)
		if m.doc.Published == nil {
			if !strings.Contains(m.Source, "No published total") {
				t.Errorf("%s has neither a published total nor a word on it", name)
			}
			continue
		}
		c := m.Count(0)
		total, _ := c.ParamsTotal.Float64()
		if draft, _ := c.ParamsMTP.Float64(); m.doc.Published.IncludesMTP {
			total += draft
		}
		if off := total/m.Published - 1; math.Abs(off) > 0.02 && m.Difference == "" {
			t.Errorf("%s: %s parameters, published %g: %+.1f %% and no difference", name, c.ParamsTotal, m.Published, 100*off)
		}
	}
	// Figures given to the digit.
	for name, want := range map[string][2]string{
		"qwen3-next": {"79674391296", "3563764480"}, // published active 3,874,929,408 less the embedding of 151936·2048
		"gpt-oss":    {"116829156672", "5132849472"},
	} {
		if c := mustLoad(t, name).Count(0); c.ParamsTotal.String() != want[0] || c.ParamsActive.String() != want[1] {
			t.Errorf("%s: %s total, %s active, want %v", name, c.ParamsTotal, c.ParamsActive, want)
		}
	}
}

func TestNamesAndAliases(t *testing.T) {
	if len(Names()) < 24 {
		t.Errorf("only %d models: %v", len(Names()), Names())
	}
	seen := map[string]string{}
	for _, name := range Names() {
		m := mustLoad(t, name)
		if m.Name != name {
			t.Errorf("%s.yaml calls itself %s", name, m.Name)
		}
		for _, alias := range append([]string{name}, m.Aliases...) {
			if seen[alias] != "" {
				t.Errorf("%s means %s and %s", alias, seen[alias], name)
			}
			seen[alias] = name
			if got := mustLoad(t, alias); got.Name != name {
				t.Errorf("%s loads %s", alias, got.Name)
			}
		}
	}
	for alias, want := range map[string]string{"v4": "deepseek-v4-pro", "v4-pro": "deepseek-v4-pro", "v4-flash": "deepseek-v4-flash", "v3": "deepseek-v3", "v3.2": "deepseek-v3.2", "r1": "deepseek-r1"} {
		if seen[alias] != want {
			t.Errorf("%s means %q, want %s", alias, seen[alias], want)
		}
	}
}

// What YAML writes, fromYAML reads to an equal model; compressed ones too.
func TestYAMLRoundTrip(t *testing.T) {
	var all []*Model
	for _, name := range Names() {
		all = append(all, mustLoad(t, name))
	}
	all = append(all, compressed(t, "v4", "csa=8,kv=bf16"), compressed(t, "v4", "uncompressed"), compressed(t, "v3", "uncompressed"), compressed(t, "glm-5.2", "uncompressed"))
	for _, m := range all {
		data, err := m.YAML()
		if err != nil {
			t.Fatal(err)
		}
		back, err := fromYAML("round.yaml", data, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", m.Name, err, data)
		}
		if !reflect.DeepEqual(back, m) {
			t.Errorf("%s reads back otherwise:\n%s", m.Name, data)
		}
	}
}

// Layers of a kind share their attention, the first folder wins, a path works.
func TestLoadFromFolders(t *testing.T) {
	dir, second := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(dir, "small.yaml"):          small,
		filepath.Join(second, "small.yaml"):       strings.Replace(small, "hidden: 64", "hidden: 128", 1),
		filepath.Join(second, "deepseek-v3.yaml"): strings.Replace(small, "name: small", "name: deepseek-v3\naliases: [tiny]", 1),
		filepath.Join(second, "broken.yaml"):      "name: [",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Load("small", dir, second)
	if err != nil || m.Hidden != 64 || m.Layers[0].Attention != m.Layers[3].Attention {
		t.Fatalf("%+v, %v", m, err)
	}
	for ref, hidden := range map[string]int64{"tiny": 64, "deepseek-v3": 64, filepath.Join(second, "small.yaml"): 128, "v3.2": 7168} {
		if m, err := Load(ref, dir, second); err != nil || m.Hidden != hidden {
			t.Errorf("%s: hidden %d, %v; want %d", ref, m.Hidden, err, hidden)
		}
	}
	if _, err := Load("smal", dir); err == nil || !strings.HasPrefix(err.Error(), `unknown model "smal"; did you mean "small"?`) {
		t.Errorf("error %v", err)
	}
	if _, err := Load("v3", filepath.Join(dir, "none")); err == nil || !strings.HasPrefix(err.Error(), "models folder: open ") {
		t.Errorf("error %v", err)
	}
	if _, err := Load("broken", second); err == nil || !strings.Contains(err.Error(), "broken.yaml") {
		t.Errorf("error %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}

func TestYAMLErrors(t *testing.T) {
	for _, x := range []struct{ old, new, want string }{
		{"kv_heads: 2", "kv_heads: 3", "x.yaml:8:43: attention.full.kv_heads: must divide heads (8), got 3"},
		{"kv_heads: 2", "kv_head: 2", `x.yaml:8:33: attention.full: unknown key "kv_head"; did you mean "kv_heads"?`},
		{"kv_heads: 2, ", "", "x.yaml:8:9: attention.full.kv_heads: is required by design gqa"},
		{"heads: 8", "heads: -8", "x.yaml:8:30: attention.full.heads: must be between 1 and 4096, got -8"},
		{"head_dim: 16", "head_dim: 16, topk: 4", "x.yaml:8:66: attention.full.topk: design gqa has no topk; it takes heads kv_heads head_dim window qk_norm bias sinks output_gate"},
		{"design: gqa", "design: gqq", `x.yaml:8:18: attention.full.design: unknown attention design "gqq"; did you mean "gqa"? (known: csa, dsa, gqa, hca, linear, mla, window)`},
		{"topk: 2", "topk: 9", "x.yaml:10:38: ffn.moe.topk: must be at most experts (8), got 9"},
		{"experts: 8, topk: 2", "shared_inter: 8", "x.yaml:6:35: formats.experts: the model has nothing that it would apply to\nx.yaml:10:8: ffn.moe: a dense MLP has only inter; give experts for a mixture of experts"},
		{"repeat: 4", "repeat: 5", "x.yaml:13:1: layers: cover 5 layers, layer_count is 4"},
		{"[full/moe]", "[ful/moe]", "x.yaml:8:9: attention.full: no layer uses it\nx.yaml:13:14: layers[0].pattern[0]: unknown attention \"ful\"; did you mean \"full\"? (known: full)"},
		{"[full/moe]", "[full]", "x.yaml:8:9: attention.full: no layer uses it\nx.yaml:10:8: ffn.moe: no layer uses it\nx.yaml:13:14: layers[0].pattern[0]: \"full\" must be attention/ffn, for example mla/moe"},
		{"hidden: 64", "hidden: 0", "x.yaml:3:9: hidden: must be between 1 and 1048576, got 0"},
		{"kv: bf16", "kv: fp8_block", `x.yaml:6:45: formats.kv: must be one of bf16, fp4, fp8, int8, mxfp4, nvfp4, got "fp8_block"`},
		{"kv: bf16", "kv: fp9", `x.yaml:6:45: formats.kv: unknown format "fp9"; want one of bf16, fp32, fp4, fp8, fp8_block, int4, int64, int8, mxfp4, nvfp4`},
		{"source: test", "source: test\npublished: {parameters: -1, source: a}\nmtp: {layers: [full/moe], projection: x, embeddings: shared, accepted_length: [1.5, 4], accepted_source: a}",
			"x.yaml:3:25: published.parameters: must be a positive number, got -1\nx.yaml:4:39: mtp.projection: must be joint or split, got \"x\"\nx.yaml:4:85: mtp.accepted_length[1]: must be between 1 and 3 with 2 drafts, got 4"},
		{"vocab: 100", "vocab: 100\nhyper_connections: 65", "x.yaml:5:20: hyper_connections: must be between 1 and 64, got 65"},
		{"full: {design: gqa, heads: 8, kv_heads: 2, head_dim: 16}", "full:", "x.yaml:8:8: attention.full: must not be empty"},
	} {
		if !strings.Contains(small, x.old) {
			t.Fatalf("%q is not in the file", x.old)
		}
		_, err := fromYAML("x.yaml", []byte(strings.Replace(small, x.old, x.new, 1)), nil)
		if err == nil || err.Error() != x.want {
			t.Errorf("%s: error\n%v\nwant\n%s", x.new, err, x.want)
		}
	}
	if _, err := fromYAML("x.yaml", []byte(small), nil); err != nil {
		t.Error(err)
	}
}

// Sizes at their limits are counted, not wrapped around: 4 layers of 2^54 in attention, 65536·3·2^40 in
// experts, 2^36 in the router and 2^21 in norms, 200·2^20 in embedding and head, 2^20 in the last norm.
func TestHugeSizes(t *testing.T) {
	huge := strings.NewReplacer("hidden: 64", "hidden: 1048576", "inter: 32", "inter: 1048576", "experts: 8", "experts: 65536",
		"heads: 8", "heads: 4096", "kv_heads: 2", "kv_heads: 4096", "head_dim: 16", "head_dim: 1048576").Replace(small)
	_, err := fromYAML("x.yaml", []byte(huge), nil)
	if want := "x.yaml: has 936748997590122496 parameters; at most 72057594037927936 are supported"; err == nil || err.Error() != want {
		t.Errorf("error %v\nwant %s", err, want)
	}
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte(small))
	for _, name := range Names() {
		data, err := os.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := fromYAML("fuzz.yaml", data, nil)
		if err != nil {
			if problems := (spec.Problems)(nil); !errors.As(err, &problems) {
				t.Fatalf("an error without a place: %T %v", err, err)
			}
			return
		}
		exercise(t, m)
	})
}

// exercise runs what a loaded model is for; counts must not be negative.
func exercise(t *testing.T, m *Model) {
	for _, L := range []int64{0, 1, 129, m.MaxContext, 1 << 40} {
		c := m.Count(L)
		if c.KVBytes.Sign() < 0 || c.Decode.Total.Sign() < 0 || c.PrefillAttentionFlops.Sign() < 0 || c.CheckpointBytes.Sign() < 0 || m.KVStateBytes() < 0 {
			t.Fatalf("negative counts at %d: %+v", L, c)
		}
	}
	if _, err := m.Compress(Compression{KV: BF16}); err != nil {
		t.Fatal(err)
	}
	if full, err := m.Compress(Compression{Uncompressed: true}); err == nil {
		full.Count(m.MaxContext)
	}
	data, err := m.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fromYAML("again.yaml", data, nil); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
}

func FuzzCompression(f *testing.F) {
	f.Add("csa=4,hca=128,topk=1024,window=128,kv=fp8,indexer=fp4")
	f.Add("uncompressed")
	f.Add("{csa: 8}")
	m := mustLoad(f, "v4")
	f.Fuzz(func(t *testing.T, text string) {
		var c, back Compression
		if c.UnmarshalText([]byte(text)) == nil {
			if err := back.UnmarshalText([]byte(c.String())); err != nil || back != c {
				t.Fatalf("%q is %+v and reads back as %+v, %v", text, c, back, err)
			}
			if out, err := m.Compress(c); err == nil {
				out.Count(1 << 20)
			}
		}
		var y struct {
			KV Compression `yaml:"kv"`
		}
		_ = yaml.Load([]byte("kv: "+text), &y)
	})
}

// Names and aliases are written in letters of any case, and a repository on Hugging Face
// stands for the model that ships of it, unless there is a file of that name.
func TestLoadByAnyCaseAndRepository(t *testing.T) {
	for ref, want := range map[string]string{
		"Qwen3-32B": "qwen3-32b", "V4": "deepseek-v4-pro", "DeepSeek-V3.2": "deepseek-v3.2", "GPT-OSS": "gpt-oss-120b",
		"deepseek-ai/DeepSeek-V3": "deepseek-v3", "Qwen/Qwen3-32B": "qwen3-32b", "qwen/qwen3-32b": "qwen3-32b",
		"meta-llama/Llama-3.1-8B-Instruct": "llama-3.1-8b", "Llama-3.1-8B-Instruct": "llama-3.1-8b",
	} {
		if m, err := Load(ref); err != nil || m.Name != want {
			t.Errorf("%s: %v, %v; want %s", ref, m, err, want)
		}
	}
	owner := map[string]string{}
	for _, name := range Names() {
		m, err := Load(name)
		if err != nil || len(m.doc.Repositories) == 0 {
			t.Fatalf("%s: no repository, %v", name, err)
		}
		for _, ref := range append(m.doc.Repositories, m.doc.Aliases...) {
			key := strings.ToLower(ref)
			if owner[key] != "" {
				t.Errorf("%s is both %s and %s", ref, owner[key], name)
			}
			owner[key] = name
			if same, err := Load(ref); err != nil || same.Name != name {
				t.Errorf("%s of %s: %v", ref, name, err)
			}
		}
	}
	for ref, want := range map[string]string{
		"deepseek-ai/DeepSeek-V3x": `did you mean "deepseek-ai/DeepSeek-V3"?`,
		"no/such.yaml":             "no such file",
		"a/b/deepseek-v3":          "no such file",
		"Qwen3-32C":                `did you mean "qwen3-32b"?`,
	} {
		if _, err := Load(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("Qwen", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("Qwen/Qwen3-32B", []byte("name: broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err := Load("Qwen/Qwen3-32B"); err == nil {
		t.Errorf("the file goes before the repository; got %s", m.Name)
	}
}
