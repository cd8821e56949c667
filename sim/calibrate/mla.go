package calibrate

import (
	"fmt"
	"math"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// latent is MLA as tables write it.
type latent struct {
	batch, tokens, heads float64
	cache, kernel, gemm  string
}

func latentOf(t *table) latent {
	return latent{
		batch: t.count("batch_size"), tokens: t.count("isl"), heads: t.count("num_heads"), cache: t.text("kv_cache_dtype"),
		kernel: t.text("kernel_source"), gemm: t.text("gemm_type"),
	}
}

// readMLAPrefill is the kernel alone, or SGLang's whole block where the table has a
// format of projections.
func readMLAPrefill(r *Reader, t *table) (*Sample, string) {
	if t.has("gemm_type") {
		return nil, "MLA block of a prefill launched kernel by kernel: 0.5-0.6 ms of the host hide the kernels"
	}
	a := latentOf(t)
	return r.mlaPrefillSample(&a)
}

// absorbs tells kernels that run a prefill in the absorbed form, 576 and 512 wide a
// head, from those in MHA form, 192 and 128: SGLang's on Hopper.
func absorbs(kernel string) bool { return kernel == "flash_attention" }

// copied tells rows of an FP8 cache on a chip without FP8 units.
func (r *Reader) copied(cache string) bool {
	return width(cache) == 1 && r.chip.Peak[topologies.FP8] == 0
}

const noFloat8 = "FP8 cache on a chip without FP8 units: repeats the BF16 rows"

func (r *Reader) mlaPrefillSample(a *latent) (*Sample, string) {
	switch {
	case a.kernel == "triton":
		return nil, "Triton attention: a path several times slower than the chip's own kernels"
	case r.copied(a.cache):
		return nil, noFloat8
	}
	dim := 320.0
	if absorbs(a.kernel) {
		dim = 1088
	}
	tokens := a.batch * a.tokens
	x := law.Prefill{
		Tokens: tokens, Heads: a.heads, HeadDim: dim, KV8: width(a.cache) == 1, Longest: a.tokens,
		Pairs: a.batch * law.TilePairs(int64(a.tokens), 0, 0), Tiles: a.batch * math.Ceil(a.tokens/law.TileRows),
		IOBytes: 2 * tokens * a.heads * dim, KVBytes: tokens * 576 * width(a.cache),
	}
	if !absorbs(a.kernel) {
		x.IOBytes, x.KVBytes = 2*tokens*a.heads*(192+128), 2*tokens*a.heads*(192+128)
	}
	s := &Sample{Class: "mla_kernel_prefill", Variant: cacheName(a.cache), Kernel: a.kernel, Size: tokens}
	s.Shape = fmt.Sprintf("h%.0f b%.0f", a.heads, a.batch)
	s.Key = fmt.Sprintf("%s l%.0f", s.Shape, a.tokens)
	s.Time = func(l *law.Set) law.Time { return l.MLAKernelPrefill(&x) }
	return s, ""
}

func readMLADecode(r *Reader, t *table) (*Sample, string) {
	a := latentOf(t)
	if t.has("gemm_type") { // SGLang's whole block: the cache's length is isl
		return mlaBlockDecode(&a)
	}
	a.tokens = t.maybe("step") + 1
	return r.mlaDecodeSample(&a)
}

func (r *Reader) mlaDecodeSample(a *latent) (*Sample, string) {
	eight := width(a.cache) == 1
	switch {
	case a.kernel == "triton":
		return nil, "Triton attention: a path several times slower than the chip's own kernels"
	case r.copied(a.cache):
		return nil, noFloat8
	case eight && absorbs(a.kernel):
		return nil, "MLA with an FP8 cache in flash_attention: it dequantises the cache first, at 6-8 % of HBM's bandwidth"
	}
	b, h, n := a.batch, a.heads, a.tokens
	x := law.Decode{
		Batch: b, Rows: b, Heads: h, KV8: eight, KVBytes: 576 * width(a.cache) * b * n, CoreFlops: 2 * 1088 * b * h * n, Entries: n,
	}
	s := &Sample{Class: "mla_kernel_decode", Variant: cacheName(a.cache), Kernel: a.kernel, Size: b, Shape: fmt.Sprintf("h%.0f b%.0f", h, b)}
	s.Key = fmt.Sprintf("%s n%.0f", s.Shape, n)
	s.Time = func(l *law.Set) law.Time { return l.MLAKernelDecode(&x) }
	return s, ""
}

// latentShape is the widths of an MLA block.
type latentShape struct{ hidden, qRank, qk, nope, dv float64 }

var deepseekV3 = latentShape{7168, 1536, 192, 128, 128}

// linears are the projections and absorb BMMs of a rank with h heads.
func (m latentShape) linears(v law.Variant, tokens, h float64) law.Linears {
	params := m.hidden*m.qRank + m.qRank*h*m.qk + m.hidden*576 + 512*h*(m.nope+m.dv) + h*m.dv*m.hidden
	l := law.Linears{Variant: v}
	switch v {
	case law.FP8Block:
		l.Bytes, l.Flops8 = params, 2*params*tokens
	case law.NVFP4:
		l.Bytes, l.Flops4 = params*0.5625, 2*params*tokens
	default:
		l.Bytes, l.Flops16 = 2*params, 2*params*tokens
	}
	return l
}

// blockVariants are the formats that whole blocks' projections have.
var blockVariants = map[string]law.Variant{"bfloat16": law.BF16, "fp8_block": law.FP8Block, "nvfp4": law.NVFP4}

func readMLADecodeBlock(_ *Reader, t *table) (*Sample, string) {
	a := latentOf(t)
	a.tokens = t.maybe("step") + 1
	return mlaBlockDecode(&a)
}

func mlaBlockDecode(a *latent) (*Sample, string) {
	v, ok := blockVariants[a.gemm]
	switch {
	case !ok:
		return nil, fmt.Sprintf("no MLA block has projections in %q", a.gemm)
	case strings.Contains(strings.ToLower(a.kernel), "triton"):
		return nil, "Triton attention: a path several times slower than the chip's own kernels"
	}
	b, h, n := a.batch, a.heads, a.tokens
	x := law.Decode{
		Batch: b, Rows: b, Heads: h, KVBytes: 576 * width(a.cache) * b * n, CoreFlops: 2 * 1088 * b * h * n, Entries: n,
		Linear: deepseekV3.linears(v, b, h),
	}
	s := &Sample{Class: "mla_decode", Variant: a.gemm, Kernel: a.kernel, Size: b, Shape: fmt.Sprintf("h%.0f b%.0f", h, b)}
	s.Key = fmt.Sprintf("%s n%.0f %s", s.Shape, n, cacheName(a.cache))
	s.Time = func(l *law.Set) law.Time { return l.MLADecode(&x) }
	return s, ""
}

func readMLAPrefillBlock(_ *Reader, t *table) (*Sample, string) {
	a := latentOf(t)
	if t.maybe("step") > 0 {
		return nil, "MLA block over a prompt behind a prefix: no row of the fits"
	}
	v, ok := blockVariants[a.gemm]
	switch {
	case !ok:
		return nil, fmt.Sprintf("no MLA block has projections in %q", a.gemm)
	case width(a.cache) != 1 && a.gemm != "bfloat16":
		return nil, "MLA block over a prompt with a BF16 cache: prompts are fitted with the FP8 cache that engines run"
	}
	tokens := a.batch * a.tokens
	x := law.Prefill{
		Tokens: tokens, CoreFlops: 2 * 320 * a.heads * tokens * (a.tokens + 1) / 2,
		ActBytes: law.MLAActBytes(tokens, deepseekV3.hidden, a.heads), Linear: deepseekV3.linears(v, tokens, a.heads),
	}
	s := &Sample{Class: "mla_prefill", Variant: a.gemm, Kernel: a.kernel, Size: tokens, Shape: fmt.Sprintf("h%.0f b%.0f", a.heads, a.batch)}
	s.Key = fmt.Sprintf("%s l%.0f %s", s.Shape, a.tokens, cacheName(a.cache))
	s.Time = func(l *law.Set) law.Time { return l.MLAPrefill(&x) }
	return s, ""
}

func leaveBMM(*Reader, *table) (*Sample, string) {
	return nil, "absorb BMMs of MLA alone: they are inside mla_decode"
}
