package law

import "math"

// mlaKernelForm is the absorbed decode kernel's compiled constants.
type mlaKernelForm struct {
	floor      float64
	flop, byte float64
	tile       float64 // s per (row, 128 heads)
	log        float64 // s per e-fold of the context beyond 256
	row        float64 // s per row
}

// mlaTileForm is the prefill kernel's.
type mlaTileForm struct {
	floor, flop, long, byte, cta float64
}

func (s *Set) compileMLA(src *source) {
	for i, name := range kvFormats {
		peak := s.bf16
		if i == 1 {
			peak = s.fp8
		}
		v := src.need("mla_kernel_decode", i, name)
		s.mlaKernel[i] = mlaKernelForm{
			floor: v.us("t0_us"), flop: 1 / (peak * v.share("ec")), byte: 1 / (s.hbm * v.share("em")),
			tile: v.us("tile_us") / (128 * s.cores), log: v.log("log_us"), row: v.us("row_us"),
		}
		v.done()
		v = src.need("mla_kernel_prefill", i, name)
		s.mlaTile[i] = mlaTileForm{
			floor: v.us("t0_us"), flop: 1 / (s.bf16 * v.share("ec")), long: s.cores / (s.bf16 * v.cached("e_long")),
			byte: 1 / (s.hbm * v.cached("e_io")), cta: v.us("cta_us") / s.cores,
		}
		v.done()
	}
	for i, names := range blockFormats {
		v := src.need("mla_decode", i, names...)
		s.mlaDecode[i] = s.decodeBlock(v, s.bf16)
		s.mlaDecode[i].log, s.mlaDecode[i].logScale = v.log("log_us"), 1.0/256
		v.done()
		v = src.need("mla_prefill", i, names...)
		s.mlaPrefill[i] = blockForm{
			floor: v.us("t0_us"), weight: 1 / (s.hbm * v.share("ew")), linear: 1 / v.share("el"),
			flop: 1 / (s.bf16 * v.share("ec")), act: 1 / (s.hbm * v.cached("e_act")),
		}
		v.done()
	}
}

// blockFormats are the variants of whole MLA blocks by their projections, first
// found first: a chip without FP4 kernels runs the 8-bit block.
var blockFormats = [3][]string{{"bfloat16"}, {"fp8_block", "bfloat16"}, {"nvfp4", "fp8_block", "bfloat16"}}

// blockFormat is the form of a block by its projections, -1 for a variant that no
// block has.
func blockFormat(v Variant) int {
	switch v {
	case BF16, W8A16, W4A16, FP32:
		return 0
	case FP8, FP8Block, INT8, MXFP8, W4A8:
		return 1
	case NVFP4:
		return 2
	}
	return -1
}

// MLAKernelDecode is the absorbed MLA kernel alone:
//
//	t = t0 + pnorm_2(KV/(W·em), F/(P·ec)) + cTH·rows·H/128/cores + cLog·log2(1 + n/256) + cRow·b
//
// P is the FP8 peak with an FP8 cache.
func (s *Set) MLAKernelDecode(x *Decode) Time {
	if x.Batch <= 0 {
		return Time{}
	}
	f := &s.mlaKernel[kvFormat(x.KV8)]
	c, kv := overlap2(x.CoreFlops*f.flop, x.KVBytes*f.byte)
	return Time{
		Launch:  f.floor,
		Compute: c + f.tile*x.Rows*x.Heads + f.log*math.Log(1+x.Entries*(1.0/256)) + f.row*x.Batch,
		KV:      kv,
	}
}

// MLAKernelPrefill is the MLA kernel alone over a prompt:
//
//	t = t0 + pnorm_4(F/(P16·ec), F_long/(P16/cores·eL)) + io/(W·eIO) + cCTA·tiles·H/cores
//
// F counts tile-padded pairs times 2·(dqk + dv), whichever form runs (576 + 512 or
// 192 + 128): HeadDim is dqk + dv.
func (s *Set) MLAKernelPrefill(x *Prefill) Time {
	if x.Tokens <= 0 {
		return Time{}
	}
	f := &s.mlaTile[kvFormat(x.KV8)]
	all, long := overlap4(2*x.HeadDim*x.Heads*x.Pairs*f.flop, 2*x.HeadDim*TileRows*x.Longest*f.long)
	return Time{
		Launch:  f.floor,
		Compute: all + long + f.cta*x.Tiles*x.Heads,
		KV:      x.KVBytes * f.byte,
		Act:     x.IOBytes * f.byte,
	}
}

// MLADecode is the whole MLA block, projections and absorb BMMs included:
//
//	t = t0 + pnorm_2(W_l/(W·ew), F_l/(P·el)) + pnorm_2(KV/(W·em), F/(P16·ec)) + cLog·log2(1 + n/256)
//
// t0 is the floor of about twelve kernels in a CUDA graph.
func (s *Set) MLADecode(x *Decode) Time {
	return s.block(&s.mlaDecode[blockFormat(x.Linear.Variant)], x, x.Entries)
}

// MLAPrefill is the whole MLA block in MHA form:
//
//	t = t0 + pnorm_2(W_l/(W·ew), F_l/(P·el)) + F/(P16·ec) + act/(W·eAct)
func (s *Set) MLAPrefill(x *Prefill) Time {
	return s.prefillBlock(&s.mlaPrefill[blockFormat(x.Linear.Variant)], x)
}
