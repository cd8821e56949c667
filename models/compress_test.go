package models

import (
	"reflect"
	"slices"
	"testing"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/spec"
)

func compressed(t testing.TB, name, change string) *Model {
	t.Helper()
	var c Compression
	if err := c.UnmarshalText([]byte(change)); err != nil {
		t.Fatal(err)
	}
	m, err := mustLoad(t, name).Compress(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// No change, and the model's own values, give an equal model.
func TestCompressWithoutChange(t *testing.T) {
	for _, name := range Names() {
		if got, want := compressed(t, name, ""), mustLoad(t, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s changed without a change", name)
		}
	}
	for name, own := range map[string]string{
		"v4": "csa=4,hca=128,topk=1024,window=128,kv=fp8,indexer=fp4", "v3.2": "topk=2048,kv=fp8,indexer=fp8",
		"gpt-oss": "window=128,kv=bf16", "v3": "kv=fp8", "glm-5.2": "topk=2048,kv=bf16,indexer=bf16",
	} {
		if got, want := compressed(t, name, own), mustLoad(t, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s with its own %s is another model", name, own)
		}
	}
}

// The original is not touched, and one knob after the other is both at once.
func TestCompressComposes(t *testing.T) {
	v4 := mustLoad(t, "v4")
	first, err := v4.Compress(Compression{CSA: 16, TopK: 512})
	if err != nil {
		t.Fatal(err)
	}
	both, err := first.Compress(Compression{HCA: 512, KV: BF16})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(both, compressed(t, "v4", "csa=16,topk=512,hca=512,kv=bf16")) {
		t.Error("two changes differ from the same at once")
	}
	if !reflect.DeepEqual(v4, mustLoad(t, "v4")) {
		t.Error("the model that Compress was called on has changed")
	}
}

// V4 with ratios 16 and 512, in its published formula with other numbers:
// entries 584 B, keys 68 B, state 2·16 rows of 2·4·(1024+256) B and 512 rows of 2·4·512 B.
func TestCompressV4Ratios(t *testing.T) {
	m := compressed(t, "v4", "csa=16,hca=512,topk=2048,window=256")
	for _, L := range []int64{1, 100, 255, 256, 4097, 131072, 1048575} {
		want := 30*(L/16)*652 + 31*(L/512)*584 + 61*min(L, 256)*584
		if got := m.KVBytes(L); got != want {
			t.Errorf("KV at %d is %d, want %d", L, got, want)
		}
		read := 30*(584*min(L/16, 2048)+68*(L/16)) + 31*(L/512)*584 + 61*min(L, 256)*584
		if got := m.Count(L).DecodeKVBytesRead; got.Cmp(big64(read)) != 0 {
			t.Errorf("read at %d is %s, want %d", L, got, read)
		}
	}
	if got, want := m.KVStateBytes(), int64(30*32*8*(1024+256)+31*512*8*512); got != want {
		t.Errorf("state %d, want %d", got, want)
	}
	if want := []int64{Unlimited, 256, 32768}; !slices.Equal(m.Breaks, want) {
		t.Errorf("breaks %v, want %v", m.Breaks, want)
	}
	if c, own := m.Count(1), mustLoad(t, "v4").Count(1); c.Decode.Linear.Cmp(own.Decode.Linear) != 0 {
		t.Error("the compressor's projections depend on its ratio")
	}
}

// Uncompressed V4: one 512-wide entry a token a layer, no indexer, no compressor.
func TestUncompressedV4(t *testing.T) {
	for name, layers := range map[string]int64{"v4": 61, "v4-flash": 43} {
		m := compressed(t, name, "uncompressed")
		for _, L := range []int64{1, 127, 128, 5000, 1 << 20} {
			c := m.Count(L)
			if want := big64(layers * 584 * L); c.KVBytes.Cmp(want) != 0 || c.DecodeKVBytesRead.Cmp(want) != 0 {
				t.Errorf("%s at %d holds %s and reads %s, want %s", name, L, c.KVBytes, c.DecodeKVBytesRead, want)
			}
			if want := big64(layers * 4 * m.Layers[0].Attention.Heads * 512 * L); c.Decode.Core.Cmp(want) != 0 || c.Decode.Indexer.Sign() != 0 {
				t.Errorf("%s at %d: core %s, want %s; indexer %s", name, L, c.Decode.Core, want, c.Decode.Indexer)
			}
		}
		if m.KVStateBytes() != 0 || m.Formats.Indexer != "" || len(m.Breaks) != 1 {
			t.Errorf("%s keeps %d bytes of state, index keys %q, breaks %v", name, m.KVStateBytes(), m.Formats.Indexer, m.Breaks)
		}
		for _, l := range append(slices.Clone(m.Layers), m.MTP...) {
			if a := l.Attention; len(a.Pieces) != 1 || a.RunsIndexer || a.Window != 0 || len(a.Linears) != 4 {
				t.Errorf("%s: layer %+v", name, a)
			}
		}
		bf16 := compressed(t, name, "uncompressed,kv=bf16")
		if got, want := bf16.KVBytes(1000), layers*1024*1000; got != want {
			t.Errorf("%s in BF16 holds %d, want %d", name, got, want)
		}
	}
}

// Uncompressed DSA is dense latent attention: V3.2 becomes V3 but for its name.
func TestUncompressedDSAIsMLA(t *testing.T) {
	got, want := compressed(t, "v3.2", "uncompressed").Count(70001), mustLoad(t, "v3").Count(70001)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("V3.2 uncompressed counts %+v\nV3 counts %+v", got, want)
	}
	m := compressed(t, "glm-5.2", "uncompressed")
	if kinds := m.Count(1).Kinds; len(kinds) != 1 || kinds[0].Layers != 78 || kinds[0].Design != "mla" {
		t.Errorf("GLM-5.2 uncompressed has kinds %+v", kinds)
	}
}

// Uncompressed MLA caches 192+128 elements for each of 128 heads and decodes in
// the form that prefill runs.
func TestUncompressedMLAIsMHA(t *testing.T) {
	v3 := mustLoad(t, "v3")
	m := compressed(t, "v3", "uncompressed,kv=bf16")
	if got, want := m.KVBytes(1000), int64(61*1000*128*(192+128)*2); got != want {
		t.Errorf("holds %d, want %d", got, want)
	}
	if a, b := m.PrefillAttention(7, 900, DecodeForm), v3.PrefillAttention(7, 900, PrefillForm); a.Cmp(b) != 0 {
		t.Errorf("attention FLOPs %s, V3's prefill form %s", a, b)
	}
	if a := m.Layers[5].Attention; !a.Pieces[0].PerHead || a.KVHeads != 128 || a.PrefixFlops != 0 {
		t.Errorf("attention %+v", a)
	}
	if m.Count(1).ParamsTotal.Cmp(v3.Count(1).ParamsTotal) != 0 {
		t.Error("parameters changed")
	}
}

// Entries by format: the published layouts, and what the same layout gives elsewhere.
func TestFormats(t *testing.T) {
	for _, x := range []struct {
		model, change string
		core, index   int64
	}{
		{"v4", "", 584, 68}, {"v4", "indexer=fp8", 584, 132}, {"v4", "kv=bf16,indexer=bf16", 1024, 256},
		{"v4", "kv=fp4", 368, 68}, {"v4", "kv=int8,indexer=int8", 584, 132},
		{"v3", "", 656, 0}, {"v3", "kv=bf16", 1152, 0}, {"v3", "kv=fp4", 400, 0}, {"v3.2", "", 656, 132}, {"v3.2", "indexer=bf16", 656, 256},
		{"llama-3.1-70b", "", 4096, 0}, {"llama-3.1-70b", "kv=fp8", 2048, 0}, {"llama-3.1-70b", "kv=nvfp4", 1152, 0},
	} {
		for _, p := range compressed(t, x.model, x.change).Layers[len(mustLoad(t, x.model).Layers)-1].Attention.Pieces {
			want := x.core
			if p.Role == Index {
				want = x.index
			}
			if p.BytesStored != want || p.BytesRead != want {
				t.Errorf("%s %q: %s entry of %d bytes, want %d", x.model, x.change, p.Role, p.BytesStored, want)
			}
		}
	}
}

func TestWithFormats(t *testing.T) {
	v4 := mustLoad(t, "v4")
	if got := with(t, v4, Formats{Weights: FP8, Experts: MXFP4, KV: FP8, Indexer: MXFP4}); !reflect.DeepEqual(got, v4) {
		t.Error("the widths that V4 has change it")
	}
	ascend := with(t, v4, Formats{Weights: INT8, Experts: INT4, KV: BF16, Indexer: INT8})
	for _, l := range ascend.Layers[3].Attention.Linears {
		if own := v4.Layers[3].Attention.Linears; l.Name == "q_b" && l.Format != INT8 || l.Name == "compressor" && l.Format != BF16 || len(own) == 0 {
			t.Errorf("%s is %s", l.Name, l.Format)
		}
	}
	e := ascend.Layers[3].FFN.MoE
	if got, want := e.ExpertBytes(), int64(3*7168*3072/2+2*(2*3072*7168/32+7168*3072/32)); e.Format != INT4 || got != want {
		t.Errorf("expert of %d bytes in %s, want %d", got, e.Format, want)
	}
	if got := ascend.Head.Format; got != BF16 {
		t.Errorf("head is %s", got)
	}
}

// NVIDIA's second FP4 checkpoint of R1 leaves attention in BF16 except its output
// projection: dense FFNs and shared experts are FP4 all the same.
func TestFormatsOfAttention(t *testing.T) {
	r1 := mustLoad(t, "r1")
	m := with(t, r1, Formats{Weights: NVFP4, Attention: BF16, AttentionOutput: NVFP4, Experts: NVFP4})
	fp4 := func(n int64) int64 { return n/2 + n/16 } // one FP8 scale per 16
	want := map[string]int64{
		"qkv_a": 2 * 7168 * (1536 + 512 + 64), "q_b": 2 * 1536 * 128 * 192, "kv_b": 2 * 512 * 128 * 256, "o": fp4(128 * 128 * 7168),
		"gate_up": fp4(7168 * 2 * 18432), "down": fp4(18432 * 7168),
	}
	dense, moe := m.Layers[0], m.Layers[60]
	if moe.Attention != dense.Attention {
		t.Fatal("R1 has one kind of attention")
	}
	for _, l := range append(slices.Clone(dense.Attention.Linears), dense.FFN.Linears...) {
		if l.Bytes() != want[l.Name] {
			t.Errorf("%s: %d bytes in %s, want %d", l.Name, l.Bytes(), l.Format, want[l.Name])
		}
	}
	for _, l := range moe.FFN.MoE.Shared {
		if l.Format != NVFP4 {
			t.Errorf("shared %s in %s", l.Name, l.Format)
		}
	}
	if got := with(t, m, Formats{AttentionOutput: BF16}); got.Layers[0].Attention.Linears[3].Format != BF16 || got.Layers[0].FFN.Linears[0].Format != NVFP4 {
		t.Error("the output projection's format is not its own")
	}
}

func TestCompressionErrors(t *testing.T) {
	for _, x := range []struct{ model, change, want string }{
		{"v4", "csa=0", `csa must be a positive whole number, got "0"`},
		{"v4", "csa", `"csa" is not one of csa, hca, topk, window, kv, indexer (as name=value) or uncompressed`},
		{"v4", "csa=4,csa=8", `csa is given twice`},
		{"v4", "kv=fp7", `kv: unknown format "fp7"; want one of bf16, fp32, fp4, fp8, fp8_block, int4, int64, int8, mxfp4, nvfp4`},
		{"v4", "cas=3,topk=-1", "\"cas=3\" is not one of csa, hca, topk, window, kv, indexer (as name=value) or uncompressed; topk must be a positive whole number, got \"-1\""},
		{"v4", "csa=2000000", "model deepseek-v4-pro: attention.csa.ratio: must be between 1 and 1048576, got 2000000"},
		{"v4", "kv=int64", `model deepseek-v4-pro: formats.kv: must be one of bf16, fp4, fp8, int8, mxfp4, nvfp4, got "int64"`},
		{"v4", "uncompressed,csa=4,indexer=fp8", "kv-compress: model deepseek-v4-pro uncompressed has no csa, indexer; it has kv"},
		{"v3", "topk=5,window=9", "kv-compress: model deepseek-v3 has no topk, window; it has kv"},
		{"v3.2", "csa=4", "kv-compress: model deepseek-v3.2 has no csa; it has topk, kv, indexer"},
		{"qwen3-32b", "uncompressed", "kv-compress: model qwen3-32b cannot be uncompressed: gqa attention keeps no compressed or selected entries (csa, hca, window, dsa and mla do)"},
		{"qwen3-next", "uncompressed", "kv-compress: model qwen3-next-80b-a3b cannot be uncompressed: gqa and linear attention keeps no compressed or selected entries (csa, hca, window, dsa and mla do)"},
	} {
		var c Compression
		err := c.UnmarshalText([]byte(x.change))
		if err == nil {
			_, err = mustLoad(t, x.model).Compress(c)
		}
		if err == nil || err.Error() != x.want {
			t.Errorf("%s %s: error %v\nwant %s", x.model, x.change, err, x.want)
		}
	}
	_, err := mustLoad(t, "llama-3.1-8b").WithFormats(Formats{Experts: INT4, Indexer: FP8, KV: FP8})
	if want := "precision: model llama-3.1-8b has no experts\nprecision: model llama-3.1-8b has no indexer"; err == nil || err.Error() != want {
		t.Errorf("error %v\nwant %s", err, want)
	}
	if _, err := (&Model{Name: "x"}).Compress(Compression{}); err == nil {
		t.Error("a model that no file stands behind was compressed")
	}
}

// Both YAML forms and the text form say the same; faults have positions.
func TestCompressionForms(t *testing.T) {
	parse := func(text string) (Compression, error) {
		var s struct {
			KV Compression `yaml:"kv_compress"`
		}
		err := spec.Parse("s.yaml", []byte("kv_compress: "+text+"\n"), &s).Err()
		return s.KV, err
	}
	want := Compression{CSA: 4, HCA: 128, TopK: 1024, Window: 128, KV: FP8, Indexer: MXFP4}
	for _, form := range []string{"{csa: 4, hca: 128, topk: 1024, window: 128, kv: fp8, indexer: fp4}", "csa=4,hca=128,topk=1024,window=128,kv=fp8,indexer=fp4"} {
		if got, err := parse(form); err != nil || got != want {
			t.Errorf("%s reads as %+v, %v", form, got, err)
		}
	}
	if got, err := parse("uncompressed"); err != nil || got != (Compression{Uncompressed: true}) {
		t.Errorf("uncompressed reads as %+v, %v", got, err)
	}
	if got, err := parse("null"); err != nil || got != (Compression{}) {
		t.Errorf("null reads as %+v, %v", got, err)
	}
	for form, want := range map[string]string{
		"{csa: 4, hcca: 128}": `s.yaml:1:23: kv_compress: unknown key "hcca"; did you mean "hca"?`,
		"{csa: -4}":           `s.yaml:1:14: kv_compress: csa must be a positive whole number, got -4`,
		"{kv: fp9}":           `s.yaml:1:19: kv_compress.kv: unknown format "fp9"; want one of bf16, fp32, fp4, fp8, fp8_block, int4, int64, int8, mxfp4, nvfp4`,
		"csa=x":               `s.yaml:1:14: kv_compress: csa must be a positive whole number, got "x"`,
	} {
		if _, err := parse(form); err == nil || err.Error() != want {
			t.Errorf("%s: error %v\nwant %s", form, err, want)
		}
	}
}

func TestCompressionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom(append([]Format{""}, cacheFormats...))
		c := Compression{Uncompressed: rapid.Bool().Draw(t, "u"), KV: format.Draw(t, "kv"), Indexer: format.Draw(t, "indexer")}
		for _, k := range c.knobs() {
			if k.number != nil {
				*k.number = rapid.Int64Range(0, 1<<40).Draw(t, k.name)
			}
		}
		var back Compression
		if err := back.UnmarshalText([]byte(c.String())); err != nil || back != c {
			t.Fatalf("%+v reads back as %+v, %v", c, back, err)
		}
		data, err := yaml.Dump(c)
		if err != nil {
			t.Fatal(err)
		}
		back = Compression{}
		if err := yaml.Load(data, &back); err != nil || back != c {
			t.Fatalf("%s reads back as %+v, %v", data, back, err)
		}
	})
}
