package law

// mhcForm is the compiled constants of hyper-connections: one kernel pair before
// the blocks and one behind them, both sites of a layer.
type mhcForm struct {
	preFloor, pre, preByte    float64
	postFloor, post, postByte float64
}

type logitsForm struct{ floor, flop, byte, row float64 }

type smallForm struct{ floor, byte float64 }

func (s *Set) compileSmall(src *source) {
	s.compileDelta(src)
	v := src.need("mhc", 0, "bfloat16")
	s.mhc = mhcForm{
		preFloor: v.us("pre_floor_us"), pre: v.us("pre_us"), preByte: 1 / (s.hbm * v.share("e_pre")),
		postFloor: v.us("post_floor_us"), post: v.us("post_us"), postByte: 1 / (s.hbm * v.share("e_post")),
	}
	v.done()
	v = src.need("indexer_logits", 0, "fp8")
	s.logits = logitsForm{
		floor: v.us("t0_us"), flop: 1 / (s.fp8 * v.share("ec")), byte: 1 / (s.hbm * v.cached("em")), row: v.ns("row_ns"),
	}
	v.done()
	v = src.need("small_kernel", 0, "any")
	s.small = smallForm{floor: v.us("t0_us"), byte: 1 / (s.hbm * v.share("em"))}
	v.done()
}

// MHC is one layer's hyper-connections at both sites (attention and FFN): MHCPre
// before the blocks and MHCPost behind them.
func (s *Set) MHC(tokens, hidden float64) Time {
	return s.MHCPre(tokens, hidden).Add(s.MHCPost(tokens, hidden))
}

// MHCPre is the kernels before both blocks of a layer, 20·d bytes a token:
//
//	t = pnorm_4(t_floor, t0 + bytes/(W·e))
func (s *Set) MHCPre(tokens, hidden float64) Time {
	if tokens <= 0 {
		return Time{}
	}
	f := &s.mhc
	floor, bytes := overlap4(f.preFloor, f.pre+20*hidden*tokens*f.preByte)
	return Time{Launch: floor, Act: bytes}
}

// MHCPost is the kernels behind both blocks of a layer, 36·d bytes a token, in the
// same form.
func (s *Set) MHCPost(tokens, hidden float64) Time {
	if tokens <= 0 {
		return Time{}
	}
	f := &s.mhc
	floor, bytes := overlap4(f.postFloor, f.post+36*hidden*tokens*f.postByte)
	return Time{Launch: floor, Act: bytes}
}

// SmallKernel is the time in seconds of one small kernel (norm, RoPE, activation,
// router, permute) at a few tokens: its launch floor under CUDA graphs or the like.
func (s *Set) SmallKernel() float64 { return s.small.floor }

// Elementwise is a number of small kernels that together move so many bytes:
//
//	t = pnorm_4(kernels·t0, bytes/(W·em))
func (s *Set) Elementwise(kernels, bytes float64) Time {
	return s.SmallKernels(kernels*s.small.floor, bytes)
}

// SmallKernels is Elementwise for kernels whose launches take so many seconds together.
func (s *Set) SmallKernels(launches, bytes float64) Time {
	floor, act := overlap4(launches, bytes*s.small.byte)
	return Time{Launch: floor, Act: act}
}

// IndexerLogits is the FP8 score kernel of an indexer alone, over so many query rows:
//
//	t = t0 + pnorm_2(F/(P8·ec), keys/(W·em)) + cRow·rows
func (s *Set) IndexerLogits(rows, flops, bytes float64) Time {
	if rows <= 0 {
		return Time{}
	}
	f := &s.logits
	c, kv := overlap2(flops*f.flop, bytes*f.byte)
	return Time{Launch: f.floor, Compute: c + f.row*rows, KV: kv}
}
