package law

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/topologies"
)

// formulas is a second implementation of every law, as its documentation writes it:
// constants by their names in a chip's YAML, units turned at the place of use, no
// table, nothing compiled ahead. H100's peaks, and constants that no fit has rounded.
type formulas struct {
	chip *topologies.Chip
}

const (
	cores       = 132.0
	hbm         = 3.35e12
	peak16      = 989e12
	peak8       = 1979e12
	microsecond = 1e-6
)

// drawn is H100 with every constant of every class drawn anew.
func drawn(r *rapid.T, t *testing.T) *topologies.Chip {
	c := load(t, "h100").Flat()
	// Blackwell's grouped GEMM kernels have terms that Hopper's lack.
	c.Operators["moe"]["w4a8_mxfp4_mxfp8/trtllm"] = topologies.Constants{Values: map[string]float64{"t0_us": 1, "t1_us": 1, "ec": 1, "em": 1, "p": 1, "e_topk": 1, "e_local": 1, "m0": 1}}
	random := rapid.Float64Range(0, 1)
	for _, class := range sortedKeys(c.Operators) {
		for _, variant := range sortedKeys(c.Operators[class]) {
			k := c.Operators[class][variant]
			values := map[string]float64{}
			for _, name := range sortedKeys(k.Values) {
				u := random.Draw(r, class+"."+variant+"."+name)
				switch {
				case name == "p":
					values[name] = []float64{0.6, 1, 1.5, 2, 2.9, 4}[int(u*5.99)]
				case name == "k_power":
					values[name] = []float64{0.5, 1}[int(u*1.99)]
				case name == "m0":
					values[name] = 20 * u
				case name == "exp_per_ns":
					values[name] = 10 + 50*u
				case len(name) > 3 && (name[len(name)-3:] == "_us" || name[len(name)-3:] == "_ns"):
					values[name] = 100 * u
				default:
					values[name] = 0.05 + 0.95*u // an efficiency
				}
			}
			c.Operators[class][variant] = topologies.Constants{Values: values, Source: k.Source}
		}
	}
	return c
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (f formulas) at(class, variant string) map[string]float64 {
	return f.chip.Operators[class][variant].Values
}

// norm is (a^p + b^p)^(1/p), in the shares a^p : b^p.
func norm(p, a, b float64) (ofA, ofB float64) {
	x, y := math.Pow(a, p), math.Pow(b, p)
	if x+y == 0 {
		return 0, 0
	}
	sum := math.Pow(x+y, 1/p)
	return sum * x / (x + y), sum * y / (x + y)
}

func (f formulas) gemm(class, variant string, peak, w, a, quantised, m, n, k float64) Time {
	c := f.at(class, variant)
	weights, act := w*n*k, a*m*k+2*m*n
	products, bytes := norm(c["p"], 2*m*n*k/(peak*c["ec"]), (weights+act)/(hbm*c["em"]))
	loop := k / 1024
	if c["k_power"] < 1 {
		loop = math.Sqrt(loop)
	}
	each := c["k_us"]
	if split, ok := c["k_split_us"]; ok { // few rows, up to 16; from 32 on the loop is whole
		each = split + (each-split)*min(1, max(0, (m-16)/16))
	}
	core, serial := norm(2, products+bytes, each*microsecond*loop)
	t := Time{Launch: c["t0_us"] * microsecond, Compute: serial + core*products/(products+bytes)}
	t.Weights = core * bytes / (products + bytes) * weights / (weights + act)
	t.Act = core * bytes / (products + bytes) * act / (weights + act)
	if quantised > 0 {
		t.Act += quantised * m * k / (hbm * c["eq"])
	}
	return t
}

func TestGEMMIsItsFormula(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := formulas{drawn(r, t)}
		s := compile(t, f.chip)
		dim := rapid.SampledFrom([]float64{128, 1536, 4096, 7168})
		m, n, k := float64(rapid.IntRange(1, 5000).Draw(r, "m")), dim.Draw(r, "n"), dim.Draw(r, "k")
		if rapid.Bool().Draw(r, "few rows") {
			m = float64(rapid.IntRange(1, 40).Draw(r, "rows"))
		}
		same(r, "bf16", s.GEMM(BF16, m, n, k), f.gemm("gemm", "bfloat16", peak16, 2, 2, 0, m, n, k))
		same(r, "fp8", s.GEMM(FP8, m, n, k), f.gemm("gemm", "fp8", peak8, 1, 1, 3, m, n, k))
		same(r, "fp8_block", s.GEMM(FP8Block, m, n, k), f.gemm("gemm", "fp8_block", peak8, 1, 1, 3, m, n, k))
		// Scales: one of 8 bits for 32 elements, read with the weights and, of FP8, written
		// and read by the pass that quantises.
		same(r, "mxfp8", s.GEMM(MXFP8, m, n, k), f.gemm("gemm", "fp8_block", peak8, 1+1./32, 1+1./32, 3+1./32, m, n, k))
		same(r, "w4a8", s.GEMM(W4A8, m, n, k), f.gemm("gemm", "fp8_block", peak8, 0.5+1./32, 1, 3, m, n, k))
		same(r, "w4a16", s.GEMM(W4A16, m, n, k), f.gemm("gemm", "bfloat16", peak16, 0.5+1./32, 2, 0, m, n, k))
		same(r, "w8a16", s.GEMM(W8A16, m, n, k), f.gemm("gemm", "bfloat16", peak16, 1, 2, 0, m, n, k))
		same(r, "float32", s.GEMM(FP32, m, n, k), f.gemm("gemm_fp32", "float32", peak16, 4, 10, 0, m, n, k))
	})
}

