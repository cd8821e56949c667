package models

// gqa is grouped-query attention: kv_heads keys and values of head_dim a token,
// cached for all of the context or for the last window tokens.
//
//	projections  d → (heads + 2·kv_heads)·head_dim, heads·head_dim → d
//	read, held   2·kv_heads·head_dim elements a token; 4·heads·head_dim FLOPs an entry
//
// output_gate doubles the query projection (Qwen3-Next); sinks are one logit a
// head. Positions cost nothing here: they are small kernels.
func (b *builder) gqa(p *attentionDoc) *Attention {
	d := b.doc.Hidden
	q, kv := p.Heads*p.HeadDim, p.KVHeads*p.HeadDim
	qkv := q + 2*kv
	if p.OutputGate {
		qkv += q
	}
	a := &Attention{
		Heads: p.Heads, KVHeads: p.KVHeads, HeadDim: p.HeadDim, ValueDim: p.HeadDim, Window: p.Window,
		Linears:      []Linear{b.projection("qkv", d, qkv, Column), b.output("o", q, d, Row)},
		SmallKernels: 3,
	}
	a.Extra = append(a.Extra, qkNorm(p, q, kv)...)
	if p.Bias != "" {
		a.Extra = append(a.Extra, norm("qkv_bias", q+2*kv))
	}
	if p.Bias == "qkvo" {
		a.Extra = append(a.Extra, norm("o_bias", d))
	}
	if p.Sinks {
		a.Extra = append(a.Extra, norm("sinks", p.Heads))
	}
	if p.QKNorm != "" {
		a.SmallKernels++
	}
	if p.QKNorm == "all" {
		a.NormSums = 2
	}
	if p.OutputGate {
		a.SmallKernels++
	}
	at := 0
	if p.Window > 0 {
		at = b.breakAt(p.Window)
	}
	entry := 2 * p.KVHeads * b.doc.Formats.KV.cacheRun(p.HeadDim)
	flops := 4 * p.Heads * p.HeadDim
	a.Pieces = []Piece{{
		Role: Core, Stride: 1, Break: at, StoreBreak: at, BytesRead: entry, BytesStored: entry,
		DecodeFlops: flops, PrefillFlops: flops, PerHead: true, Format: b.doc.Formats.KV,
	}}
	return a
}

func qkNorm(p *attentionDoc, q, kv int64) []Tensor {
	switch p.QKNorm {
	case "head":
		return []Tensor{norm("q_norm", p.HeadDim), norm("k_norm", p.HeadDim)}
	case "all":
		return []Tensor{norm("q_norm", q), norm("k_norm", kv)}
	}
	return nil
}
