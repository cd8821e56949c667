package models

// csa is V4's compressed sparse attention (arXiv 2606.19348 §2.3.1, eq. 11-12):
// beside the window, one entry per ratio tokens, pooled over 2·ratio of them; an
// indexer with a compressor of its own chooses topk entries.
//
//	reads  min(L, window) + min(⌊L/ratio⌋, topk) entries and ⌊L/ratio⌋ index keys
//	held   min(L, window) + ⌊L/ratio⌋ entries and as many keys; 2·ratio FP32 rows of state
//
// Pooling's own softmax is not counted, nor the scores written for top-k.
func (b *builder) csa(p *attentionDoc) *Attention {
	a := b.window(p)
	a.TopK, a.RunsIndexer, a.IndexHeads, a.IndexDim = p.TopK, true, p.IndexHeads, p.IndexDim
	a.compressor("compressor", b.doc.Hidden, 2*p.HeadDim, 2*p.Ratio, p.Ratio)
	a.compressor("index_compressor", b.doc.Hidden, 2*p.IndexDim, 2*p.Ratio, p.Ratio)
	a.Linears = append(a.Linears,
		b.projection("index_q", p.QRank, p.IndexHeads*p.IndexDim, Replicated),
		plain("index_weights", b.doc.Hidden, p.IndexHeads))
	a.Extra = append(a.Extra, norm("compressed_norm", p.HeadDim), norm("index_norm", p.IndexDim))
	a.Pieces = append(a.Pieces, b.sharedEntry(p, p.Ratio, b.breakAt(p.Ratio*p.TopK), 0), b.indexPiece(p, p.Ratio))
	a.SmallKernels += 6 + 2
	return a
}
