package models

// mla is multi-head latent attention (arXiv 2405.04434): a latent of kv_rank and
// one RoPE key of rope_dim a token, shared by all heads.
//
//	projections    d → q_rank → heads·(nope+rope); d → kv_rank+rope; kv_rank → heads·(nope+value); heads·value → d
//	decode form    absorbed: 2·heads·(2·kv_rank + rope) FLOPs an entry
//	prefill form   per-head keys and values: 2·heads·(nope + rope + value) FLOPs an entry
//
// Absorption costs exactly the products of kv_b, so kv_b is counted once a token
// in both forms. With per_head_kv the cache holds the keys and values of every
// head and both forms are the second one.
func (b *builder) mla(p *attentionDoc) *Attention {
	a := b.latent(p)
	entry := latentEntry(b.doc.Formats.KV, p.KVRank, p.RopeDim, 128, 4)
	mha := 2 * p.Heads * (p.NopeDim + p.RopeDim + p.ValueDim)
	piece := Piece{
		Role: Core, Stride: 1, BytesRead: entry, BytesStored: entry, Format: b.doc.Formats.KV,
		DecodeFlops: 2 * p.Heads * (2*p.KVRank + p.RopeDim), PrefillFlops: mha,
	}
	a.PrefixFlops = 2 * p.KVRank * p.Heads * (p.NopeDim + p.ValueDim)
	if p.PerHeadKV {
		f := b.doc.Formats.KV
		piece.BytesStored = p.Heads * (f.cacheRun(p.NopeDim+p.RopeDim) + f.cacheRun(p.ValueDim))
		piece.BytesRead, piece.DecodeFlops, piece.PerHead = piece.BytesStored, mha, true
		a.KVHeads, a.HeadDim, a.ValueDim, a.PrefixFlops = p.Heads, p.NopeDim+p.RopeDim, p.ValueDim, 0
	}
	a.Pieces = []Piece{piece}
	return a
}

// latent is what mla and dsa share: the projections and norms.
func (b *builder) latent(p *attentionDoc) *Attention {
	d, qk := b.doc.Hidden, p.NopeDim+p.RopeDim
	a := &Attention{Heads: p.Heads, KVHeads: 1, HeadDim: p.KVRank + p.RopeDim, ValueDim: p.KVRank, SmallKernels: 5}
	if p.QRank > 0 {
		a.Linears = append(a.Linears, b.projection("qkv_a", d, p.QRank+p.KVRank+p.RopeDim, Replicated),
			b.projection("q_b", p.QRank, p.Heads*qk, Column))
		a.Extra = append(a.Extra, norm("q_norm", p.QRank))
	} else {
		a.Linears = append(a.Linears, b.projection("kv_a", d, p.KVRank+p.RopeDim, Replicated),
			b.projection("q", d, p.Heads*qk, Column))
	}
	if p.OutputGate {
		a.Linears = append(a.Linears, b.projection("gate", d, p.Heads*p.ValueDim, Column))
		a.SmallKernels++
	}
	a.Linears = append(a.Linears, b.projection("kv_b", p.KVRank, p.Heads*(p.NopeDim+p.ValueDim), Column),
		b.output("o", p.Heads*p.ValueDim, d, Row))
	a.Extra = append(a.Extra, norm("kv_norm", p.KVRank))
	return a
}
