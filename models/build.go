package models

import "strings"

// build turns a checked document into a Model. Layers of the same kind share
// one *Attention and one *FFN.
func build(doc *document) *Model {
	b := &builder{doc: doc, breaks: []int64{Unlimited}}
	m := &Model{
		Name: doc.Name, Aliases: doc.Aliases, Source: doc.Source, Difference: doc.Difference,
		Hidden: doc.Hidden, Vocab: doc.Vocab, MaxContext: doc.MaxContext, Tied: doc.TiedHead, HC: max(1, doc.HC),
		Embedding: plain("embedding", doc.Vocab, doc.Hidden),
		Head:      Linear{Name: "head", In: doc.Hidden, Out: doc.Vocab, Groups: 1, Format: BF16, Shard: Column},
		Extra:     []Tensor{norm("final_norm", doc.Hidden)},
		Formats: Formats{
			Weights: doc.Formats.Weights, Attention: doc.Formats.Attention, AttentionOutput: doc.Formats.AttentionOutput,
			Experts: doc.Formats.Experts, Router: doc.Formats.Router, KV: doc.Formats.KV, Indexer: doc.Formats.Indexer,
		},
		Notes: doc.notes, doc: doc,
	}
	if doc.Published != nil {
		m.Published = doc.Published.Parameters
	}
	if doc.HC > 1 {
		m.Extra = append(m.Extra, b.hcHead())
	}
	layer := b.layers()
	for _, run := range doc.Layers {
		for range max(1, run.Repeat) {
			for _, name := range run.Pattern {
				m.Layers = append(m.Layers, layer(name))
			}
		}
	}
	if doc.MTP != nil {
		b.mtp(m, layer)
	}
	m.Breaks = b.breaks
	return m
}

// layers returns the constructor of a layer by its "attention/ffn" name.
func (b *builder) layers() func(string) Layer {
	attention, ffn := map[string]*Attention{}, map[string]*FFN{}
	return func(name string) Layer {
		an, fn, _ := strings.Cut(name, "/")
		if attention[an] == nil {
			p := b.doc.Attention[an]
			attention[an] = findDesign(p.Design).build(b, p)
			attention[an].Design, attention[an].Label = p.Design, an
		}
		if ffn[fn] == nil {
			ffn[fn] = b.ffn(b.doc.FFN[fn])
			ffn[fn].Label = fn
		}
		l := Layer{Attention: attention[an], FFN: ffn[fn], Extra: []Tensor{norm("norms", 2*b.doc.Hidden)}}
		if h := b.doc.HC; h > 1 {
			l.HCFlops = 2 * 2 * b.hcWeights()
			l.Extra = append(l.Extra, Tensor{Name: "hyper_connections", Elements: 2 * b.hcWeights(), Format: FP32})
		}
		return l
	}
}

// hcWeights are the dynamic mixing weights of one of a layer's two blocks:
// (2+h)·h outputs from h·d inputs, their base and three scales
// (arXiv 2606.19348 §2.2). Each is one multiply-add a token.
func (b *builder) hcWeights() int64 {
	h := b.doc.HC
	n := (2 + h) * h
	return n*h*b.doc.Hidden + n + 3
}

func (b *builder) hcHead() Tensor {
	h := b.doc.HC
	return Tensor{Name: "hc_head", Elements: h*h*b.doc.Hidden + h + 1, Format: FP32}
}
