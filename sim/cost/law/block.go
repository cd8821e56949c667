package law

import "math"

// blockForm is the compiled constants of a whole attention block; a term that a
// class has not is zero.
type blockForm struct {
	floor      float64
	weight     float64 // s per byte of the projections' weights
	linear     float64 // factor on their FLOPs at the peak
	flop, byte float64 // s per FLOP of the core, byte of KV or gathered entries
	log        float64 // s per e-fold of 1 + logScale·entries
	logScale   float64
	row        float64 // s per row
	tile       float64 // s per (row, head)
	indexFloor float64 // s: the indexer's kernels
	index      float64 // s per byte of index keys (decode), FLOP of scores (prefill)
	topk       float64 // s when the selection kernel runs
	key        float64 // s per key of the longest row's selection
	score      float64 // s per byte of scores
	act        float64 // s per byte of activations
}

// decodeBlock reads what every block has in decode: its projections, and a core of
// the given peak.
func (s *Set) decodeBlock(v *values, peak float64) blockForm {
	return blockForm{
		floor: v.us("t0_us"), weight: 1 / (s.hbm * v.share("ew")), linear: 1 / v.share("el"),
		flop: 1 / (peak * v.share("ec")), byte: 1 / (s.hbm * v.share("em")),
	}
}

// block is what all decode blocks share:
//
//	t0 + pnorm_2(W_l/(W·ew), F_l/(P·el)) + pnorm_2(KV/(W·em), F/(P·ec))
//	+ cRow·rows + cTH·rows·H/128 + cLog·log2(1 + scale·n)
func (s *Set) block(f *blockForm, x *Decode, n float64) Time {
	if x.Batch <= 0 {
		return Time{}
	}
	lc, lw := overlap2(s.seconds(&x.Linear)*f.linear, x.Linear.Bytes*f.weight)
	c, kv := overlap2(x.CoreFlops*f.flop, x.KVBytes*f.byte)
	t := Time{Launch: f.floor, Compute: lc + c + (f.row+f.tile*x.Heads)*x.Rows, Weights: lw, KV: kv}
	if f.log > 0 {
		t.Compute += f.log * math.Log(1+n*f.logScale)
	}
	return t
}

// prefillBlock is what all blocks share over a prompt:
//
//	t0 + pnorm_2(W_l/(W·ew), F_l/(P·el)) + pnorm_2(F/(P16·ec), G/(W·eGather)) + F_i/(P8·eI)
//	+ act/(W·eAct) + scores/(W·eScore) + cRow·tokens
//
// Where the host launches kernel by kernel, the step cannot end before its host
// floor: pnorm_6 of both, the excess booked as launch.
func (s *Set) prefillBlock(f *blockForm, x *Prefill) Time {
	if x.Tokens <= 0 {
		return Time{}
	}
	lc, lw := overlap2(s.seconds(&x.Linear)*f.linear, x.Linear.Bytes*f.weight)
	c, g := overlap2(x.CoreFlops*f.flop, x.GatherBytes*f.byte)
	t := Time{
		Launch: f.floor, Compute: lc + c + x.IndexFlops*f.index + x.Tokens*f.row,
		Weights: lw, KV: g, Act: x.ActBytes*f.act + x.ScoreBytes*f.score,
	}
	if x.HostFloor > 0 {
		gpu := t.Total()
		host, device := overlap(x.HostFloor, gpu, 6)
		t.Launch += host + device - gpu
	}
	return t
}
