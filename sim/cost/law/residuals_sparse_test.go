package law

import (
	"math"
	"strings"
)

// dsaDecodeRows leaves out batches that ran without a CUDA graph.
func dsaDecodeRows(system, kv string, median float64) residual {
	return residual{
		name: "dsa decode kv " + kv + " " + system, system: system, table: "dsa_generation_module_perf", stride: 1, median: median,
		keep: func(r row) bool { return r.s("kv_cache_dtype") == kv && r.f("batch_size") < 512 },
		predict: func(s *Set, r row) float64 {
			b, h, n := r.f("batch_size"), r.f("num_heads"), r.f("step")+1
			width := 1152.0
			if kv == "fp8" {
				width = 656
			}
			g := dsaOf(r)
			x := Decode{
				Batch: b, Rows: b, Heads: h, KV8: kv == "fp8", Entries: min(n, 2048), KVBytes: width * b * min(n, 2048),
				CoreFlops: 2 * 1088 * b * h * min(n, 2048), Linear: g.linears(r, b, h),
			}
			if !strings.Contains(r.s("op_name"), "skip") {
				x.Keys, x.IndexBytes, x.TopKActive = n, 132*b*n, n > 2048
				g.indexer(&x.Linear, b)
			}
			return s.DSADecode(&x).Total() * 1e6
		},
	}
}

// dsa is the shape of a DSA block.
type dsa struct{ hidden, qRank, qk, nope, dv, index float64 }

func dsaOf(r row) dsa {
	if strings.Contains(r.s("model"), "GLM") {
		return dsa{6144, 2048, 256, 192, 256, 32}
	}
	return dsa{7168, 1536, 192, 128, 128, 64}
}

func (g dsa) linears(r row, tokens, heads float64) Linears {
	return mlaLinears(Variant(r.s("gemm_type")), tokens, g.hidden, g.qRank, g.qk, g.nope, g.dv, heads)
}

// indexer adds the indexer's projections.
func (g dsa) indexer(l *Linears, tokens float64) {
	params := g.qRank*g.index*128 + g.hidden*128 + g.hidden*g.index
	if l.Variant == FP8Block {
		l.Bytes, l.Flops8 = l.Bytes+params, l.Flops8+2*params*tokens
		return
	}
	l.Bytes, l.Flops16 = l.Bytes+2*params, l.Flops16+2*params*tokens
}

// dsaContextRows are the indexer path's; most of them stand on the host's floor,
// which is given for BF16 and FP8 blocks in µs.
func dsaContextRows(system, kernel string, host16, host8, median float64) residual {
	return residual{
		name: "dsa prefill " + kernel + " " + system, system: system, table: "dsa_context_module_perf", stride: 7, median: median,
		keep: func(r row) bool {
			return strings.Contains(r.s("kernel_source"), "dsa_indexer_"+kernel) && r.f("step") < 131072
		},
		predict: func(s *Set, r row) float64 {
			b, l, from, h, g := r.f("batch_size"), r.f("isl"), r.f("step"), r.f("num_heads"), dsaOf(r)
			selected, scored := b*(ramp(from+l, 2048)-ramp(from, 2048)), b*(ramp(from+l, 1e12)-ramp(from, 1e12))
			x := Prefill{
				Tokens: b * l, CoreFlops: 2 * 1088 * h * selected, GatherBytes: 1152 * selected, IndexFlops: 2 * g.index * 128 * scored,
				ScoreBytes: 4 * scored, ActBytes: SparseActBytes(b*l, g.hidden, h, 544), Linear: g.linears(r, b*l, h), HostFloor: host16 * 1e-6,
			}
			if r.s("kv_cache_dtype") == "fp8" {
				x.KV8, x.GatherBytes = true, 656*selected
			}
			if g.indexer(&x.Linear, b*l); x.Linear.Variant == FP8Block {
				x.HostFloor = host8 * 1e-6
			}
			return s.DSAPrefill(&x).Total() * 1e6
		},
	}
}

// v4 is one rank's share of a DeepSeek-V4 attention block.
type v4 struct{ hidden, qRank, heads, groups, topk float64 }

func v4Of(r row) v4 {
	h := r.f("num_heads")
	if strings.Contains(r.s("model"), "Flash") {
		return v4{4096, 1024, h, 8 * h / 64, 512}
	}
	return v4{7168, 1536, h, 16 * h / 128, 1024}
}

// linears: o_a and the compressors stay in BF16 whatever the rest is.
func (v v4) linears(kind, gemm string, tokens float64) Linears {
	rest := v.hidden*v.qRank + v.qRank*v.heads*512 + v.hidden*512 + v.groups*1024*v.hidden
	wide := v.heads * 512 * 1024
	if kind == "csa" {
		wide += 2*v.hidden*1024 + 2*v.hidden*256 + 64*v.hidden
		rest += v.qRank * 64 * 128
	} else {
		wide += 2 * v.hidden * 512
	}
	if gemm == "fp8_block" {
		return Linears{Variant: FP8Block, Bytes: rest + 2*wide, Flops8: 2 * rest * tokens, Flops16: 2 * wide * tokens}
	}
	return Linears{Variant: BF16, Bytes: 2 * (rest + wide), Flops16: 2 * (rest + wide) * tokens}
}

