package models

import (
	"math/big"
	"slices"
)

// params are the model's weights, counted once.
type params struct {
	total, active, mtp, bytes *big.Int
}

// params walks every tensor of the checkpoint. total is the main model with
// embedding and head; active is what one token uses: chosen experts only, head
// included, embedding not. bytes has scales, token tables and draft layers too.
func (m *Model) params() params {
	p := params{new(big.Int), new(big.Int), new(big.Int), new(big.Int)}
	for _, l := range m.Layers {
		all, used := l.params(func(n, each int64) { addMul(p.bytes, n, each) })
		p.total.Add(p.total, all)
		p.active.Add(p.active, used)
	}
	for _, l := range m.MTP {
		all, _ := l.params(func(n, each int64) { addMul(p.bytes, n, each) })
		p.mtp.Add(p.mtp, all)
	}
	for _, l := range m.MTPLinears {
		add(p.mtp, l.Params())
		add(p.bytes, l.Bytes())
	}
	for _, t := range m.MTPExtra {
		add(p.mtp, t.Elements)
		add(p.bytes, t.Bytes())
	}
	for _, t := range m.Extra {
		add(p.total, t.Elements)
		add(p.active, t.Elements)
		add(p.bytes, t.Bytes())
	}
	add(p.total, m.Embedding.Params())
	add(p.bytes, m.Embedding.Bytes())
	add(p.active, m.Head.Params())
	if !m.Tied {
		add(p.total, m.Head.Params())
		add(p.bytes, m.Head.Bytes())
	}
	return p
}

// params returns all weights of a layer and those that one token uses, and
// tells bytes how much each tensor takes.
func (l Layer) params(bytes func(n, each int64)) (all, used *big.Int) {
	all = new(big.Int)
	linears := func(ls []Linear) {
		for _, x := range ls {
			add(all, x.Params())
			bytes(1, x.Bytes())
		}
	}
	tensors := func(ts []Tensor) {
		for _, t := range ts {
			bytes(1, t.Bytes())
			if !t.Buffer {
				add(all, t.Elements)
			}
		}
	}
	linears(l.Attention.Linears)
	tensors(l.Attention.Extra)
	linears(l.FFN.Linears)
	tensors(l.Extra)
	used = new(big.Int)
	if e := l.FFN.MoE; e != nil {
		linears([]Linear{e.Gate})
		linears(e.Latent)
		linears(e.Shared)
		tensors(e.Extra)
		used.Set(all)
		expert := e.ExpertParams() + e.ExpertBias
		addMul(all, e.Experts, expert)
		addMul(used, e.TopK, expert)
		bytes(e.Experts, e.ExpertBytes())
		return all, used
	}
	return all, used.Set(all)
}

// LayerBytes is what one layer takes in memory; replicated is the part without
// its routed experts.
func (l Layer) LayerBytes() (total, replicated int64) {
	l.params(func(n, each int64) { total += n * each })
	replicated = total
	if e := l.FFN.MoE; e != nil {
		replicated -= e.Experts * e.ExpertBytes()
	}
	return total, replicated
}

// ffns counts one block of every kind, in the order of their first layer.
func (m *Model) ffns() []FFNCount {
	var out []FFNCount
	var seen []*FFN
	note := func(f *FFN, layers int64) {
		i := slices.Index(seen, f)
		if i < 0 {
			i = len(seen)
			seen = append(seen, f)
			out = append(out, f.count())
		}
		out[i].Layers += layers
	}
	for _, l := range m.Layers {
		note(l.FFN, 1)
	}
	for _, l := range m.MTP {
		note(l.FFN, 0)
	}
	return out
}

func (f *FFN) count() FFNCount {
	bytes := new(big.Int)
	Layer{Attention: &Attention{}, FFN: f}.params(func(n, each int64) { addMul(bytes, n, each) })
	c := FFNCount{Kind: f.Label, Active: big64(f.active()), Params: big64(f.active()), Bytes: bytes, ExpertBytes: new(big.Int)}
	if e := f.MoE; e != nil {
		addMul(c.Params, e.Experts-e.TopK, e.ExpertParams())
		add(c.ExpertBytes, e.ExpertBytes())
	}
	return c
}
