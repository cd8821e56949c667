package models

import "math/big"

// Form says which form of attention prefill's FLOPs are counted in.
type Form int

// PrefillForm is what engines run (V3: per-head keys and values); DecodeForm is
// the absorbed one, in which a prefill costs exactly the sum of its decodes.
const (
	PrefillForm Form = iota
	DecodeForm
)

// DecodeFlops is the split of one decoded token, 2 FLOPs a multiply-add.
type DecodeFlops struct {
	Linear  *big.Int // projections, router, shared and chosen experts
	HC      *big.Int // hyper-connection mixing
	Head    *big.Int
	Core    *big.Int // query-key and attention-value products
	Indexer *big.Int
	State   *big.Int // linear attention's state
	Total   *big.Int
}

// Counts is everything that follows from the architecture for one sequence of
// Context tokens, the one being decoded included. Draft layers count in
// ParamsMTP and CheckpointBytes alone.
type Counts struct {
	Context         int64
	ParamsTotal     *big.Int // main model with embedding and head
	ParamsActive    *big.Int // of one token: chosen experts, head, no embedding
	ParamsMTP       *big.Int
	CheckpointBytes *big.Int // with scales, draft layers and token tables
	KVBytes         *big.Int // entries, index keys and windows
	KVStateBytes    *big.Int
	KVBytesPerToken float64 // slope at long context
	Decode          DecodeFlops
	// DecodeKVBytesRead leaves out state, scores for top-k and writes.
	DecodeKVBytesRead     *big.Int
	DecodeStateBytes      *big.Int // state read and written by a decoded token
	PrefillAttentionFlops *big.Int // Context new tokens after an empty prefix
	PrefillLinearFlops    *big.Int // the same, projections and mixing, no head
	Kinds                 []KindCount
	FFNs                  []FFNCount
}

// FFNCount is one layer's feed-forward block, by kind, and how many layers of
// the main model have it (0: only draft layers do).
type FFNCount struct {
	Kind           string
	Layers         int64
	Params, Active *big.Int // matrix weights: all, and those of one token
	Bytes          *big.Int // all of the block with scales and tables
	ExpertBytes    *big.Int // one routed expert
}

// KindCount is one layer's part, by kind of attention, and how many layers of
// the main model are of that kind (0: only draft layers are).
type KindCount struct {
	Kind, Design          string
	Layers                int64
	AttentionLinearParams *big.Int
	EntriesAttended       *big.Int
	CoreFlops             *big.Int
	IndexerFlops          *big.Int
	StateFlops            *big.Int
	KVBytesRead           *big.Int // core entries
	IndexBytesRead        *big.Int
	KVBytesStored         *big.Int // entries that grow with context
	WindowBytesStored     *big.Int
	IndexBytesStored      *big.Int
	StateBytes            *big.Int
	PrefillCoreFlops      *big.Int
	PrefillIndexerFlops   *big.Int
	PrefillStateFlops     *big.Int
}

// Count computes every figure at a context of L tokens (at least 0).
func (m *Model) Count(L int64) Counts {
	L = max(0, L)
	p := m.params()
	c := Counts{
		Context: L, ParamsTotal: p.total, ParamsActive: p.active, ParamsMTP: p.mtp, CheckpointBytes: p.bytes,
		KVBytes: new(big.Int), KVStateBytes: new(big.Int),
		DecodeKVBytesRead: new(big.Int), DecodeStateBytes: new(big.Int),
		PrefillAttentionFlops: m.PrefillAttention(0, L, PrefillForm),
		Decode: DecodeFlops{Linear: new(big.Int), HC: new(big.Int), Core: new(big.Int), Indexer: new(big.Int),
			State: new(big.Int), Head: big64(m.Head.Params() * 2), Total: new(big.Int)},
	}
	for _, layer := range m.Layers {
		c.addLayer(m, layer, L)
	}
	c.PrefillLinearFlops = new(big.Int).Add(c.Decode.Linear, c.Decode.HC)
	c.PrefillLinearFlops.Mul(c.PrefillLinearFlops, big64(L))
	for _, part := range []*big.Int{c.Decode.Linear, c.Decode.HC, c.Decode.Head, c.Decode.Core, c.Decode.Indexer, c.Decode.State} {
		c.Decode.Total.Add(c.Decode.Total, part)
	}
	c.Kinds, c.FFNs = m.kinds(L), m.ffns()
	return c
}

