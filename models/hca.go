package models

// hca is V4's heavily compressed attention (arXiv 2606.19348 §2.3.2): beside the
// window, one entry per ratio tokens, pooled over just those, all of them read.
//
//	reads, held  min(L, window) + ⌊L/ratio⌋ entries; ratio FP32 rows of state
func (b *builder) hca(p *attentionDoc) *Attention {
	a := b.window(p)
	a.compressor("compressor", b.doc.Hidden, p.HeadDim, p.Ratio, p.Ratio)
	a.Extra = append(a.Extra, norm("compressed_norm", p.HeadDim))
	a.Pieces = append(a.Pieces, b.sharedEntry(p, p.Ratio, 0, 0))
	a.SmallKernels += 2
	return a
}
