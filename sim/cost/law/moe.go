package law

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
	// Skewed says that loads differ between the rank's experts: 10 % more FLOPs.
	Skewed bool
}

// MoE is align, permute, both grouped GEMMs, activation and finalise on one rank:
// no router GEMM, no communication, no shared expert.
func (s *Set) MoE(x MoE) Time { return Time{} }

// MegaMoE is dispatch, experts and combine in one kernel, in waves.
type MegaMoE struct {
	Tokens, TopK, Hidden, Inter, Mats float64 // Tokens of this rank
	Pairs, Touched                    float64 // on this rank
	EP                                float64 // ranks of the group
	Bandwidth                         float64 // of the links, bytes/s, one direction per rank
}

// MegaMoE returns the fused kernel's time; Wire is the links' share of it.
func (s *Set) MegaMoE(x MegaMoE) Time { return Time{} }
