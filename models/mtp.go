package models

// mtp adds the draft module: its layers, the projection that joins the previous
// hidden state with the next token's embedding, three norms and, where the
// checkpoint has them a second time, embedding and head (V3: joint and copied;
// V4: two FP8 projections, shared). Every draft layer has its own projection and
// norms, and one pass through it drafts one token.
func (b *builder) mtp(m *Model, layer func(string) Layer) {
	p, d := b.doc.MTP, b.doc.Hidden
	for _, name := range p.Layers {
		m.MTP = append(m.MTP, layer(name))
		if p.Projection == "split" {
			m.MTPLinears = append(m.MTPLinears, b.dense("e_proj", d, d, Replicated), b.dense("h_proj", d, d, Replicated))
		} else {
			m.MTPLinears = append(m.MTPLinears, plain("eh_proj", 2*d, d))
		}
		m.MTPExtra = append(m.MTPExtra, norm("mtp_norms", 3*d))
		if b.doc.HC > 1 {
			m.MTPExtra = append(m.MTPExtra, b.hcHead())
		}
	}
	if p.Embeddings == "copied" {
		m.MTPExtra = append(m.MTPExtra, norm("mtp_embedding", b.doc.Vocab*d), norm("mtp_head", b.doc.Vocab*d))
	}
	m.AcceptedLength = nonDecreasing(p.AcceptedLength)
}

// nonDecreasing is the running maximum: a longer draft never yields fewer tokens.
func nonDecreasing(published []float64) []float64 {
	out := make([]float64, len(published))
	best := 0.0
	for i, v := range published {
		best = max(best, v)
		out[i] = best
	}
	return out
}
