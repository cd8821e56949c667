package law

import "math"

// moeForm is a grouped GEMM's compiled constants.
type moeForm struct {
	floor, ramp float64 // s; the ramp is over after a few tokens
	flop, byte  float64 // s per FLOP, byte
	p           float64
	m0          float64 // rows an expert's tiles waste
	topk        float64 // s per byte of all pairs in and out
	local       float64 // s per byte of pairs through the layers' buffers
	allPairs    bool    // Triton, Marlin: those buffers hold every pair, local or not
	w           float64 // bytes per weight
}

// moeSource says where a variant's constants come from, first found first:
// flashinfer's trtllm-gen kernels where the chip has them (Blackwell), else Marlin for
// 4-bit weights beside BF16 activations, else Triton.
type moeSource struct {
	v          Variant
	moe        []string // when all pairs of the EP group pass through every rank
	dispatched []string // when only local ones arrive; none: moe's constants do
	asked      []string // the same, of kernels that run only where the caller names them
	w          float64
}

var moeSources = [numVariants]moeSource{
	{BF16, []string{"bfloat16/trtllm", "bfloat16/triton"}, []string{"bfloat16"}, nil, 2},
	{FP8, []string{"fp8_block/trtllm", "fp8_block/triton"}, []string{"fp8_block"}, []string{"fp8_block/cutlass"}, 1},
	{FP8Block, []string{"fp8_block/trtllm", "fp8_block/triton"}, []string{"fp8_block"}, []string{"fp8_block/cutlass"}, 1},
	{NVFP4, []string{"nvfp4/trtllm"}, nil, []string{"nvfp4/cutlass"}, 0.5625},
	{INT8, []string{"int8", "fp8_block/trtllm", "fp8_block/triton"}, []string{"int8", "fp8_block"}, nil, 1},
	{MXFP8, []string{"fp8_block/trtllm", "fp8_block/triton"}, []string{"fp8_block"}, nil, 1.03125},
	{W4A8, []string{"w4a8_mxfp4_mxfp8/trtllm", "fp8_block/triton"}, []string{"w4a8", "fp8_block"}, nil, 0.53125},
	{W4A16, []string{"w4a16/trtllm", "w4a16/marlin", "w4a16_mxfp4/trtllm", "w4a16_mxfp4/triton"}, nil, nil, 0.53125},
	{W8A16, []string{"bfloat16/trtllm", "bfloat16/triton"}, nil, nil, 1},
	{FP32, []string{"bfloat16/trtllm", "bfloat16/triton"}, nil, nil, 4},
}

func (s *Set) compileMoE(src *source) {
	for i := range moeSources {
		src.knows("moe", moeSources[i].moe...)
		src.knows("moe_dispatched", moeSources[i].dispatched...)
		src.knows("moe_dispatched", moeSources[i].asked...)
		s.moe[i], s.dispatched[i] = s.moeForms(src, i, &moeSources[i])
	}
	v := src.need("megamoe", 0, "w4a8")
	s.mega = megaForm{
		floor: v.us("t0_us"), flop: 1 / (s.fp8 * v.share("ec")), byte: 1 / (s.hbm * v.share("em")), wire: v.share("en"),
	}
	v.done()
}

// moeForms compiles one variant into forms i; the substitutions are those of gemmForm.
func (s *Set) moeForms(src *source, i int, m *moeSource) (all, dispatched moeForm) {
	peak := s.fp8
	switch {
	case m.v == NVFP4:
		if _, timed := src.chip.Constants("moe", m.moe[0]); !timed || !s.nativeFP4 {
			return s.moeForms(src, i, &moeSources[W4A8.index()])
		}
		peak = s.fp4
	case (m.v == FP8 || m.v == FP8Block || m.v == MXFP8) && !s.nativeFP8:
		return s.moeForms(src, i, &moeSources[W8A16.index()])
	case m.v == INT8:
		peak = s.int8
	case m.v == BF16 || m.v == W4A16 || m.v == W8A16 || m.v == FP32:
		peak = s.bf16
	}
	all = s.moeForm(src.need("moe", i, m.moe...), peak, m.w)
	if v, ok := src.preferred("moe_dispatched", m.asked...); ok {
		return all, s.moeForm(v, peak, m.w)
	}
	if v, ok := src.find("moe_dispatched", m.dispatched...); ok && (m.v != W4A8 || all.allPairs || v.variant == "w4a8") {
		return all, s.moeForm(v, peak, m.w)
	}
	if text, none := src.missing[slot{"moe", i}]; none {
		src.missing[slot{"moe_dispatched", i}] = text
	}
	return all, all
}

