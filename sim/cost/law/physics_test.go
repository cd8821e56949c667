package law

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/topologies"
)

// work is one call of every operator for the same tokens, with what physics asks of
// it: FLOPs by precision and compulsory bytes.
type work struct {
	name                    string
	time                    Time
	flops16, flops8, flops4 float64
	bytes                   float64
}

type size struct {
	tokens, context, heads, hidden, inter float64
	v                                     Variant
	eight                                 bool
}

func drawSize(t *rapid.T) size {
	return size{
		tokens:  float64(rapid.IntRange(1, 20000).Draw(t, "tokens")),
		context: float64(rapid.IntRange(1, 1<<20).Draw(t, "context")),
		heads:   float64(rapid.SampledFrom([]int{1, 8, 64, 128}).Draw(t, "heads")),
		hidden:  float64(rapid.SampledFrom([]int{1024, 4096, 7168}).Draw(t, "hidden")),
		inter:   float64(rapid.SampledFrom([]int{256, 2048, 3072}).Draw(t, "inter")),
		v:       rapid.SampledFrom([]Variant{BF16, FP8, FP8Block, NVFP4, INT8, MXFP8, W4A8, W4A16, W8A16}).Draw(t, "variant"),
		eight:   rapid.Bool().Draw(t, "eight"),
	}
}

// weightBytes is the least a weight of the variant can weigh.
var weightBytes = map[Variant]float64{BF16: 2, FP8: 1, FP8Block: 1, NVFP4: 0.5, INT8: 1, MXFP8: 1, W4A8: 0.5, W4A16: 0.5, W8A16: 1}

func everything(s *Set, z size) []work {
	params := z.hidden * z.hidden
	l := Linears{Variant: FP8Block, Bytes: params, Flops8: params * z.tokens, Flops16: params * z.tokens}
	kv := 656 * z.tokens * z.context
	core := 4 * 512 * z.heads * z.tokens * z.context
	d := Decode{
		Batch: z.tokens, Rows: z.tokens, Heads: z.heads, KVHeads: 1, HeadDim: 128, KV8: z.eight, KVBytes: kv, CoreFlops: core,
		Entries: z.context, Keys: z.context, IndexBytes: 132 * z.tokens * z.context, TopKActive: z.context > 2048, Linear: l,
	}
	pairs := z.tokens * (z.tokens + 1) / 2
	p := Prefill{
		Tokens: z.tokens, Chunks: 1, Heads: z.heads, KVHeads: 1, HeadDim: 128, KV8: z.eight, Pairs: TilePairs(int64(z.tokens), 0, 0),
		Tiles: math.Ceil(z.tokens / TileRows), Longest: z.tokens, CoreFlops: 4 * 512 * z.heads * pairs, IOBytes: 512 * z.heads * z.tokens,
		KVBytes: 512 * z.tokens, GatherBytes: 584 * pairs, IndexFlops: 2 * 64 * 128 * pairs, ScoreBytes: 4 * pairs, ActBytes: 8 * z.hidden * z.tokens, Linear: l,
	}
	lin := Linear{Batch: z.tokens, Tokens: z.tokens, Heads: z.heads, StateBytes: 131072 * z.heads, ActBytes: 1024 * z.heads * z.tokens, ConvBytes: 4096 * z.tokens, Flops: 1e5 * z.tokens * z.heads}
	moe := MoE{Variant: z.v, Tokens: z.tokens, TopK: 8, Hidden: z.hidden, Inter: z.inter, Pairs: 8 * z.tokens, Touched: min(64, 8*z.tokens)}
	dispatched := moe
	dispatched.Dispatched = true
	expert := 3 * z.hidden * z.inter
	gemm := 2 * z.tokens * z.hidden * z.inter
	block := work{flops16: core + l.Flops16, flops8: l.Flops8, bytes: kv + params}
	named := func(name string, t Time, w work) work { w.name, w.time = name, t; return w }
	prefill := work{flops16: p.CoreFlops + l.Flops16, flops8: l.Flops8, bytes: params}
	return []work{
		named("gemm", s.GEMM(z.v, z.tokens, z.hidden, z.inter), work{flops4: gemm, bytes: weightBytes[z.v] * z.hidden * z.inter}),
		named("fused gemm", s.GEMMFused(z.v, z.tokens, z.hidden, z.inter), work{flops4: gemm, bytes: weightBytes[z.v] * z.hidden * z.inter}),
		named("bf16 gemm", s.GEMM(BF16, z.tokens, z.hidden, z.inter), work{flops16: gemm, bytes: 2 * z.hidden * z.inter}),
		named("moe", s.MoE(moe), work{flops4: 2 * moe.Pairs * expert, bytes: weightBytes[z.v] * moe.Touched * expert}),
		named("dispatched", s.MoE(dispatched), work{flops4: 2 * moe.Pairs * expert, bytes: weightBytes[z.v] * moe.Touched * expert}),
		named("megamoe", s.MegaMoE(MegaMoE{z.tokens, 8, z.hidden, z.inter, 3, moe.Pairs, moe.Touched, 8, 9e11}), work{flops4: 2 * moe.Pairs * expert, bytes: moe.Touched * expert / 2}),
		named("gqa decode", s.GQADecode(&d), work{flops16: core, bytes: kv}),
		named("mla kernel decode", s.MLAKernelDecode(&d), work{flops8: core, bytes: kv}),
		named("mla decode", s.MLADecode(&d), block), named("dsa decode", s.DSADecode(&d), block),
		named("csa decode", s.CSADecode(&d), block), named("hca decode", s.HCADecode(&d), block),
		named("gqa prefill", s.GQAPrefill(&p), work{flops8: 512 * z.heads * pairs}),
		named("mla kernel prefill", s.MLAKernelPrefill(&p), work{flops16: 256 * z.heads * pairs}),
		named("mla prefill", s.MLAPrefill(&p), prefill), named("dsa prefill", s.DSAPrefill(&p), prefill),
		named("csa prefill", s.CSAPrefill(&p), prefill), named("hca prefill", s.HCAPrefill(&p), prefill),
		named("linear decode", s.LinearDecode(&lin), work{bytes: lin.StateBytes}),
		named("linear prefill", s.LinearPrefill(&lin), work{flops16: lin.Flops}),
		named("mhc", s.MHC(z.tokens, z.hidden), work{bytes: 56 * z.hidden * z.tokens}),
		named("elementwise", s.Elementwise(3, z.hidden*z.tokens), work{bytes: z.hidden * z.tokens}),
		named("logits", s.IndexerLogits(z.tokens, p.IndexFlops, 0), work{flops8: p.IndexFlops}),
	}
}