func same(r *rapid.T, what string, got, want Time) {
	r.Helper()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"launch", got.Launch, want.Launch}, {"compute", got.Compute, want.Compute}, {"weights", got.Weights, want.Weights},
		{"kv", got.KV, want.KV}, {"activations", got.Act, want.Act}, {"wire", got.Wire, want.Wire},
	} {
		if math.Abs(c.got-c.want) > 1e-9*(math.Abs(c.want)+want.Total()) {
			r.Errorf("%s: %s takes %g s, by its formula %g (of %g in all)", what, c.name, c.got, c.want, want.Total())
		}
	}
}

func TestGroupedGEMMIsItsFormula(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := formulas{drawn(r, t)}
		s := compile(t, f.chip)
		x := MoE{
			Tokens: float64(rapid.IntRange(1, 3000).Draw(r, "tokens")), TopK: float64(rapid.IntRange(1, 8).Draw(r, "k")),
			Hidden: 4096, Inter: 1536, Mats: rapid.SampledFrom([]float64{2, 3}).Draw(r, "matrices"), Touched: float64(rapid.IntRange(1, 32).Draw(r, "touched")),
			Dispatched: rapid.Bool().Draw(r, "dispatched"), Skewed: rapid.Bool().Draw(r, "skewed"),
		}
		x.Pairs = x.Tokens * x.TopK / rapid.SampledFrom([]float64{1, 8}).Draw(r, "ranks")
		for _, v := range []struct {
			v                     Variant
			together, dispatched  string
			peak, w               float64
			dispatchedTakesAllOfT bool
		}{
			{BF16, "moe/bfloat16/triton", "moe/bfloat16/triton", peak16, 2, true},
			{FP8Block, "moe/fp8_block/triton", "moe_dispatched/fp8_block", peak8, 1, false},
			{W4A16, "moe/w4a16/marlin", "moe/w4a16/marlin", peak16, 0.5 + 1./32, true},
			{W4A8, "moe/w4a8_mxfp4_mxfp8/trtllm", "moe/w4a8_mxfp4_mxfp8/trtllm", peak8, 0.5 + 1./32, true},
		} {
			x.Variant = v.v
			kernel, all := v.together, x.Tokens*x.TopK
			if x.Dispatched {
				kernel, all = v.dispatched, x.Pairs
			}
			class, variant, _ := cutFirst(kernel)
			c := f.at(class, variant)
			flops := 2 * x.Pairs * x.Mats * x.Hidden * x.Inter * (1 + c["m0"]*x.Touched/x.Pairs)
			if x.Skewed {
				flops *= 1.1
			}
			compute, weights := norm(orOne(c, "p"), flops/(v.peak*c["ec"]), x.Touched*x.Mats*x.Hidden*x.Inter*v.w/(hbm*c["em"]))
			want := Time{
				// T tokens of k pairs each; of pairs that were dispatched, as many as make k.
				Launch:  microsecond * (c["t0_us"] + c["t1_us"]*(1-math.Exp(-all/x.TopK/16))),
				Compute: compute, Weights: weights,
			}
			wide := 2*x.Hidden + x.Mats*x.Inter
			if e, ok := c["e_all"]; ok {
				want.Act = 2 * all * wide / (hbm * e)
			}
			if e, ok := c["e_local"]; ok {
				want.Act = 2*all*x.Hidden/(hbm*c["e_topk"]) + 2*x.Pairs*wide/(hbm*e)
			}
			same(r, string(v.v), s.MoE(x), want)
		}
	})
}