func (c *Counts) addLayer(m *Model, layer Layer, L int64) {
	a := layer.Attention
	add(c.Decode.Linear, 2*layer.linearParams())
	add(c.Decode.HC, layer.HCFlops)
	add(c.Decode.State, a.StateFlops)
	add(c.KVStateBytes, a.StateBytes)
	add(c.DecodeStateBytes, a.StateRead)
	for _, p := range a.Pieces {
		read, held := p.Reads(m.Breaks, L), p.Holds(m.Breaks, L)
		flops := c.Decode.Core
		if p.Role == Index {
			flops = c.Decode.Indexer
		}
		addMul(flops, read, p.DecodeFlops)
		addMul(c.DecodeKVBytesRead, read, p.BytesRead)
		addMul(c.KVBytes, held, p.BytesStored)
		if p.StoreBreak == 0 {
			c.KVBytesPerToken += float64(p.BytesStored) / float64(p.Stride)
		}
	}
}

// linearParams are the weights that a token multiplies with in this layer.
func (l Layer) linearParams() int64 {
	return sumParams(l.Attention.Linears) + l.FFN.active()
}

// active are the weights that one token multiplies with.
func (f *FFN) active() int64 {
	total := sumParams(f.Linears)
	if e := f.MoE; e != nil {
		total += e.Gate.Params() + sumParams(e.Latent) + sumParams(e.Shared) + e.TopK*e.ExpertParams()
	}
	return total
}

// Reads is how many entries a query at context L (its own token included) reads.
func (p Piece) Reads(breaks []int64, L int64) int64 {
	return min(L/p.Stride, breaks[p.Break]/p.Stride)
}

// Holds is how many entries a sequence of L tokens keeps.
func (p Piece) Holds(breaks []int64, L int64) int64 {
	return min(L/p.Stride, breaks[p.StoreBreak]/p.Stride)
}

// PrefillAttention is the FLOPs of core attention, indexer and state for n new
// tokens after a prefix of p. The prefix's own re-projection (PrefixFlops) is
// apart: it depends on how often the prompt is cut into chunks.
func (m *Model) PrefillAttention(prefix, n int64, form Form) *big.Int {
	total := new(big.Int)
	if n <= 0 {
		return total
	}
	for _, group := range m.groups() {
		one := group.attention.prefill(m.Breaks, max(0, prefix), n, form)
		total.Add(total, one.Mul(one, big64(group.main)))
	}
	return total
}

func (a *Attention) prefill(breaks []int64, prefix, n int64, form Form) *big.Int {
	total := new(big.Int)
	state := a.PrefillStateFlops
	if form == DecodeForm {
		state = a.StateFlops
	}
	addMul(total, n, state)
	for _, p := range a.Pieces {
		total.Add(total, p.prefill(breaks, prefix, n, form))
	}
	return total
}

func (p Piece) prefill(breaks []int64, prefix, n int64, form Form) *big.Int {
	flops := p.PrefillFlops
	if form == DecodeForm {
		flops = p.DecodeFlops
	}
	pairs := pairsUpTo(prefix+n, p.Stride, breaks[p.Break]/p.Stride)
	pairs.Sub(pairs, pairsUpTo(prefix, p.Stride, breaks[p.Break]/p.Stride))
	return pairs.Mul(pairs, big64(flops))
}

// PrefillLinear is the FLOPs of projections, experts and mixing for n tokens,
// without the head.
func (m *Model) PrefillLinear(n int64) *big.Int {
	total := new(big.Int)
	for _, l := range m.Layers {
		add(total, 2*l.linearParams()+l.HCFlops)
	}
	return total.Mul(total, big64(max(0, n)))
}

// KVBytes is what the cache of a sequence of L tokens holds in the main model,
// state apart.
func (m *Model) KVBytes(L int64) int64 {
	total := int64(0)
	for _, l := range m.Layers {
		for _, p := range l.Attention.Pieces {
			total += p.Holds(m.Breaks, L) * p.BytesStored
		}
	}
	return total
}

// KVStateBytes is what a sequence holds whatever its length.
func (m *Model) KVStateBytes() int64 {
	total := int64(0)
	for _, l := range m.Layers {
		total += l.Attention.StateBytes
	}
	return total
}
