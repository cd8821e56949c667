package law

import (
	"math"
	"strings"
)

// residuals are the classes and chips whose constants are checked against timings.
var residuals = []residual{
	gemmRows("h100_sxm", "bfloat16", 29, 6.1), gemmRows("b200_sxm", "bfloat16", 31, 7.5),
	gemmRows("gb300", "bfloat16", 31, 6.1), gemmRows("a100_sxm", "bfloat16", 11, 6.5),
	gemmRows("h100_sxm", "fp8", 29, 10.6), gemmRows("b200_sxm", "fp8", 31, 9.2), gemmRows("gb300", "fp8", 31, 6.9),
	gemmRows("h100_sxm", "fp8_block", 29, 9.7), gemmRows("b200_sxm", "fp8_block", 31, 9.8), gemmRows("gb300", "fp8_block", 31, 7.5),
	gemmRows("b200_sxm", "nvfp4", 31, 8.8), gemmRows("gb300", "nvfp4", 31, 7.1),
	moeRows("h100_sxm", "bfloat16", "triton", 7, 11.3), moeRows("h100_sxm", "fp8_block", "triton", 7, 4.4),
	moeRows("h100_sxm", "int4_wo", "marlin", 7, 9.6), moeRows("h200_sxm", "int4_wo", "marlin", 7, 13.6),
	moeRows("b200_sxm", "bfloat16", "trtllm", 7, 7.4), moeRows("b200_sxm", "fp8_block", "trtllm", 7, 10.3),
	moeRows("b200_sxm", "nvfp4", "trtllm", 7, 9.4), moeRows("b200_sxm", "w4a8_mxfp4_mxfp8", "trtllm", 7, 11.9),
	dispatchedRows("h100_sxm", 1.5), dispatchedRows("b200_sxm", 3.5),
	gqaContextRows("h100_sxm", "bfloat16", 9.5), gqaContextRows("b200_sxm", "bfloat16", 7.6), gqaContextRows("b200_sxm", "fp8", 6.3),
	gqaDecodeRows("h100_sxm", "bfloat16", 9.4), gqaDecodeRows("b200_sxm", "bfloat16", 11.5), gqaDecodeRows("b200_sxm", "fp8", 8.3),
	mlaKernelRows("h100_sxm", "bfloat16", 3.8), mlaKernelRows("b200_sxm", "fp8", 5.8),
	mlaDecodeRows("h100_sxm", "fp8_block", 3.9), mlaDecodeRows("b200_sxm", "fp8_block", 5.3), mlaDecodeRows("b200_sxm", "nvfp4", 4.0),
	mlaContextRows("h100_sxm", "bfloat16", 2.4), mlaContextRows("b200_sxm", "bfloat16", 4.0), mlaContextRows("h100_sxm", "fp8_block", 8.2),
	dsaDecodeRows("h100_sxm", "bfloat16", 6.1), dsaDecodeRows("h100_sxm", "fp8", 5.9), dsaDecodeRows("b200_sxm", "fp8", 7.1),
	dsaContextRows("h100_sxm", "flashmla_sparse", 1081, 1480, 4.5), dsaContextRows("h100_sxm", "flashmla_kv", 1171, 1572, 5.8),
	dsaContextRows("b200_sxm", "trtllm", 1030, 1395, 3.0),
	v4DecodeRows("h100_sxm", "csa", 4.5), v4DecodeRows("b200_sxm", "csa", 7.4), v4DecodeRows("h100_sxm", "hca", 4.8), v4DecodeRows("b200_sxm", "hca", 7.7),
	v4ContextRows("h100_sxm", "csa", 6.7), v4ContextRows("b200_sxm", "csa", 6.8), v4ContextRows("h100_sxm", "hca", 4.9), v4ContextRows("b200_sxm", "hca", 6.7),
	mhcRows("h100_sxm", 7), mhcRows("b200_sxm", 4),
	deltaRows("h100_sxm", "fused", 8), deltaRows("b200_sxm", "fused", 5.4), deltaRows("h100_sxm", "chunk", 15), deltaRows("b200_sxm", "chunk", 10),
}

