package law

import "math"

// gemmForm is a GEMM's compiled constants.
type gemmForm struct {
	floor      float64 // s
	k          float64 // s per (k/1024), or its root
	rootK      bool    // split-K hides part of the K loop
	kSplit     float64 // s per (k/1024) up to splitRows rows, where split-K hides more of it
	flop, byte float64 // s per FLOP, byte
	p          float64
	quant      float64 // s per element of A
	w, a       float64 // bytes per element of B, A
}

// gemmSource says where a variant's constants come from, first found first, and
// what its elements weigh: MX and NV formats carry a scale per 32 or 16 elements.
type gemmSource struct {
	v      Variant
	names  []string
	w, a   float64
	quant  float64 // bytes the quantisation pass moves per element of A
	float8 bool    // an 8-bit float, which needs FP8 units
}

var gemmSources = [numVariants]gemmSource{
	{v: BF16, names: []string{"bfloat16"}, w: 2, a: 2},
	{v: FP8, names: []string{"fp8", "fp8_block"}, w: 1, a: 1, quant: 3, float8: true},
	{v: FP8Block, names: []string{"fp8_block", "fp8"}, w: 1, a: 1, quant: 3, float8: true},
	{v: NVFP4, names: []string{"nvfp4"}, w: 0.5625, a: 0.5625, quant: 2.5625},
	{v: INT8, names: []string{"int8", "fp8"}, w: 1, a: 1, quant: 3},
	{v: MXFP8, names: []string{"mxfp8", "fp8_block"}, w: 1.03125, a: 1.03125, quant: 3.03125, float8: true},
	{v: W4A8, names: []string{"w4a8", "fp8_block", "fp8"}, w: 0.53125, a: 1, quant: 3},
	{v: W4A16, names: []string{"w4a16", "bfloat16"}, w: 0.53125, a: 2},
	{v: W8A16, names: []string{"w8a16", "bfloat16"}, w: 1, a: 2},
	// A BF16 activation is widened by a pass of its own: 2 bytes in, 4 out, 4 in again.
	{v: FP32, names: []string{"float32"}, w: 4, a: 10},
}

// splitRows is up to how many rows a GEMM's kernels split K further, where the
// chip's constants tell them apart; from twice as many on they do not.
const splitRows = 16

func (s *Set) compileGEMM(src *source) {
	for i := range gemmSources {
		class := "gemm"
		if gemmSources[i].v == FP32 {
			class = "gemm_fp32"
		}
		src.knows(class, gemmSources[i].names...)
		s.gemm[i] = s.gemmForm(src, i, &gemmSources[i])
	}
}

// gemmForm compiles one variant into form i. 8-bit floats without FP8 units are stored in 8
// bits and computed in BF16; FP4 without FP4 units, or without timings of them in
// the chip's ancestry, is W4A8; FP32 without timings costs what BF16 does.
func (s *Set) gemmForm(src *source, i int, g *gemmSource) gemmForm {
	class, names, w, a, quant, peak := "gemm", g.names, g.w, g.a, g.quant, s.bf16
	switch {
	case g.v == NVFP4:
		if _, timed := src.chip.Constants("gemm", names[0]); !timed || !s.nativeFP4 {
			return s.gemmForm(src, i, &gemmSources[W4A8.index()])
		}
		peak = s.fp4
	case g.v == FP32:
		class = "gemm_fp32"
		if _, timed := src.chip.Constants(class, names[0]); !timed {
			return s.gemmForm(src, i, &gemmSources[BF16.index()])
		}
	case g.float8 && !s.nativeFP8:
		return s.gemmForm(src, i, &gemmSources[W8A16.index()])
	case g.v == INT8:
		peak = s.int8
	case quant > 0:
		peak = s.fp8
	}
	v := src.need(class, i, names...)
	f := gemmForm{
		floor: v.us("t0_us"), rootK: v.root("k_power"),
		flop: 1 / (peak * v.share("ec")), byte: 1 / (s.hbm * v.share("em")), p: v.number("p", 0.1, 16),
		w: w, a: a,
	}
	f.k = v.us("k_us")
	f.kSplit = f.k
	if v.has("k_split_us") {
		f.kSplit = v.us("k_split_us")
	}
	if quant > 0 {
		f.quant = quant / (s.hbm * v.cached("eq"))
	}
	v.done()
	return f
}

// GEMM is C[m,n] = A[m,k]·B[k,n] on one rank, including the pass that quantises a
// BF16 activation where the variant has one:
//
//	t = t0 + pnorm_2(cK·g(k/1024), pnorm_p(2mnk/(P·ec), (w·nk + a·mk + 2mn)/(W·em))) + q·mk/(W·eq)
//
// cK is the latency of the loop over K, which loads and products hide as far as they
// take longer; g is a root where split-K hides part of it, and cK is lower at few rows
// where the chip's constants say so (FP32).
func (s *Set) GEMM(v Variant, m, n, k float64) Time {
	f := &s.gemm[v.index()]
	t := f.time(m, n, k)
	t.Act += f.quant * m * k
	return t
}

// fusedFloor is what a GEMM's floor holds of a separate quantisation kernel:
// DeepGEMM's own timings against the tables (H800, 18 shapes).
const fusedFloor = 2e-6

// GEMMFused is GEMM whose activation arrives quantised by the kernel before it:
// no quantisation pass, and 2 µs less floor, down to the floor of a BF16 GEMM.
func (s *Set) GEMMFused(v Variant, m, n, k float64) Time {
	f := &s.gemm[v.index()]
	t := f.time(m, n, k)
	if f.quant > 0 && m*n*k > 0 {
		t.Launch = max(t.Launch-fusedFloor, min(t.Launch, s.gemm[0].floor))
	}
	return t
}

func (f *gemmForm) time(m, n, k float64) Time {
	if m*n*k <= 0 {
		return Time{}
	}
	weights, act := f.w*n*k, f.a*m*k+2*m*n
	c, b := overlap(2*m*n*k*f.flop, (weights+act)*f.byte, f.p)
	serial := k / 1024
	if f.rootK {
		serial = math.Sqrt(serial)
	}
	perK := f.kSplit + (f.k-f.kSplit)*min(1, max(0, m/splitRows-1))
	core, loop := overlap2(c+b, perK*serial)
	share, within := weights/(weights+act), core/(c+b)
	b *= within
	return Time{Launch: f.floor, Compute: c*within + loop, Weights: b * share, Act: b * (1 - share)}
}
