package models

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/spec"
)

// tinyV4 has the keys that matter, with V4's proportions.
const tinyV4 = `{"model_type": "deepseek_v4", "hidden_size": 256, "vocab_size": 1000, "max_position_embeddings": 65536,
 "num_hidden_layers": 5, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 64, "qk_rope_head_dim": 16,
 "q_lora_rank": 32, "o_groups": 2, "o_lora_rank": 16, "index_n_heads": 4, "index_head_dim": 32, "index_topk": 64, "sliding_window": 128,
 "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 64, "topk_method": "noaux_tc",
 "hc_mult": 4, "num_nextn_predict_layers": 1, "expert_dtype": "fp4",
 "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}, %s}`

func tiny(rest string) string { return strings.Replace(tinyV4, "%s", rest, 1) }

// The two ways in which configs write V4's layers are the same model.
func TestV4LayerForms(t *testing.T) {
	ratios, err := converted(tiny(`"num_hash_layers": 2, "compress_ratios": [0, 128, 4, 128, 4, 0]`))
	if err != nil {
		t.Fatal(err)
	}
	types, err := converted(tiny(`"layer_types": ["sliding_attention", "heavily_compressed_attention", "compressed_sparse_attention", "heavily_compressed_attention", "compressed_sparse_attention"],
 "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 128}, "mlp_layer_types": ["hash_moe", "hash_moe", "moe", "moe", "moe"]`))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ratios, types) {
		t.Error("compress_ratios and layer_types give different models")
	}
	want := map[string]int64{"swa": 1, "hca": 2, "csa": 2}
	for _, k := range ratios.Count(1).Kinds {
		if k.Layers != want[k.Kind] {
			t.Errorf("%d layers %s, want %d", k.Layers, k.Kind, want[k.Kind])
		}
	}
	if len(ratios.MTP) != 1 || ratios.MTP[0].Attention.Design != "window" || !ratios.Layers[1].FFN.MoE.HashRouted || ratios.Layers[2].FFN.MoE.HashRouted {
		t.Errorf("draft layers %+v", ratios.MTP)
	}
	if f := ratios.Formats; f != (Formats{Weights: FP8Block, Experts: MXFP4, KV: FP8, Indexer: MXFP4}) {
		t.Errorf("formats %+v", f)
	}
}

const tinyGQA = `{"model_type": "qwen3_moe", "hidden_size": 64, "vocab_size": 100, "max_position_embeddings": 4096, "num_hidden_layers": 4,
 "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "moe_intermediate_size": 32,
 "num_experts": 8, "num_experts_per_tok": 2`

func TestGQAForms(t *testing.T) {
	for rest, want := range map[string][]string{
		``: {"full/moe", "full/moe", "full/moe", "full/moe"},
		`, "mlp_only_layers": [0], "decoder_sparse_step": 2`:                                                                     {"full/dense", "full/moe", "full/dense", "full/moe"},
		`, "sliding_window": 512, "use_sliding_window": false`:                                                                   {"full/moe", "full/moe", "full/moe", "full/moe"},
		`, "sliding_window": 512, "max_window_layers": 3`:                                                                        {"full/moe", "full/moe", "full/moe", "full/moe"}, // Qwen's window is off unless it is on
		`, "sliding_window": 512, "max_window_layers": 3, "use_sliding_window": true`:                                            {"full/moe", "full/moe", "full/moe", "swa/moe"},
		`, "sliding_window": 512, "use_sliding_window": true, "max_window_layers": 0`:                                            {"swa/moe", "swa/moe", "swa/moe", "swa/moe"},
		`, "sliding_window": 512, "layer_types": ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]`: {"full/moe", "swa/moe", "full/moe", "swa/moe"},
	} {
		m, err := converted(tinyGQA + rest + "}")
		if err != nil {
			t.Fatal(rest, err)
		}
		var got []string
		for _, l := range m.Layers {
			ffn := "dense"
			if l.FFN.MoE != nil {
				ffn = "moe"
			}
			got = append(got, l.Attention.Label+"/"+ffn)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: layers %v, want %v", rest, got, want)
		}
	}
	nested, err := converted(`{"model_type": "outer", "text_config": ` + tinyGQA + `}, "vision_config": {"hidden_size": 7}}`)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := converted(tinyGQA + "}"); err != nil || !reflect.DeepEqual(plain, nested) {
		t.Errorf("text_config gives another model, %v", err)
	}
}