func gemmRows(system, variant string, stride int, median float64) residual {
	return residual{
		name: "gemm " + variant + " " + system, system: system, table: "gemm_perf", stride: stride, median: median,
		keep: func(r row) bool { return r.s("gemm_dtype") == variant && r.f("n") >= 128 && r.f("k") >= 128 },
		predict: func(s *Set, r row) float64 {
			return s.GEMM(Variant(variant), r.f("m"), r.f("n"), r.f("k")).Total() * 1e6
		},
	}
}

// moeRows leaves out shapes whose expert-parallel rows the tables have wrong
// (group-limited routing, Mixtral) and reads a rank's share as balanced.
func moeRows(system, variant, kernel string, stride int, median float64) residual {
	v := Variant(variant)
	switch {
	case strings.HasPrefix(variant, "w4a8"):
		v = W4A8
	case variant == "int4_wo":
		v = W4A16
	}
	return residual{
		name: "moe " + variant + " " + system, system: system, table: "moe_perf", stride: stride, median: median,
		keep: func(r row) bool {
			wrong := r.f("moe_ep_size") > 1 && (r.f("num_experts") == 8 || r.f("hidden_size") == 7168 && r.f("num_experts") == 256)
			return r.s("moe_dtype") == variant && r.s("distribution") == "balanced" && strings.Contains(r.s("kernel_source"), kernel) && !wrong
		},
		predict: func(s *Set, r row) float64 {
			ep := r.f("moe_ep_size")
			pairs := r.f("num_tokens") * r.f("topk") / ep
			return s.MoE(MoE{
				Variant: v, Tokens: r.f("num_tokens"), TopK: r.f("topk"), Hidden: r.f("hidden_size"),
				Inter: r.f("inter_size") / r.f("moe_tp_size"), Pairs: pairs, Touched: min(r.f("num_experts")/ep, pairs),
			}).Total() * 1e6
		},
	}
}

func dispatchedRows(system string, median float64) residual {
	return residual{
		name: "moe dispatched " + system, system: system, table: "wideep_generation_moe_perf", stride: 1, median: median,
		keep: func(r row) bool { return r.s("distribution") == "uniform" },
		predict: func(s *Set, r row) float64 {
			pairs := r.f("num_tokens") * r.f("topk") / r.f("moe_ep_size")
			return s.MoE(MoE{
				Variant: FP8Block, Tokens: r.f("num_tokens"), TopK: r.f("topk"), Hidden: r.f("hidden_size"), Inter: r.f("inter_size"),
				Pairs: pairs, Touched: min(r.f("num_experts")/r.f("moe_ep_size"), pairs), Dispatched: true,
			}).Total() * 1e6
		},
	}
}

// gqaContextRows leaves out Triton attention, a path several times slower that the
// constants were not fitted to.
func gqaContextRows(system, dtype string, median float64) residual {
	return residual{
		name: "gqa prefill " + dtype + " " + system, system: system, table: "context_attention_perf", stride: 11, median: median,
		keep: func(r row) bool {
			return r.s("attn_dtype") == dtype && r.s("kv_cache_dtype") == dtype && r.s("kernel_source") != "triton"
		},
		predict: func(s *Set, r row) float64 {
			b, l, h, kv, dim, window := r.f("batch_size"), r.f("isl"), r.f("num_heads"), r.f("num_key_value_heads"), r.f("head_dim"), r.f("window_size")
			width := 2.0
			if dtype == "fp8" {
				width = 1
			}
			longest := l
			if window > 0 {
				longest = min(l, window+TileRows)
			}
			return s.GQAPrefill(&Prefill{
				Tokens: b * l, Chunks: b, Heads: h, KVHeads: kv, HeadDim: dim, KV8: dtype == "fp8", Longest: longest,
				Pairs: b * TilePairs(int64(l), 0, int64(window)), Tiles: b * math.Ceil(l/TileRows),
				IOBytes: b * l * dim * h * (width + 2), KVBytes: 2 * b * l * kv * dim * width,
			}).Total() * 1e6
		},
	}
}

