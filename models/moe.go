package models

// ffn builds a dense gated MLP (d → 2·inter → d) or a mixture of experts: a router
// over all experts (in BF16, or in FP32 where engines keep it so), topk routed experts
// of three d×inter matrices (or of latent×inter between two projections), and shared
// experts, which every token runs. Hash-routed layers choose by token id from a table,
// but still score.
func (b *builder) ffn(p *ffnDoc) *FFN {
	d := b.doc.Hidden
	if p.Experts == 0 {
		return &FFN{Linears: b.mlp(p.Inter), SmallKernels: 2}
	}
	m := &MoE{
		Experts: p.Experts, TopK: p.TopK, In: d, Inter: p.Inter, Mats: 3,
		Format: b.doc.Formats.Experts, ScaleBytes: b.scaleBytes(),
		Gate: plain("router", d, p.Experts), HashRouted: p.Hash, Groups: p.Groups, TopKGroups: p.TopKGroups,
	}
	if f := b.doc.Formats.Router; f != "" {
		m.Gate.Format = f
	}
	if p.Latent > 0 {
		m.In = p.Latent
		m.Latent = []Linear{b.dense("latent_down", d, p.Latent, Replicated), b.dense("latent_up", p.Latent, d, Replicated)}
		for i := range m.Latent {
			m.Latent[i].Format = m.Format
		}
		m.Extra = append(m.Extra, norm("latent_norm", p.Latent))
	}
	f := &FFN{MoE: m, SmallKernels: 4}
	if p.Shared > 0 {
		m.Shared = b.mlp(p.Shared)
		f.SmallKernels += 2
	}
	if p.SharedGate {
		m.Shared = append(m.Shared, plain("shared_gate", d, 1))
	}
	if p.RouterBias != "" {
		m.Extra = append(m.Extra, Tensor{Name: "router_bias", Elements: p.Experts, Format: p.RouterBias})
	}
	if p.Bias {
		m.ExpertBias = 2*p.Inter + m.In
	}
	if p.Hash {
		m.Extra = append(m.Extra, Tensor{Name: "token_to_expert", Elements: b.doc.Vocab * p.TopK, Format: INT64, Buffer: true})
	}
	return f
}

func (b *builder) mlp(inter int64) []Linear {
	return []Linear{b.dense("gate_up", b.doc.Hidden, 2*inter, Column), b.dense("down", inter, b.doc.Hidden, Row)}
}
