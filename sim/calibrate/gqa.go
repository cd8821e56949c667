package calibrate

import (
	"fmt"
	"math"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
)

// width is the bytes of an element of a cache or of attention's operands.
func width(dtype string) float64 {
	if strings.HasPrefix(dtype, "fp8") {
		return 1
	}
	return 2
}

// cacheName is a cache's format as the classes' variants name it.
func cacheName(dtype string) string {
	if width(dtype) == 1 {
		return "kv_fp8"
	}
	return "kv_bfloat16"
}

// attention is grouped-query attention as tables write it.
type attention struct {
	batch, tokens, heads, kv, dim, window float64
	dtype, cache, kernel                  string
}

// isRare tells heads that hardly any model has from those of the grouped kind: up to
// 16 query heads a KV head, of 64, 128 or 256.
func (a *attention) isRare() bool {
	return a.heads > 16*a.kv || a.dim != 64 && a.dim != 128 && a.dim != 256
}

func readGQAPrefill(_ *Reader, t *table) (*Sample, string) {
	if t.maybe("step") > 0 || t.number("beam_width", 1, maxCount) > 1 {
		return nil, "attention over a prompt behind a prefix or with beams: no row of the fits"
	}
	return gqaPrefillSample(&attention{
		batch: t.count("batch_size"), tokens: t.count("isl"), heads: t.count("num_heads"), kv: t.count("num_key_value_heads"),
		dim: t.count("head_dim"), window: t.optional("window_size"), dtype: t.text("attn_dtype"), cache: t.text("kv_cache_dtype"),
		kernel: t.text("kernel_source"),
	})
}

func gqaPrefillSample(a *attention) (*Sample, string) {
	w := width(a.dtype)
	switch {
	case w != width(a.cache):
		return nil, "attention over a prompt in BF16 with an FP8 cache: repeats the BF16 rows"
	case a.kernel == "triton":
		return nil, "Triton attention: a path several times slower than the chip's own kernels"
	}
	longest := a.tokens
	if a.window > 0 {
		longest = min(a.tokens, a.window+law.TileRows)
	}
	x := law.Prefill{
		Tokens: a.batch * a.tokens, Chunks: a.batch, Heads: a.heads, KVHeads: a.kv, HeadDim: a.dim, KV8: w == 1, Longest: longest,
		Pairs: a.batch * law.TilePairs(int64(a.tokens), 0, int64(a.window)), Tiles: a.batch * math.Ceil(a.tokens/law.TileRows),
		IOBytes: a.batch * a.tokens * a.dim * a.heads * (w + 2), KVBytes: 2 * a.batch * a.tokens * a.kv * a.dim * w,
	}
	s := &Sample{Class: "gqa_prefill", Variant: "bfloat16", Kernel: a.kernel, Size: x.Tokens, Rare: a.isRare()}
	if w == 1 {
		s.Variant = "fp8"
	}
	s.Shape = fmt.Sprintf("h%.0f kv%.0f d%.0f w%.0f", a.heads, a.kv, a.dim, a.window)
	s.Key = fmt.Sprintf("%s b%.0f l%.0f", s.Shape, a.batch, a.tokens)
	s.Time = func(l *law.Set) law.Time { return l.GQAPrefill(&x) }
	return s, ""
}

func readGQADecode(_ *Reader, t *table) (*Sample, string) {
	if t.number("beam_width", 1, maxCount) > 1 {
		return nil, "attention with beams: no form has them"
	}
	return gqaDecodeSample(&attention{
		batch: t.count("batch_size"), tokens: t.maybe("step") + 1, heads: t.count("num_heads"), kv: t.count("num_key_value_heads"),
		dim: t.count("head_dim"), window: t.optional("window_size"), cache: t.text("kv_cache_dtype"), kernel: t.text("kernel_source"),
	})
}

// gqaDecodeSample is one query a sequence; tokens is the cache's length.
func gqaDecodeSample(a *attention) (*Sample, string) {
	if a.kernel == "triton" {
		return nil, "Triton attention: a path several times slower than the chip's own kernels"
	}
	n := a.tokens
	if a.window > 0 {
		n = min(n, a.window)
	}
	w := width(a.cache)
	x := law.Decode{
		Batch: a.batch, Rows: a.batch, Heads: a.heads, KVHeads: a.kv, HeadDim: a.dim, KV8: w == 1,
		KVBytes: 2 * a.batch * a.kv * n * a.dim * w, Entries: n,
	}
	s := &Sample{Class: "gqa_decode", Variant: cacheName(a.cache), Kernel: a.kernel, Size: a.batch, Rare: a.isRare()}
	s.Shape = fmt.Sprintf("h%.0f kv%.0f d%.0f w%.0f", a.heads, a.kv, a.dim, a.window)
	s.Key = fmt.Sprintf("%s b%.0f n%.0f", s.Shape, a.batch, a.tokens)
	s.Time = func(l *law.Set) law.Time { return l.GQADecode(&x) }
	return s, ""
}