func TestNothingBeatsThePeaks(t *testing.T) {
	for _, c := range chips(t) {
		s := compile(t, c)
		rapid.Check(t, func(t *rapid.T) {
			for _, w := range everything(s, drawSize(t)) {
				top := max(s.fp4, s.fp8, s.int8, s.bf16)
				least := max(w.flops16/s.bf16+w.flops8/max(s.fp8, s.int8)+w.flops4/top, w.bytes/s.hbm)
				if !(w.time.Total() >= least*(1-1e-12)) {
					t.Fatalf("%s on %s takes %g s; peaks ask for %g", w.name, c.Name, w.time.Total(), least)
				}
				for _, part := range []float64{w.time.Launch, w.time.Compute, w.time.Weights, w.time.KV, w.time.Act, w.time.Wire} {
					if !(part >= 0) || math.IsInf(part, 0) {
						t.Fatalf("%s on %s: %+v", w.name, c.Name, w.time)
					}
				}
			}
		})
	}
}

func TestMoreTokensAreNeverFaster(t *testing.T) {
	for _, c := range chips(t) {
		s := compile(t, c)
		rapid.Check(t, func(t *rapid.T) {
			small := drawSize(t)
			large := small
			large.tokens += float64(rapid.IntRange(1, 5000).Draw(t, "more"))
			large.context += float64(rapid.IntRange(0, 100000).Draw(t, "longer"))
			a, b := everything(s, small), everything(s, large)
			for i := range a {
				if b[i].time.Total() < a[i].time.Total()*(1-1e-12) {
					t.Fatalf("%s on %s: %g s for %+v, %g s for %+v", a[i].name, c.Name, a[i].time.Total(), small, b[i].time.Total(), large)
				}
			}
		})
	}
}

func TestMoreHardwareIsNeverSlower(t *testing.T) {
	for _, name := range topologies.ChipNames() {
		base := compile(t, load(t, name))
		wide, fast := load(t, name), load(t, name)
		wide.Memory.Bandwidth *= 2
		for p := range fast.Peak {
			fast.Peak[p] *= 2
		}
		fast.Cores *= 2
		more := []*Set{compile(t, wide), compile(t, fast)}
		rapid.Check(t, func(t *rapid.T) {
			z := drawSize(t)
			a := everything(base, z)
			for _, s := range more {
				for i, w := range everything(s, z) {
					if w.time.Total() > a[i].time.Total()*(1+1e-12) {
						t.Fatalf("%s on %s: %g s, with more %g s", w.name, name, a[i].time.Total(), w.time.Total())
					}
				}
			}
		})
	}
}
