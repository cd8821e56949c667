package models

import (
	"cmp"
	"strings"
)

// design is one attention design: how its parameters become projections, cache
// pieces and state. need are the parameters it must have, may those it can.
type design struct {
	name, about string
	need, may   string
	build       func(*builder, *attentionDoc) *Attention
}

// designs is the table of attention designs; a new one is a file and a line here, and
// the law that prices it (forms.go of sim/cost says which).
var designs = []design{
	{"gqa", "grouped-query or multi-head attention, over all tokens or a sliding window",
		"heads kv_heads head_dim", "window qk_norm bias sinks output_gate", (*builder).gqa},
	{"mla", "multi-head latent attention: one latent entry a token, dense",
		"heads nope_dim rope_dim value_dim kv_rank", "q_rank output_gate per_head_kv", (*builder).mla},
	{"dsa", "latent attention over the top-k tokens that an indexer chooses",
		"heads nope_dim rope_dim value_dim kv_rank q_rank topk index_heads index_dim", "shares_topk", (*builder).dsa},
	{"csa", "compressed sparse attention: an entry per ratio tokens, top-k of them, and a window",
		"heads head_dim rope_dim q_rank o_groups o_rank window ratio topk index_heads index_dim", "", (*builder).csa},
	{"hca", "heavily compressed attention: an entry per ratio tokens, all of them, and a window",
		"heads head_dim rope_dim q_rank o_groups o_rank window ratio", "", (*builder).hca},
	{"window", "one shared key-value entry a token over a window, or over all tokens when none is given",
		"heads head_dim rope_dim q_rank o_groups o_rank", "window", (*builder).window},
	{"linear", "constant-size state: gated delta rule, channel-wise gated delta (KDA) or lightning attention",
		"heads head_dim rule", "key_heads key_dim conv", (*builder).linear},
}

// Design is what others may know of an attention design: its name, what it is, and the
// parameters that it needs and can have.
type Design struct {
	Name, About string
	Need, May   []string
}

// Designs lists the attention designs. Each must have a law: sim/cost prices every one
// of them in a test, and refuses a design that it does not know.
func Designs() []Design {
	out := make([]Design, len(designs))
	for i, d := range designs {
		out[i] = Design{d.name, d.about, strings.Fields(d.need), strings.Fields(d.may)}
	}
	return out
}

func findDesign(name string) *design {
	for i := range designs {
		if designs[i].name == name {
			return &designs[i]
		}
	}
	return nil
}

func designNames() []string {
	names := make([]string, len(designs))
	for i, d := range designs {
		names[i] = d.name
	}
	return names
}

// takes tells whether the design needs or may have the parameter.
func (d *design) takes(key string) (need, may bool) {
	has := func(list string) bool { return strings.Contains(" "+list+" ", " "+key+" ") }
	return has(d.need), has(d.need) || has(d.may)
}

// builder turns a checked document into a Model.
type builder struct {
	doc    *document
	breaks []int64
}

// breakAt is the index of a truncation in tokens, added at its first use.
func (b *builder) breakAt(tokens int64) int {
	for i, t := range b.breaks {
		if t == tokens {
			return i
		}
	}
	b.breaks = append(b.breaks, tokens)
	return len(b.breaks) - 1
}

// dense is a weight in the model's weight format.
func (b *builder) dense(name string, in, out int64, shard Shard) Linear {
	return Linear{Name: name, In: in, Out: out, Groups: 1, Format: b.doc.Formats.Weights, Shard: shard, ScaleBytes: b.scaleBytes()}
}

// projection is a dense weight of attention.
func (b *builder) projection(name string, in, out int64, shard Shard) Linear {
	l := b.dense(name, in, out, shard)
	l.Format = cmp.Or(b.doc.Formats.Attention, l.Format)
	return l
}

// output is a projection behind attention.
func (b *builder) output(name string, in, out int64, shard Shard) Linear {
	l := b.projection(name, in, out, shard)
	l.Format = cmp.Or(b.doc.Formats.AttentionOutput, l.Format)
	return l
}

// plain is a weight that checkpoints leave in BF16.
func plain(name string, in, out int64) Linear {
	return Linear{Name: name, In: in, Out: out, Groups: 1, Format: BF16, Shard: Replicated}
}

func (b *builder) scaleBytes() int64 {
	if b.doc.Formats.Scale == "ue8m0" {
		return 1
	}
	return 4
}

// norm is a normalisation weight, a BF16 vector.
func norm(name string, n int64) Tensor { return Tensor{Name: name, Elements: n, Format: BF16} }
