package law

import (
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/topologies"
)

// Variant names the format of an operator's operands.
type Variant string

// Variants. GEMM and MoE take any of them; whole blocks distinguish BF16, FP8Block
// and NVFP4 projections. gemmForms and moeForms say which constants each uses.
const (
	BF16     Variant = "bfloat16"
	FP8      Variant = "fp8"       // per tensor or token
	FP8Block Variant = "fp8_block" // blocks of 128×128 (DeepGEMM)
	NVFP4    Variant = "nvfp4"
	INT8     Variant = "int8"
	MXFP8    Variant = "mxfp8"
	W4A8     Variant = "w4a8"    // 4-bit weights, 8-bit arithmetic (MXFP4 × FP8, INT4 × INT8)
	W4A16    Variant = "w4a16"   // 4-bit weights, BF16 arithmetic
	W8A16    Variant = "w8a16"   // 8-bit weights, BF16 arithmetic
	FP32     Variant = "float32" // without tensor cores: routers kept in FP32
)

const numVariants = 10

// index is the place of a variant in compiled tables, -1 for a name that is none of
// them: Set.Need refuses it, and a price by it is a fault of the program.
func (v Variant) index() int {
	switch v {
	case BF16:
		return 0
	case FP8:
		return 1
	case FP8Block:
		return 2
	case NVFP4:
		return 3
	case INT8:
		return 4
	case MXFP8:
		return 5
	case W4A8:
		return 6
	case W4A16:
		return 7
	case W8A16:
		return 8
	case FP32:
		return 9
	}
	return -1
}

// Linears are the projections inside an attention block on one rank for one step:
// weight bytes read once, and FLOPs by the precision of the arithmetic.
type Linears struct {
	Variant                 Variant
	Bytes                   float64
	Flops16, Flops8, Flops4 float64
}

// peaks are one rank's, in FLOP/s and bytes/s. A chip without FP8 units computes
// 8-bit work in INT8, or else in BF16; one without FP4 units in 8 bits.
type peaks struct {
	bf16, fp8, fp4, int8 float64
	nativeFP8, nativeFP4 bool
	per16, per8, per4    float64 // their inverses
	hbm                  float64
	cores                float64
}

// hopperCore is the BF16 rate of one of H100's 132 SMs. Costs per thread block are
// those of an SM; a chip whose cores are something else, or not published, counts as
// many SMs as its peak is worth.
const hopperCore = 989e12 / 132

func rankPeaks(chip *topologies.Chip) (peaks, error) {
	dies := float64(max(chip.Dies, 1))
	transfer := chip.Inherited()
	at := func(p topologies.Precision) float64 { return float64(chip.Peak[p]) / dies * transfer.Compute }
	p := peaks{
		bf16: at(topologies.BF16), fp8: at(topologies.FP8), fp4: at(topologies.FP4), int8: at(topologies.INT8),
		hbm: float64(chip.Memory.Bandwidth) / dies * transfer.Memory, cores: float64(chip.Cores) / dies,
	}
	if !(p.bf16 > 0 && p.hbm > 0) {
		return p, fmt.Errorf("chip %s: BF16 peak and memory bandwidth must be positive", chip.Name)
	}
	if chip.Core != topologies.SM {
		p.cores = p.bf16 / transfer.Compute / hopperCore
	}
	p.nativeFP8, p.nativeFP4 = p.fp8 > 0, p.fp4 > 0
	if !p.nativeFP8 {
		p.fp8 = max(p.int8, p.bf16)
	}
	if !p.nativeFP4 {
		p.fp4 = p.fp8
	}
	if p.int8 <= 0 {
		p.int8 = p.fp8
	}
	p.per16, p.per8, p.per4 = 1/p.bf16, 1/p.fp8, 1/p.fp4
	return p, nil
}

// seconds is the time of the projections' FLOPs at the peaks.
func (p *peaks) seconds(l *Linears) float64 {
	return l.Flops16*p.per16 + l.Flops8*p.per8 + l.Flops4*p.per4
}

// Set holds one rank's peaks and its compiled constants: times in seconds, rates
// as seconds per FLOP or byte. It is immutable and safe for concurrent use.
type Set struct {
	peaks
	gemm        [numVariants]gemmForm
	moe         [numVariants]moeForm
	dispatched  [numVariants]moeForm
	mega        megaForm
	gqaDecode   [2]gqaDecodeForm // by KV format: BF16, FP8
	gqaPrefill  [2]gqaPrefillForm
	mlaKernel   [2]mlaKernelForm
	mlaTile     [2]mlaTileForm
	mlaDecode   [3]blockForm // by format of the projections: BF16, FP8, FP4
	mlaPrefill  [3]blockForm
	dsaDecode   [2]blockForm // by KV format
	dsaPrefill  [2]blockForm
	csaDecode   blockForm
	hcaDecode   blockForm
	csaPrefill  blockForm
	hcaPrefill  blockForm
	delta       deltaForm
	mhc         mhcForm
	logits      logitsForm
	small       smallForm
	chip        string
	missing     map[slot]string // forms without constants, and what they would have been
	assumptions []assumption
}

// New compiles the constants of a chip (or of its ancestors, with the chip's own
// peaks) for one rank: a die of a package. Where a chip has several kernels of a
// class (variants such as fp8_block/triton), those named come first: "triton", or a
// whole variant. Errors name the class and the constant. A class that neither the chip
// nor an ancestor has is no error: it has no price (NaN), and Need refuses its use.
func New(chip *topologies.Chip, kernels ...string) (*Set, error) {
	p, err := rankPeaks(chip)
	if err != nil {
		return nil, err
	}
	s := &Set{peaks: p, chip: chip.Name}
	transfer := chip.Inherited()
	src := &source{chip: chip, kernels: kernels, floors: transfer.Floors, compute: transfer.Compute, memory: transfer.Memory, missing: map[slot]string{}, known: make([]named, 0, 192)}
	s.compileGEMM(src)
	s.compileMoE(src)
	s.compileGQA(src)
	s.compileMLA(src)
	s.compileSparse(src)
	s.compileSmall(src)
	src.unread()
	if err := errors.Join(src.errs...); err != nil {
		return nil, err
	}
	s.assumptions, s.missing = src.assumptions, src.missing
	return s, nil
}
