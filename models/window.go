package models

// window is V4's attention without compression (arXiv 2606.19348 §2.3): one
// entry of head_dim a token serves as key and value of all heads, over the last
// window tokens. With no window it is dense over all tokens, which is what an
// uncompressed V4 runs.
//
//	projections  d → q_rank → heads·head_dim; d → head_dim; o_groups × (heads·head_dim/o_groups → o_rank); o_groups·o_rank → d
//	reads        min(L, window) entries, 4·heads·head_dim FLOPs each, the same form in prefill and decode
func (b *builder) window(p *attentionDoc) *Attention {
	d := b.doc.Hidden
	group := b.output("o_a", p.Heads*p.HeadDim/p.OGroups, p.ORank, Column)
	group.Groups, group.Compute = p.OGroups, BF16
	a := &Attention{
		Heads: p.Heads, KVHeads: 1, HeadDim: p.HeadDim, ValueDim: p.HeadDim, Window: p.Window,
		Linears: []Linear{
			b.projection("qkv_a", d, p.QRank+p.HeadDim, Replicated),
			b.projection("q_b", p.QRank, p.Heads*p.HeadDim, Column),
			group,
			b.output("o_b", p.OGroups*p.ORank, d, Row),
		},
		Extra: []Tensor{norm("q_norm", p.QRank), norm("kv_norm", p.HeadDim),
			{Name: "sinks", Elements: p.Heads, Format: FP32}},
		SmallKernels: 5,
	}
	at := 0
	if p.Window > 0 {
		at = b.breakAt(p.Window)
	}
	a.Pieces = []Piece{b.sharedEntry(p, 1, at, at)}
	return a
}

// sharedEntry is V4's cache entry for every stride tokens: head_dim elements,
// rope_dim of them in BF16.
func (b *builder) sharedEntry(p *attentionDoc, stride int64, read, held int) Piece {
	entry := latentEntry(b.doc.Formats.KV, p.HeadDim-p.RopeDim, p.RopeDim, 64, 1)
	flops := 4 * p.Heads * p.HeadDim
	return Piece{
		Role: Core, Stride: stride, Break: read, StoreBreak: held, BytesRead: entry, BytesStored: entry,
		DecodeFlops: flops, PrefillFlops: flops, Format: b.doc.Formats.KV,
	}
}

// compressor adds a pooling projection and its running state: rows of kv and
// score, FP32, width elements each, pooled over span tokens and emitted every
// ratio. Every token writes a row; a flush reads the span, charged as its share
// a token.
func (a *Attention) compressor(name string, hidden, width, span, ratio int64) {
	row := 2 * width * 4
	a.Linears = append(a.Linears, plain(name, hidden, 2*width))
	a.Extra = append(a.Extra, Tensor{Name: name + "_ape", Elements: ratio * width, Format: FP32})
	a.StateBytes += span * row
	a.StateRead += row + ceilDiv(span*row, ratio)
}