func cutFirst(path string) (class, rest string, ok bool) {
	for i := range path {
		if path[i] == '/' {
			return path[:i], path[i+1:], true
		}
	}
	return path, "", false
}

func orOne(c map[string]float64, name string) float64 {
	if v, ok := c[name]; ok {
		return v
	}
	return 1
}

func drawDecode(r *rapid.T) Decode {
	n := float64(rapid.IntRange(1, 500).Draw(r, "sequences"))
	entries := float64(rapid.IntRange(1, 50_000).Draw(r, "entries"))
	rows := n * float64(rapid.IntRange(1, 4).Draw(r, "rows"))
	heads := rapid.SampledFrom([]float64{4, 16, 128}).Draw(r, "heads")
	return Decode{
		Batch: n, Rows: rows, Heads: heads, KVHeads: rapid.SampledFrom([]float64{1, 2, 8}).Draw(r, "KV heads"), HeadDim: 128,
		KV8: rapid.Bool().Draw(r, "KV in 8 bits"), KVBytes: n * entries * 512, CoreFlops: rows * entries * heads * 1024, Entries: entries,
		Keys: entries / 4, IndexBytes: rapid.SampledFrom([]float64{0, n * entries * 132}).Draw(r, "index bytes"), TopKActive: rapid.Bool().Draw(r, "selects"),
		Linear: drawLinears(r),
	}
}

func drawLinears(r *rapid.T) Linears {
	flops := rapid.Float64Range(0, 1e13)
	return Linears{
		Variant: rapid.SampledFrom([]Variant{BF16, FP8Block}).Draw(r, "projections"), Bytes: rapid.Float64Range(0, 3e8).Draw(r, "weights"),
		Flops16: flops.Draw(r, "BF16"), Flops8: flops.Draw(r, "FP8"),
	}
}

// kvName is the kernel's variant by its cache.
func kvName(eight bool) string {
	if eight {
		return "kv_fp8"
	}
	return "kv_bfloat16"
}

func TestAttentionKernelsAreTheirFormulas(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := formulas{drawn(r, t)}
		s := compile(t, f.chip)
		x := drawDecode(r)
		c := f.at("gqa_decode", kvName(x.KV8))
		read := x.KVBytes / (hbm * c["em"])
		core := max(read, x.CoreFlops/peak16) // many rows a sequence: the peak binds, and KV gives way
		blocks, busy := norm(2, c["cta_us"]*microsecond*x.Batch*x.KVHeads/cores, core)
		same(r, "GQA decode", s.GQADecode(&x), Time{
			Launch: c["t0_us"] * microsecond,
			Compute: blocks + busy*(1-read/core) +
				microsecond*(c["log_us"]*math.Log2(1+x.Entries/256)+c["row_us"]*x.Batch),
			KV: busy * read / core, Act: 2 * x.Rows * x.Heads * x.HeadDim / (hbm * c["eq"]),
		})

		c = f.at("mla_kernel_decode", kvName(x.KV8))
		peak := peak16
		if x.KV8 {
			peak = peak8
		}
		kv, flops := norm(2, x.KVBytes/(hbm*c["em"]), x.CoreFlops/(peak*c["ec"]))
		same(r, "MLA kernel, decode", s.MLAKernelDecode(&x), Time{
			Launch:  c["t0_us"] * microsecond,
			Compute: flops + microsecond*(c["tile_us"]*x.Rows*x.Heads/128/cores+c["log_us"]*math.Log2(1+x.Entries/256)+c["row_us"]*x.Batch), KV: kv,
		})

		p := drawPrefill(r)
		variant := "bfloat16"
		if peak = peak16; p.KV8 {
			variant, peak = "fp8", peak8
		}
		c = f.at("gqa_prefill", variant)
		dim := p.HeadDim
		if dim == 192 {
			dim = 256
		}
		a := p.Heads * p.Pairs
		same(r, "GQA prefill", s.GQAPrefill(&p), Time{
			Launch: c["t0_us"] * microsecond,
			Compute: a*4*dim/(peak*c["ec"]) + a/(cores*c["exp_per_ns"]*1e9) + 4*dim*128*p.Longest/(peak/cores*c["e_long"]) +
				c["cta_us"]*microsecond*p.Tiles*p.Heads/cores,
			KV: p.KVBytes / (hbm * c["em"]), Act: p.IOBytes / (hbm * c["em"]),
		})

		c = f.at("mla_kernel_prefill", kvName(p.KV8))
		all, long := norm(4, 2*p.HeadDim*p.Heads*p.Pairs/(peak16*c["ec"]), 2*p.HeadDim*128*p.Longest/(peak16/cores*c["e_long"]))
		same(r, "MLA kernel, prefill", s.MLAKernelPrefill(&p), Time{
			Launch: c["t0_us"] * microsecond, Compute: all + long + c["cta_us"]*microsecond*p.Tiles*p.Heads/cores,
			KV: p.KVBytes / (hbm * c["e_io"]), Act: p.IOBytes / (hbm * c["e_io"]),
		})
	})
}

