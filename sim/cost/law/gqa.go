package law

import "math"

// gqaDecodeForm is the decode kernel's compiled constants.
type gqaDecodeForm struct {
	floor float64
	byte  float64 // s per byte of KV
	cta   float64 // s per (sequence, KV head)
	log   float64 // s per e-fold of the context beyond 256: split-KV reduction
	query float64 // s per byte of Q
	seq   float64 // s per sequence
}

// gqaPrefillForm is the prefill kernel's compiled constants.
type gqaPrefillForm struct {
	floor float64
	flop  float64 // s per FLOP
	exp   float64 // s per exponential
	long  float64 // s per FLOP of the longest tile, alone on its core
	byte  float64
	cta   float64 // s per query tile
}

func (s *Set) compileGQA(src *source) {
	for i, name := range kvFormats {
		v := src.need("gqa_decode", i, name)
		s.gqaDecode[i] = gqaDecodeForm{
			floor: v.us("t0_us"), byte: 1 / (s.hbm * v.share("em")), cta: v.us("cta_us") / s.cores,
			log: v.log("log_us"), query: 1 / (s.hbm * v.cached("eq")), seq: v.us("row_us"),
		}
		v.done()
		v = src.need("gqa_prefill", i, gqaMath[i]...)
		peak := s.bf16
		if i == 1 && s.nativeFP8 {
			peak = s.fp8
		}
		s.gqaPrefill[i] = gqaPrefillForm{
			floor: v.us("t0_us"), flop: 1 / (peak * v.share("ec")), exp: 1e-9 / (s.cores * v.number("exp_per_ns", 0.1, 1e5)),
			long: s.cores / (peak * v.cached("e_long")), byte: 1 / (s.hbm * v.share("em")), cta: v.us("cta_us") / s.cores,
		}
		v.done()
	}
}

// kvFormats are the variants of kernels by their KV cache, in the order of forms.
var kvFormats = [2]string{"kv_bfloat16", "kv_fp8"}

// gqaMath are the prefill kernels: an FP8 cache goes with FP8 matrix products.
var gqaMath = [2][]string{{"bfloat16"}, {"fp8", "bfloat16"}}

func kvFormat(eight bool) int {
	if eight {
		return 1
	}
	return 0
}

// GQADecode is the attention kernel of GQA, MHA or a window:
//
//	t = t0 + pnorm_2(KV/(W·em), cCTA·b·kv/cores) + cLog·log2(1 + n/256) + 2·rows·H·dh/(W·eQ) + cRow·b
//
// n is the entries attended to. Arithmetic never binds in the tables; beyond them
// (many rows a sequence) the KV term gives way to the peak, and what exceeds it is
// Compute.
func (s *Set) GQADecode(x *Decode) Time {
	if x.Batch <= 0 {
		return Time{}
	}
	f := &s.gqaDecode[kvFormat(x.KV8)]
	read := x.KVBytes * f.byte
	core := max(read, x.CoreFlops*s.per16)
	blocks, busy := overlap2(f.cta*x.Batch*x.KVHeads, core)
	kv := 0.0
	if core > 0 {
		kv = busy * read / core
	}
	return Time{
		Launch:  f.floor,
		Compute: blocks + busy - kv + f.log*math.Log(1+x.Entries*(1.0/256)) + f.seq*x.Batch,
		KV:      kv,
		Act:     2 * x.Rows * x.Heads * x.HeadDim * f.query,
	}
}

// GQAPrefill is the attention kernel of GQA, MHA or a window over a prompt:
//
//	t = t0 + A·4dh/(P·ec) + A/(cores·eS) + F_long/(P/cores·eL) + (Q+K+V+O)/(W·em) + cCTA·tiles·H/cores
//
// A = H·pairs padded to tiles; eS is exponentials per ns per core (16 a clock on
// Hopper); F_long = 4·dh·128·longest. Head widths between 128 and 256 run as 256.
func (s *Set) GQAPrefill(x *Prefill) Time {
	if x.Tokens <= 0 {
		return Time{}
	}
	f := &s.gqaPrefill[kvFormat(x.KV8)]
	dim := paddedDim(x.HeadDim)
	a := x.Heads * x.Pairs
	return Time{
		Launch:  f.floor,
		Compute: a*4*dim*f.flop + a*f.exp + 4*dim*TileRows*x.Longest*f.long + f.cta*x.Tiles*x.Heads,
		KV:      x.KVBytes * f.byte,
		Act:     x.IOBytes * f.byte,
	}
}

func paddedDim(dim float64) float64 {
	if dim > 128 && dim < 256 {
		return 256
	}
	return dim
}
