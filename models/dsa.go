package models

// dsa is DeepSeek sparse attention (V3.2, GLM-5): latent attention over the topk
// tokens that an indexer of index_heads × index_dim scores highest. All tokens
// stay cached, with one index key each; a query scores every key.
//
//	indexer  q_rank → index_heads·index_dim, d → index_dim, d → index_heads (BF16)
//	reads    min(L, topk) entries; L keys of 2·index_heads·index_dim FLOPs
//
// Prefill runs the absorbed form, as sparse kernels do; the dense form that
// engines use below topk tokens of context is not modelled. A layer that
// shares_topk has neither indexer weights nor keys (GLM-5.2).
func (b *builder) dsa(p *attentionDoc) *Attention {
	a := b.latent(p)
	a.TopK, a.RunsIndexer = p.TopK, !p.SharesTopK
	entry := latentEntry(b.doc.Formats.KV, p.KVRank, p.RopeDim, 128, 4)
	flops := 2 * p.Heads * (2*p.KVRank + p.RopeDim)
	a.Pieces = []Piece{{
		Role: Core, Stride: 1, Break: b.breakAt(p.TopK), BytesRead: entry, BytesStored: entry,
		DecodeFlops: flops, PrefillFlops: flops, Format: b.doc.Formats.KV,
	}}
	if p.SharesTopK {
		return a
	}
	a.IndexHeads, a.IndexDim = p.IndexHeads, p.IndexDim
	a.Linears = append(a.Linears,
		b.projection("index_q", p.QRank, p.IndexHeads*p.IndexDim, Replicated),
		b.projection("index_k", b.doc.Hidden, p.IndexDim, Replicated),
		plain("index_weights", b.doc.Hidden, p.IndexHeads))
	a.Extra = append(a.Extra, Tensor{Name: "index_k_norm", Elements: 2 * p.IndexDim, Format: FP32})
	a.Pieces = append(a.Pieces, b.indexPiece(p, 1))
	a.SmallKernels += 6
	return a
}

// indexPiece is the key that an indexer keeps for every stride tokens.
func (b *builder) indexPiece(p *attentionDoc, stride int64) Piece {
	key := indexKey(b.doc.Formats.Indexer, p.IndexDim)
	flops := 2 * p.IndexHeads * p.IndexDim
	return Piece{
		Role: Index, Stride: stride, BytesRead: key, BytesStored: key,
		DecodeFlops: flops, PrefillFlops: flops, Format: b.doc.Formats.Indexer,
	}
}