func drawPrefill(r *rapid.T) Prefill {
	tokens := float64(rapid.IntRange(1, 16_384).Draw(r, "tokens"))
	pairs := tokens * float64(rapid.IntRange(1, 50_000).Draw(r, "context"))
	return Prefill{
		Tokens: tokens, Chunks: float64(rapid.IntRange(1, 4).Draw(r, "chunks")), Heads: rapid.SampledFrom([]float64{4, 16, 128}).Draw(r, "heads"),
		HeadDim: rapid.SampledFrom([]float64{64, 128, 192, 256}).Draw(r, "head width"), KV8: rapid.Bool().Draw(r, "KV in 8 bits"),
		Pairs: pairs, Tiles: math.Ceil(tokens / 128), Longest: float64(rapid.IntRange(1, 50_000).Draw(r, "longest")),
		CoreFlops: 2048 * pairs, IOBytes: 4096 * tokens, KVBytes: 512 * tokens, GatherBytes: 584 * pairs,
		IndexFlops: 16_384 * pairs, ScoreBytes: 4 * pairs, ActBytes: 65_536 * tokens,
		HostFloor: rapid.SampledFrom([]float64{0, 1e-3}).Draw(r, "host floor"), Linear: drawLinears(r),
	}
}

func (f formulas) linears(c map[string]float64, l *Linears) (compute, weights float64) {
	return norm(2, (l.Flops16/peak16+l.Flops8/peak8)/c["el"], l.Bytes/(hbm*c["ew"]))
}

// decodeBlock is what whole blocks share; each adds terms of its own.
func (f formulas) decodeBlock(c map[string]float64, x *Decode) Time {
	lc, lw := f.linears(c, &x.Linear)
	core, kv := norm(2, x.CoreFlops/(peak16*c["ec"]), x.KVBytes/(hbm*c["em"]))
	return Time{Launch: c["t0_us"] * microsecond, Compute: lc + core, Weights: lw, KV: kv}
}

func TestDecodeBlocksAreTheirFormulas(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := formulas{drawn(r, t)}
		s := compile(t, f.chip)
		x := drawDecode(r)
		c := f.at("mla_decode", string(x.Linear.Variant))
		want := f.decodeBlock(c, &x)
		want.Compute += microsecond * c["log_us"] * math.Log2(1+x.Entries/256)
		same(r, "MLA", s.MLADecode(&x), want)

		c = f.at("dsa_decode", kvName(x.KV8))
		want = f.decodeBlock(c, &x)
		want.Compute += microsecond * (c["tile_us"]*x.Rows*x.Heads/128 + c["log_us"]*math.Log2(1+x.Entries/128))
		if x.IndexBytes > 0 {
			want.Launch += microsecond * c["index_us"]
			want.KV += x.IndexBytes / (hbm * c["e_index"])
			want.Compute += 1e-9 * c["key_ns"] * x.Keys * math.Ceil(x.Rows/cores)
			if x.TopKActive {
				want.Compute += microsecond * c["topk_us"]
			}
		}
		same(r, "DSA", s.DSADecode(&x), want)

		c = f.at("csa_decode", "all")
		want = f.decodeBlock(c, &x)
		want.KV += x.IndexBytes / (hbm * c["e_index"])
		want.Compute += microsecond * (c["row_us"]*x.Rows + c["tile_us"]*x.Rows*x.Heads/128)
		if x.TopKActive {
			want.Compute += microsecond * c["topk_us"]
		}
		same(r, "CSA", s.CSADecode(&x), want)

		c = f.at("hca_decode", "all")
		want = f.decodeBlock(c, &x)
		want.Compute += microsecond * (c["row_us"]*x.Rows + c["log_us"]*math.Log2(1+x.Keys/64))
		same(r, "HCA", s.HCADecode(&x), want)
	})
}