func v4DecodeRows(system, kind string, median float64) residual {
	return residual{
		name: kind + " decode " + system, system: system, table: "dsv4_" + kind + "_generation_module_perf", stride: 1, median: median,
		keep: func(r row) bool { return true },
		predict: func(s *Set, r row) float64 {
			b, n, v := r.f("batch_size"), r.f("step")+1, v4Of(r)
			compressed := math.Floor(n / r.f("compress_ratio"))
			x := Decode{Batch: b, Rows: b, Heads: v.heads, Keys: compressed, Linear: v.linears(kind, r.s("gemm_type"), b)}
			x.Entries = min(n, 128) + compressed
			if kind == "csa" {
				x.Entries = min(n, 128) + min(compressed, v.topk)
				x.IndexBytes, x.TopKActive = 132*b*compressed, compressed > v.topk && n < 131072
			}
			x.KVBytes, x.CoreFlops = 584*b*x.Entries, 4*v.heads*512*b*x.Entries
			if kind == "csa" {
				return s.CSADecode(&x).Total() * 1e6
			}
			return s.HCADecode(&x).Total() * 1e6
		},
	}
}

// stairs is Σ min(⌊i/m⌋, k) for i = 1 … n.
func stairs(n, m, k float64) float64 {
	if k > 0 && n >= m*k {
		return stairs(m*k-1, m, 0) + k*(n-m*k+1)
	}
	q := math.Floor(n / m)
	return m*q*(q-1)/2 + q*(n-q*m+1)
}

// ramp is Σ min(i, k) for i = 1 … n.
func ramp(n, k float64) float64 { return stairs(n, 1, k) }

func v4ContextRows(system, kind string, median float64) residual {
	return residual{
		name: kind + " prefill " + system, system: system, table: "dsv4_" + kind + "_context_module_perf", stride: 13, median: median,
		keep: func(r row) bool { return true },
		predict: func(s *Set, r row) float64 {
			b, l, from, m, v := r.f("batch_size"), r.f("isl"), r.f("step"), r.f("compress_ratio"), v4Of(r)
			k := 0.0
			if kind == "csa" {
				k = v.topk
			}
			pairs := b * (ramp(from+l, 128) - ramp(from, 128) + stairs(from+l, m, k) - stairs(from, m, k))
			x := Prefill{
				Tokens: b * l, CoreFlops: 4 * v.heads * 512 * pairs, GatherBytes: 584 * pairs,
				ActBytes: SparseActBytes(b*l, v.hidden, v.heads, 512), Linear: v.linears(kind, r.s("gemm_type"), b*l),
			}
			if kind == "hca" {
				return s.HCAPrefill(&x).Total() * 1e6
			}
			scored := b * (stairs(from+l, m, 0) - stairs(from, m, 0))
			x.IndexFlops, x.ScoreBytes = 2*64*128*scored, 4*scored
			return s.CSAPrefill(&x).Total() * 1e6
		},
	}
}

func mhcRows(system string, median float64) residual {
	return residual{
		name: "mhc " + system, system: system, table: "mhc_module_perf", stride: 1, median: median,
		keep: func(r row) bool { return true },
		predict: func(s *Set, r row) float64 {
			f := s.mhc
			f.postFloor, f.post, f.postByte = 0, 0, 0
			if r.s("op_name") == "post" {
				f = s.mhc
				f.preFloor, f.pre, f.preByte = 0, 0, 0
			}
			half := Set{mhc: f}
			return half.MHC(r.f("num_tokens"), r.f("hidden_size")).Total() * 1e6
		},
	}
}

func deltaRows(system, kernel string, median float64) residual {
	return residual{
		name: "gated delta " + kernel + " " + system, system: system, table: "gdn_perf", stride: 1, median: median,
		keep: func(r row) bool { return strings.HasPrefix(r.s("kernel_source"), kernel) },
		predict: func(s *Set, r row) float64 {
			b, l, heads, dk, dv := r.f("batch_size"), r.f("seq_len"), r.f("num_v_heads"), r.f("head_k_dim"), r.f("head_v_dim")
			tokens := b * l
			x := Linear{
				Batch: b, Tokens: tokens, Heads: heads, StateBytes: 8 * dk * dv * heads * b,
				ActBytes: 2 * tokens * (2*r.f("num_k_heads")*dk + 2*heads*dv), Flops: tokens * heads * (4*dk*dv + 128*(dk+dv)),
			}
			if kernel == "fused" {
				return (s.LinearDecode(&x).Total() - s.delta.conv) * 1e6
			}
			return (s.LinearPrefill(&x).Total() - s.delta.prefillConv) * 1e6
		},
	}
}
