package law

import (
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/topologies"
)

// Variant names the format of an operator's operands.
type Variant string

// Variants. GEMM and MoE take any of them; blocks take BF16, FP8Block and NVFP4
// for their projections. The last five have no kernel tables: constants.go says
// whose constants each uses.
const (
	BF16     Variant = "bfloat16"
	FP8      Variant = "fp8"       // per tensor or token
	FP8Block Variant = "fp8_block" // 128×128 blocks (DeepGEMM)
	NVFP4    Variant = "nvfp4"
	INT8     Variant = "int8"
	MXFP8    Variant = "mxfp8"
	W4A8     Variant = "w4a8"  // 4-bit weights, 8-bit arithmetic (MXFP4 × FP8, INT4 × INT8)
	W4A16    Variant = "w4a16" // 4-bit weights, BF16 arithmetic
	W8A16    Variant = "w8a16" // 8-bit weights, BF16 arithmetic
)

// Linears are the projections inside an attention block on one rank for one step:
// weight bytes read once, and FLOPs by the precision of the arithmetic.
type Linears struct {
	Variant                 Variant
	Bytes                   float64
	Flops16, Flops8, Flops4 float64
}

// peaks are one rank's: FLOP/s, bytes/s.
type peaks struct {
	bf16, fp8, fp4 float64
	hbm            float64
	cores          float64
}

// seconds is the time of the projections' FLOPs at the peaks.
func (p *peaks) seconds(l *Linears) float64 {
	t := l.Flops16 / p.bf16
	if l.Flops8 > 0 {
		t += l.Flops8 / p.fp8
	}
	if l.Flops4 > 0 {
		t += l.Flops4 / p.fp4
	}
	return t
}

// Set holds one rank's peaks and its compiled constants. It is immutable and safe
// for concurrent use.
type Set struct {
	peaks
	assumptions []string
}

// New compiles the constants of a chip (or of its ancestors, with the chip's own
// peaks) for one rank: a die of a package.
func New(chip *topologies.Chip) (*Set, error) {
	if chip == nil {
		return nil, errors.New("law: no chip")
	}
	dies := float64(max(chip.Dies, 1))
	s := &Set{peaks: peaks{hbm: float64(chip.Memory.Bandwidth) / dies, cores: float64(chip.Cores) / dies}}
	s.bf16 = float64(chip.Peak[topologies.BF16]) / dies
	if s.bf16 <= 0 || s.hbm <= 0 || s.cores <= 0 {
		return nil, fmt.Errorf("law: chip %s: BF16 peak, memory bandwidth and cores must be positive", chip.Name)
	}
	return s, nil
}

// Assumptions lists the constants that come from another chip or a vendor's figure.
func (s *Set) Assumptions() []string { return s.assumptions }

// SmallKernel is the time of one small kernel (norm, RoPE, activation, router,
// permute) in seconds: its launch floor under CUDA graphs or the like.
func (s *Set) SmallKernel() float64 { return 0 }