func TestPrefillBlocksAreTheirFormulas(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := formulas{drawn(r, t)}
		s := compile(t, f.chip)
		x := drawPrefill(r)
		check := func(what string, got Time, c map[string]float64, gathers, indexes bool) {
			lc, lw := f.linears(c, &x.Linear)
			want := Time{Launch: c["t0_us"] * microsecond, Compute: lc, Weights: lw, Act: x.ActBytes / (hbm * c["e_act"])}
			if gathers {
				core, kv := norm(2, x.CoreFlops/(peak16*c["ec"]), x.GatherBytes/(hbm*c["e_gather"]))
				want.Compute, want.KV = want.Compute+core+1e-9*c["row_ns"]*x.Tokens, kv
			} else {
				want.Compute += x.CoreFlops / (peak16 * c["ec"])
			}
			if indexes {
				want.Compute += x.IndexFlops / (peak8 * c["e_index"])
				want.Act += x.ScoreBytes / (hbm * c["e_score"])
			}
			if x.HostFloor > 0 { // the 6-norm of the host's launches and the chip's work
				device := want.Total()
				want.Launch += math.Pow(math.Pow(device, 6)+math.Pow(x.HostFloor, 6), 1./6) - device
			}
			same(r, what, got, want)
		}
		kernel := map[bool]string{false: "flashmla_sparse", true: "flashmla_kv"}[x.KV8]
		check("DSA", s.DSAPrefill(&x), f.at("dsa_prefill", kernel), true, true)
		check("CSA", s.CSAPrefill(&x), f.at("csa_prefill", "all"), true, true)
		check("HCA", s.HCAPrefill(&x), f.at("hca_prefill", "all"), true, false)
		x.GatherBytes = 0
		check("MLA", s.MLAPrefill(&x), f.at("mla_prefill", string(x.Linear.Variant)), false, false)
	})
}

func TestElementwiseAndRecurrenceAreTheirFormulas(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := formulas{drawn(r, t)}
		s := compile(t, f.chip)
		tokens, hidden := float64(rapid.IntRange(1, 9000).Draw(r, "tokens")), rapid.SampledFrom([]float64{1024, 7168}).Draw(r, "hidden")
		c := f.at("mhc", "bfloat16")
		pre, preBytes := norm(4, microsecond*c["pre_floor_us"], microsecond*c["pre_us"]+20*hidden*tokens/(hbm*c["e_pre"]))
		post, postBytes := norm(4, microsecond*c["post_floor_us"], microsecond*c["post_us"]+36*hidden*tokens/(hbm*c["e_post"]))
		same(r, "hyper-connections", s.MHC(tokens, hidden), Time{Launch: pre + post, Act: preBytes + postBytes})

		c = f.at("small_kernel", "any")
		floors, bytes := norm(4, 7*microsecond*c["t0_us"], tokens*hidden/(hbm*c["em"]))
		same(r, "seven small kernels", s.Elementwise(7, tokens*hidden), Time{Launch: floors, Act: bytes})

		c = f.at("indexer_logits", "fp8")
		flops, keys := norm(2, tokens*hidden*1e4/(peak8*c["ec"]), tokens*hidden*100/(hbm*c["em"]))
		same(r, "index logits", s.IndexerLogits(tokens, tokens*hidden*1e4, tokens*hidden*100),
			Time{Launch: microsecond * c["t0_us"], Compute: flops + 1e-9*c["row_ns"]*tokens, KV: keys})

		c = f.at("gated_delta", "bfloat16")
		x := Linear{
			Batch: float64(rapid.IntRange(1, 300).Draw(r, "sequences")), Tokens: tokens, Heads: rapid.SampledFrom([]float64{4, 32}).Draw(r, "heads"),
			StateBytes: 3e6, ActBytes: 4096 * tokens, ConvBytes: 8192 * tokens, Flops: 1e6 * tokens,
		}
		same(r, "decode", s.LinearDecode(&x), Time{
			Launch: microsecond * (c["update_us"] + c["conv_us"]), KV: x.StateBytes / (hbm * c["e_state"]),
			Act: x.ActBytes/(hbm*c["e_state"]) + x.ConvBytes/(hbm*c["e_conv"]),
		})
		waves := max(1, x.Batch*x.Heads/cores/4) // four heads at a time on a core
		same(r, "prefill", s.LinearPrefill(&x), Time{
			Launch:  microsecond * (c["chunk_us"] + c["scan_us"]),
			Compute: x.Flops/(peak16*c["ec"]) + microsecond*c["serial_us"]*math.Ceil(tokens/x.Batch/64)*waves,
			KV:      x.StateBytes / hbm, Act: x.ActBytes/hbm + x.ConvBytes/(hbm*c["e_scan"]),
		})
	})
}