func (s *Set) moeForm(v *values, peak, w float64) moeForm {
	f := moeForm{
		floor: v.us("t0_us"), p: v.number("p", 0.1, 16), w: w,
		flop: 1 / (peak * v.share("ec")), byte: 1 / (s.hbm * v.share("em")),
	}
	if v.has("t1_us") {
		f.ramp = v.us("t1_us")
	}
	if v.has("m0") {
		f.m0 = v.number("m0", 0, 1e4)
	}
	switch {
	case v.has("e_all"):
		f.allPairs, f.local = true, 1/(s.hbm*v.cached("e_all"))
	case v.has("e_local"):
		f.topk, f.local = 1/(s.hbm*v.cached("e_topk")), 1/(s.hbm*v.cached("e_local"))
	}
	v.done()
	return f
}

// MoE is one rank's share of a routed MoE layer in one step.
type MoE struct {
	Variant Variant
	// Tokens of the whole EP group, and experts per token.
	Tokens, TopK float64
	Hidden       float64
	Inter        float64 // expert width on this rank (after TP)
	Mats         float64 // matrices an expert: 3 gated, 2 not; 0 counts as 3
	// Pairs (token, expert) on this rank, and how many of its experts they touch.
	Pairs, Touched float64
	// Dispatched says that only the rank's own pairs arrive (DeepEP, CANN, NCCL
	// all-to-all); otherwise every rank permutes all Tokens·TopK pairs.
	Dispatched bool
	// Skewed says that loads differ between the rank's experts: the tiles of the
	// fuller ones cost 10 % more arithmetic.
	Skewed bool
}

// skewedFlops is what uneven loads inside a rank add, from heaviest-rank timings
// against constants of balanced ones.
const skewedFlops = 1.1

// MoE is align, permute, both grouped GEMMs, activation and finalise on one rank:
// no router GEMM, no communication, no shared expert.
//
//	t = t0 + t1·(1 − e^(−T/16)) + pnorm_p(F·(1 + M0·touched/pairs)/(P·ec), touched·mats·h·f·w/(W·em))
//	    + 2·T·k·h/(W·eTk) + 2·pairs·(2h + mats·f)/(W·eLocal)
//
// or, where every pair passes the buffers, 2·T·k·(2h + mats·f)/(W·eAll) for the last
// two. F = 2·pairs·mats·h·f.
func (s *Set) MoE(x MoE) Time {
	if x.Pairs <= 0 {
		return Time{}
	}
	mats := x.Mats
	if mats == 0 {
		mats = 3
	}
	f, all := &s.moe[x.Variant.index()], x.Tokens*x.TopK
	if x.Dispatched {
		f, all = &s.dispatched[x.Variant.index()], x.Pairs
	}
	expert := mats * x.Hidden * x.Inter
	flops := 2 * expert * (x.Pairs + f.m0*x.Touched)
	if x.Skewed {
		flops *= skewedFlops
	}
	c, b := overlap(flops*f.flop, x.Touched*expert*f.w*f.byte, f.p)
	through := x.Pairs
	if f.allPairs {
		through = all
	}
	return Time{
		Launch: f.floor + f.ramp*(1-math.Exp(-all/max(x.TopK, 1)/16)), Compute: c, Weights: b,
		Act: 2*all*x.Hidden*f.topk + 2*through*(2*x.Hidden+mats*x.Inter)*f.local,
	}
}

// megaForm is the fused kernel's compiled constants.
type megaForm struct {
	floor      float64
	flop, byte float64
	wire       float64 // share of the links' bandwidth
}

// MegaMoE is dispatch, experts and combine in one kernel, in waves.
type MegaMoE struct {
	Tokens, TopK, Hidden, Inter, Mats float64 // Tokens of this rank
	Pairs, Touched                    float64 // on this rank
	EP                                float64 // ranks of the group
	Bandwidth                         float64 // of the links, bytes/s, one direction a rank
}

// MegaMoE is the fused kernel's time; Wire is the links' share of it.
//
//	t = t0 + pnorm_4(F/(P8·ec), W_fp4/(W·em), wire/(BW·en)),  wire = T·min(k,EP)·(1 − 1/EP)·3h bytes
//
// A token goes once to each rank that holds one of its experts: FP8 out, BF16 back.
func (s *Set) MegaMoE(x MegaMoE) Time {
	if x.Pairs <= 0 {
		return Time{}
	}
	mats := x.Mats
	if mats == 0 {
		mats = 3
	}
	expert := mats * x.Hidden * x.Inter
	c, b := overlap4(2*x.Pairs*expert*s.mega.flop, x.Touched*expert*0.53125*s.mega.byte)
	local := c + b
	if x.EP <= 1 || x.Bandwidth <= 0 {
		return Time{Launch: s.mega.floor, Compute: c, Weights: b}
	}
	wire := x.Tokens * min(x.TopK, x.EP) * (1 - 1/x.EP) * 3 * x.Hidden / (x.Bandwidth * s.mega.wire)
	inside, outside := overlap4(local, wire)
	return Time{Launch: s.mega.floor, Compute: inside * c / local, Weights: inside * b / local, Wire: outside}
}