func TestQuantizationForms(t *testing.T) {
	group := func(bits, kind, size string) string {
		return `{"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": ` + bits + `, "type": "` + kind + `", "group_size": ` + size + `}}}, "ignore": ["re:.*self_attn.*"]}`
	}
	for quant, want := range map[string]Formats{
		`null`:                    {Weights: BF16, Experts: BF16, KV: BF16},
		`{"quant_method": "fp8"}`: {Weights: FP8, Experts: FP8, KV: BF16},
		`{"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}`: {Weights: BF16, Experts: MXFP4, KV: BF16},
		`{"quant_method": "awq", "bits": 4}`:                                                {Weights: INT4, Experts: INT4, KV: BF16},
		`{"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8}}`:                       {Weights: FP8, Experts: FP8, KV: FP8},
		group("4", "int", "32"):                                                             {Weights: BF16, Experts: INT4, KV: BF16},
		group("4", "float", "16"):                                                           {Weights: BF16, Experts: NVFP4, KV: BF16},
		group("4", "float", "32"):                                                           {Weights: BF16, Experts: MXFP4, KV: BF16},
		group("8", "float", "0"):                                                            {Weights: BF16, Experts: FP8, KV: BF16},
	} {
		m, err := converted(tinyGQA + `, "quantization_config": ` + quant + "}")
		if err != nil || m.Formats != want {
			t.Errorf("%s: %+v, %v; want %+v", quant, m, err, want)
		}
	}
}

