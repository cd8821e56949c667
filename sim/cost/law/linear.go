package law

// Linear is the recurrence of a gated delta layer on one rank: convolution and
// state update, without the projections (which are GEMMs).
type Linear struct {
	Batch      float64 // decode: sequences; prefill: chunks
	Tokens     float64 // prefill: tokens
	Heads      float64 // value heads of this rank
	StateBytes float64 // decode: recurrent state, one read and one write, all sequences
	ActBytes   float64 // q, k, v, gates and output
	ConvBytes  float64 // convolution inputs, outputs and state
	Flops      float64 // prefill: of the chunked form
}

// LinearDecode is one decode step of a gated delta layer.
func (s *Set) LinearDecode(x *Linear) Time { return Time{} }

// LinearPrefill is a prompt through a gated delta layer, in chunks of 64 tokens.
func (s *Set) LinearPrefill(x *Linear) Time { return Time{} }