func gqaDecodeRows(system, kv string, median float64) residual {
	return residual{
		name: "gqa decode kv " + kv + " " + system, system: system, table: "generation_attention_perf", stride: 11, median: median,
		keep: func(r row) bool { return r.s("kv_cache_dtype") == kv && r.s("kernel_source") != "triton" },
		predict: func(s *Set, r row) float64 {
			b, heads, dim, n := r.f("batch_size"), r.f("num_key_value_heads"), r.f("head_dim"), r.f("step")+1
			if w := r.f("window_size"); w > 0 {
				n = min(n, w)
			}
			width := 2.0
			if kv == "fp8" {
				width = 1
			}
			return s.GQADecode(&Decode{
				Batch: b, Rows: b, Heads: r.f("num_heads"), KVHeads: heads, HeadDim: dim, KV8: kv == "fp8",
				KVBytes: 2 * b * heads * n * dim * width, Entries: n,
			}).Total() * 1e6
		},
	}
}

func mlaKernelRows(system, kv string, median float64) residual {
	return residual{
		name: "mla kernel decode kv " + kv + " " + system, system: system, table: "generation_mla_perf", stride: 3, median: median,
		keep: func(r row) bool { return r.s("kv_cache_dtype") == kv },
		predict: func(s *Set, r row) float64 {
			b, h, n := r.f("batch_size"), r.f("num_heads"), r.f("step")+1
			width := 2.0
			if kv == "fp8" {
				width = 1
			}
			return s.MLAKernelDecode(&Decode{
				Batch: b, Rows: b, Heads: h, KV8: kv == "fp8", KVBytes: 576 * width * b * n, CoreFlops: 2 * 1088 * b * h * n, Entries: n,
			}).Total() * 1e6
		},
	}
}

// mlaLinears are the projections and absorb BMMs of an MLA block of a rank with h
// heads.
func mlaLinears(v Variant, tokens, hidden, qRank, qk, nope, dv, h float64) Linears {
	params := hidden*qRank + qRank*h*qk + hidden*576 + 512*h*(nope+dv) + h*dv*hidden
	l := Linears{Variant: v}
	switch v {
	case FP8Block:
		l.Bytes, l.Flops8 = params, 2*params*tokens
	case NVFP4:
		l.Bytes, l.Flops4 = params*0.5625, 2*params*tokens
	default:
		l.Bytes, l.Flops16 = 2*params, 2*params*tokens
	}
	return l
}

func mlaDecodeRows(system, gemm string, median float64) residual {
	return residual{
		name: "mla block decode " + gemm + " " + system, system: system, table: "mla_generation_module_perf", stride: 3, median: median,
		keep: func(r row) bool { return r.s("gemm_type") == gemm },
		predict: func(s *Set, r row) float64 {
			b, h, n := r.f("batch_size"), r.f("num_heads"), r.f("step")+1
			width := 2.0
			if strings.HasPrefix(r.s("kv_cache_dtype"), "fp8") {
				width = 1
			}
			return s.MLADecode(&Decode{
				Batch: b, Rows: b, Heads: h, KVBytes: 576 * width * b * n, CoreFlops: 2 * 1088 * b * h * n, Entries: n,
				Linear: mlaLinears(Variant(gemm), b, 7168, 1536, 192, 128, 128, h),
			}).Total() * 1e6
		},
	}
}

func mlaContextRows(system, gemm string, median float64) residual {
	return residual{
		name: "mla block prefill " + gemm + " " + system, system: system, table: "mla_context_module_perf", stride: 3, median: median,
		keep: func(r row) bool { return r.s("gemm_type") == gemm && r.s("kv_cache_dtype") == "fp8" },
		predict: func(s *Set, r row) float64 {
			b, l, h := r.f("batch_size"), r.f("isl"), r.f("num_heads")
			return s.MLAPrefill(&Prefill{
				Tokens: b * l, CoreFlops: 2 * 320 * h * b * l * (l + 1) / 2, ActBytes: MLAActBytes(b*l, 7168, h),
				Linear: mlaLinears(Variant(gemm), b*l, 7168, 1536, 192, 128, 128, h),
			}).Total() * 1e6
		},
	}
}