func TestHFErrors(t *testing.T) {
	known := strings.Join(slices.Sorted(slices.Values(hfTypes())), ", ")
	for _, x := range []struct{ config, want string }{
		{`{"model_type": "deepseek_v5"}`, `x.json: model_type: unknown architecture "deepseek_v5"; did you mean "deepseek_v3"? (known: ` + known + `)`},
		{`{}`, `x.json: model_type: unknown architecture "" (known: ` + known + `)`},
		{"{\"model_type\": \"llama\",\n \"hidden_size\": }", "x.json:2:17: invalid character '}' looking for beginning of value"},
		{"{\"model_type\": \"llama\",\n \"hidden_size\": \"big\"}", "x.json:2:21: hidden_size: must be a whole number, got string"},
		{"", "x.json: is empty"},
		{`{"model_type": "llama", "num_hidden_layers": 100000, "hidden_size": 5}`, "x.json: vocab_size: must be a positive number, got 0\nx.json: max_position_embeddings: must be a positive number, got 0\nx.json: num_attention_heads: must be a positive number, got 0\nx.json: num_hidden_layers: must be between 1 and 4096, got 100000"},
		{strings.Replace(tinyGQA, `"num_key_value_heads": 2`, `"num_key_value_heads": 3`, 1) + "}", "x.json: attention.full.kv_heads: must divide heads (8), got 3"},
		{tinyGQA + `, "layer_types": ["full_attention"]}`, "x.json: layer_types: has 1 entries for 4 layers"},
		{tinyGQA + `, "layer_types": ["full_attention", "x", "full_attention", "full_attention"]}`, `x.json: layer_types: entry 1 is "x"; known: full_attention, sliding_attention`},
		{tinyGQA + `, "quantization_config": {"quant_method": "zip"}}`, `x.json: quantization_config.quant_method: unknown method "zip"; known: fp8, mxfp4, compressed-tensors, awq, gptq`},
		{tinyGQA + `, "quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 64]}}`, "x.json: quantization_config.weight_block_size: must be [128, 128], got [64 64]"},
		{tiny(`"compress_ratios": [0, 4]`), "x.json: compress_ratios: has 2 entries for 5 layers\nx.json: compress_ratios: is required (or layer_types with compress_rates)"},
		{tiny(`"compress_ratios": [0, 4, 128, 64, 4, 0]`), "x.json: compress_ratios: entry 3 is 64; want 0, 4 or one other ratio (128)"},
	} {
		path := filepath.Join(t.TempDir(), "x.json")
		if err := os.WriteFile(path, []byte(x.config), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if err == nil || strings.ReplaceAll(err.Error(), path, "x.json") != x.want {
			t.Errorf("%s: error\n%v\nwant\n%s", x.config, err, x.want)
		}
	}
}

// What a key cannot be is an error; what the conversion does not follow is a note.
func TestHFStrictness(t *testing.T) {
	with := func(old, with string) string { return strings.Replace(tinyGQA, old, with, 1) + "}" }
	quant := func(q string) string { return tinyGQA + `, "quantization_config": {` + q + "}}" }
	for config, want := range map[string]string{
		tinyGQA + `, "torch_dtype": "int3"}`:                               `torch_dtype: must be bfloat16, float16 or float32, got "int3"`,
		tinyGQA + `, "dtype": "float64"}`:                                  `dtype: must be bfloat16, float16 or float32, got "float64"`,
		with(`"num_key_value_heads": 2`, `"num_key_value_heads": 0`):       "num_key_value_heads: must be a positive number, got 0",
		with(`"num_attention_heads": 8`, `"num_attention_heads": 0`):       "num_attention_heads: must be a positive number, got 0",
		with(`"head_dim": 16`, `"head_dim": -16`):                          "head_dim: must be a positive number, got -16",
		tinyGQA + `, "n_shared_experts": -1}`:                              "n_shared_experts: must not be negative, got -1",
		quant(`"quant_method": "gptq", "bits": 3`):                         "quantization_config.bits: must be 4 or 8, got 3",
		quant(`"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 2}`): "quantization_config.kv_cache_scheme.num_bits: must be 8, got 2",
		quant(`"quant_method": "compressed-tensors", "config_groups": {"any": {"weights": {"num_bits": 3, "type": "int"}}}`): `quantization_config.config_groups.any.weights: must be int of 4 or 8 bits or float of 4 or 8, got "int" of 3`,
		quant(`"quant_method": "compressed-tensors", "config_groups": {"a": {}, "b": {}}`):                                   "quantization_config.config_groups: must be one group, of all linear layers, or one called group_0; there are 2",
		quant(`"quant_method": "quark"`): `unknown method "quark"`,
	} {
		if _, err := converted(config); err == nil || !strings.Contains(err.Error(), "tiny.json: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for config, want := range map[string]string{
		tinyGQA + `, "torch_dtype": "bfloat16", "architectures": ["Qwen3MoeForCausalLM"]}`: "",
		"\ufeff" + tinyGQA + "}": "",
		with(`"num_key_value_heads": 2`, `"num_key_value_heads": null`):                           "",
		tinyGQA + `, "torch_dtype": "float32"}`:                                                   "torch_dtype: float32 weights are served in 16 bits",
		tinyGQA + `, "architectures": ["FooForCausalLM"]}`:                                        `architectures: "FooForCausalLM" is no class of model_type qwen3_moe`,
		tinyGQA + `, "architectures": ["Qwen3MoeForSequenceClassification"]}`:                     "is no class of model_type",
		tinyGQA + `, "use_sliding_window": true}`:                                                 "use_sliding_window: there is no sliding_window",
		tinyGQA + `, "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 4}`:    "layers from max_window_layers (4) on would have it, and there are 4",
		tinyGQA + `, "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 3}`:    "",
		tinyGQA + `, "use_sliding_window": false, "sliding_window": 8}`:                           "",
		with("qwen3_moe", "llama")[:len(with("qwen3_moe", "llama"))-1] + `, "sliding_window": 8}`: "sliding_window: llama does not use it",
	} {
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := Load(path)
		if err != nil {
			t.Errorf("%s: %v", config, err)
			continue
		}
		if said := strings.Join(m.Notes, "\n"); want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("%s\nnotes %q, want %q", config, said, want)
		}
		// Notes are the converted model's too, whatever is changed in it.
		if c, err := m.WithFormats(Formats{KV: FP8}); err != nil || !slices.Equal(c.Notes, m.Notes) {
			t.Errorf("%v %v", err, c.Notes)
		}
		patched, err := Source{Patches: spec.Patches{{Path: "vocab", Value: "101"}}}.Load(path)
		if err != nil || !slices.Equal(patched.Notes, m.Notes) {
			t.Errorf("%v %v", err, patched.Notes)
		}
	}
}

// A quantisation file beside config.json is not passed over in silence.
func TestQuantisationBeside(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"config.json": tinyGQA + "}", "hf_quant_config.json": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := Load(filepath.Join(dir, "config.json")); err != nil || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "hf_quant_config.json: is not read") {
		t.Errorf("%v, %+v", err, m.Notes)
	}
}

