package law

import "math"

// deltaForm is a gated delta layer's compiled constants.
type deltaForm struct {
	update, conv         float64 // floors of the decode kernels, s
	state, convByte      float64 // s per byte
	chunk, prefillConv   float64 // floors of the prefill kernels, s
	flop, byte, convScan float64 // s per FLOP, byte, byte of the prefill convolution
	serial               float64 // s per serial chunk
	cores                float64
}

func (s *Set) compileDelta(src *source) {
	v := src.need("gated_delta", 0, "bfloat16")
	s.delta = deltaForm{
		update: v.us("update_us"), conv: v.us("conv_us"), state: 1 / (s.hbm * v.share("e_state")),
		convByte: 1 / (s.hbm * v.cached("e_conv")), chunk: v.us("chunk_us"), prefillConv: v.us("scan_us"),
		flop: 1 / (s.bf16 * v.share("ec")), byte: 1 / s.hbm, convScan: 1 / (s.hbm * v.cached("e_scan")),
		serial: v.us("serial_us"), cores: s.cores,
	}
	v.done()
}

// Linear is the recurrence of a gated delta layer on one rank: convolution and
// state update, without the projections (which are GEMMs).
type Linear struct {
	Batch      float64 // decode: sequences; prefill: chunks
	Tokens     float64 // prefill: tokens of all chunks
	Heads      float64 // value heads of this rank
	StateBytes float64 // recurrent state, one read and one write, all sequences
	ActBytes   float64 // q, k, v and output
	ConvBytes  float64 // convolution inputs, outputs and state
	Flops      float64 // prefill: of the chunked form
}

// LinearDecode is one decode step of a gated delta layer: LinearUpdate and LinearShift.
func (s *Set) LinearDecode(x *Linear) Time { return s.LinearUpdate(x).Add(s.LinearShift(x)) }

// LinearUpdate is the recurrent update of a decode step:
//
//	t = t0 + (state + act)/(W·e)
func (s *Set) LinearUpdate(x *Linear) Time {
	if x.Batch <= 0 {
		return Time{}
	}
	f := &s.delta
	return Time{Launch: f.update, KV: x.StateBytes * f.state, Act: x.ActBytes * f.state}
}

// LinearShift is the short convolution of a decode step:
//
//	t = t0 + conv/(W·e)
func (s *Set) LinearShift(x *Linear) Time {
	if x.Batch <= 0 {
		return Time{}
	}
	return Time{Launch: s.delta.conv, Act: x.ConvBytes * s.delta.convByte}
}

// LinearPrefill is a prompt through a gated delta layer: LinearChunks and LinearConv.
func (s *Set) LinearPrefill(x *Linear) Time { return s.LinearChunks(x).Add(s.LinearConv(x)) }

// LinearChunks is the recurrence of a prompt, in chunks of 64 tokens that follow one
// another, four heads at a time on a core:
//
//	t = t0 + F/(P16·ec) + (state + act)/W + c·⌈tokens/batch/64⌉·max(1, batch·heads/cores/4)
func (s *Set) LinearChunks(x *Linear) Time {
	if x.Tokens <= 0 {
		return Time{}
	}
	f := &s.delta
	batch := max(x.Batch, 1)
	serial := math.Ceil(x.Tokens/batch/64) * max(1, batch*x.Heads/f.cores/4)
	return Time{
		Launch: f.chunk, Compute: x.Flops*f.flop + f.serial*serial, KV: x.StateBytes * f.byte, Act: x.ActBytes * f.byte,
	}
}

// LinearConv is the convolution over a prompt:
//
//	t = t0 + conv/(W·e_scan)
func (s *Set) LinearConv(x *Linear) Time {
	if x.Tokens <= 0 {
		return Time{}
	}
	return Time{Launch: s.delta.prefillConv, Act: x.ConvBytes * s.delta.convScan}
}
