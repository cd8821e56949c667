package models

// linear is attention whose memory is one head_dim × key_dim FP32 state a head,
// whatever the context: heads value heads of head_dim, key_heads of key_dim
// (both default to the former).
//
//	delta      gated delta rule (Qwen3-Next, arXiv 2412.06464): S·k, rank-one update, q·S: 6·dk·dv FLOPs a head
//	kda        the same with a decay a channel (Kimi Linear, arXiv 2510.26692) through a low-rank projection
//	lightning  decayed outer products (MiniMax-M1, arXiv 2506.13585): update, q·S: 4·dk·dv FLOPs a head
//
// A decoded token reads and writes the state once. Prefill runs in chunks of c
// tokens (64; lightning 256), which adds the products inside a chunk:
// 2·c·(3·dk + 2·dv) a token and head for the delta rules, 2·c·(dk + dv) for
// lightning; the triangular inverse of a chunk is not counted.
func (b *builder) linear(p *attentionDoc) *Attention {
	dv, dk, keys := p.HeadDim, p.KeyDim, p.KeyHeads
	if dk == 0 {
		dk = dv
	}
	if keys == 0 {
		keys = p.Heads
	}
	a := &Attention{Heads: p.Heads, KVHeads: keys, HeadDim: dk, ValueDim: dv, SmallKernels: 7}
	v, k, d := p.Heads*dv, keys*dk, b.doc.Hidden
	switch p.Rule {
	case "delta":
		a.Linears = []Linear{b.projection("qkvz", d, 2*k+2*v, Column), b.projection("ba", d, 2*p.Heads, Column)}
		a.Extra = []Tensor{norm("dt_bias", p.Heads), norm("a_log", p.Heads), norm("o_norm", dv)}
	case "kda":
		a.Linears = []Linear{b.projection("qkvg", d, 2*k+2*v, Column), b.projection("beta", d, p.Heads, Column),
			b.projection("decay_a", d, dv, Replicated), b.projection("decay_b", dv, k, Column)}
		a.Extra = []Tensor{norm("dt_bias", k), norm("a_log", p.Heads), norm("o_norm", dv)}
	case "lightning":
		a.Linears = []Linear{b.projection("qkvg", d, 2*k+2*v, Column)}
		a.Extra = []Tensor{norm("o_norm", v)}
	}
	a.Linears = append(a.Linears, b.output("o", v, d, Row))
	if p.Conv > 0 {
		a.Extra = append(a.Extra, norm("conv", (2*k+v)*p.Conv))
	}
	b.linearState(a, p, dk, dv, (2*k+v)*max(0, p.Conv-1)*2)
	return a
}

func (b *builder) linearState(a *Attention, p *attentionDoc, dk, dv, tail int64) {
	a.StateBytes = p.Heads*dk*dv*4 + tail
	a.StateRead = 2 * a.StateBytes
	product := p.Heads * dk * dv
	if p.Rule == "lightning" {
		a.StateFlops = 4 * product
		a.PrefillStateFlops = a.StateFlops + p.Heads*2*256*(dk+dv)
		return
	}
	a.StateFlops = 6 * product
	a.PrefillStateFlops = a.StateFlops + p.Heads*2*64*(3*dk+2*dv)
}