// A config.json is named after its folder.
func TestConfigJSONName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "My-Model")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, []byte(tinyGQA+"}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err := Load(path); err != nil || m.Name != "My-Model" {
		t.Errorf("%+v, %v", m, err)
	}
}

// Folding into patterns keeps every layer in its place.
func TestRunsUnfold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layers := rapid.SliceOfN(rapid.SampledFrom([]string{"a/x", "b/x", "a/y"}), 1, 60).Draw(t, "layers")
		var back []string
		for _, run := range runs(layers) {
			for range max(1, run.Repeat) {
				back = append(back, run.Pattern...)
			}
		}
		if !slices.Equal(back, layers) {
			t.Fatalf("%v unfolds to %v", layers, back)
		}
	})
	var v4 []string
	for i := range 58 {
		v4 = append(v4, []string{"hca/moe", "csa/moe"}[i%2])
	}
	if got := runs(v4); len(got) != 1 || got[0].Repeat != 29 {
		t.Errorf("V4's layers fold to %+v", got)
	}
}

func converted(config string) (*Model, error) {
	return fromHF("tiny", "tiny.json", []byte(config), nil)
}

func FuzzHF(f *testing.F) {
	f.Add([]byte(tinyGQA + "}"))
	f.Add([]byte(tiny(`"compress_ratios": [0, 128, 4, 128, 4, 0]`)))
	f.Add([]byte(`{"text_config": {"text_config": null, "model_type": "kimi_linear", "linear_attn_config": {"full_attn_layers": [1]}}}`))
	f.Add([]byte(`{"model_type": "deepseek_v32", "hidden_size": 64, "vocab_size": 9, "max_position_embeddings": 9, "num_hidden_layers": 2, "num_attention_heads": 4,
 "kv_lora_rank": 8, "q_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8, "index_topk": 4, "index_n_heads": 2, "index_head_dim": 8, "intermediate_size": 9}`))
	f.Add([]byte(`{"model_type": "qwen3_next", "hidden_size": 64, "vocab_size": 9, "max_position_embeddings": 9, "num_hidden_layers": 2, "num_attention_heads": 4,
 "linear_num_value_heads": 2, "linear_value_head_dim": 8, "full_attention_interval": 2, "intermediate_size": 9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := converted(string(data))
		if err != nil {
			if problems := (spec.Problems)(nil); !errors.As(err, &problems) {
				t.Fatalf("an error without a place: %T %v", err, err)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatal("read what is not JSON")
		}
		exercise(t, m)
	})
}
