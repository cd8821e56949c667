package cost

import (
	"math/bits"
	"sort"

	"github.com/clustersim/clustersim/models"
)

// Memory is what one rank's HBM is used for, in bytes. With pipeline stages it is
// the fullest stage's.
type Memory struct {
	Capacity    int64
	Weights     []WeightPart // by part, largest first
	WeightBytes int64        // their sum
	Activations int64        // workspace for MaxTokens rows
	Reserve     int64        // the part of Capacity that the engine leaves alone
	Free        int64        // for the KV cache

	cache    cacheBytes // of one rank
	transfer cacheBytes // of the whole model, every byte once
}

// WeightPart is one line of the account of weights.
type WeightPart struct {
	Name  string
	Bytes int64
}

// cacheBytes counts the bytes of cached sequences exactly: unit[j] for each
// 1/scale of a token of Σ min(L, Breaks[j]), fixed for each sequence.
type cacheBytes struct {
	unit   [models.MaxBreaks]int64
	scale  int64
	fixed  int64 // state, half a page of what grows
	breaks []int64
}

// add counts a layer's pieces and state, share/of of those that TP divides.
func (c *cacheBytes) add(a *models.Attention, kvShare, kvOf, stateShare, stateOf int64) {
	for _, p := range a.Pieces {
		bytes := p.BytesStored
		if p.PerHead {
			bytes = ceilDiv(bytes*kvShare, kvOf)
		}
		c.unit[p.StoreBreak] += bytes * (c.scale / p.Stride)
	}
	c.fixed += ceilDiv(a.StateBytes*stateShare, stateOf)
}

// sum is ⌈Σ context·unit / scale⌉ + sequences·fixed, in 128 bits inside.
func (c *cacheBytes) sum(context *[models.MaxBreaks]int64, sequences int64) int64 {
	var hi, lo uint64
	for j := range c.breaks {
		h, l := bits.Mul64(uint64(max(0, context[j])), uint64(c.unit[j]))
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi += h + carry
	}
	by := uint64(c.scale) << ContextShift
	if hi >= by { // beyond every memory
		return 1 << 62
	}
	q, r := bits.Div64(hi, lo, by)
	if r > 0 {
		q++
	}
	return int64(min(q, 1<<62)) + sequences*c.fixed
}

func (c *cacheBytes) sequence(tokens int64) int64 {
	var context [models.MaxBreaks]int64
	for j, b := range c.breaks {
		context[j] = min(tokens, b, 1<<45) << ContextShift
	}
	return c.sum(&context, 1)
}

// KVBytes is what a rank's sequences hold, from sums the engine keeps:
// context[j] = Σ min(L, Breaks[j]) in 2^-ContextShift tokens. It charges half a
// page a sequence for rounding, and the fixed state and windows.
func (m *Memory) KVBytes(context [models.MaxBreaks]int64, sequences int64) int64 {
	return m.cache.sum(&context, sequences)
}

// SequenceBytes is what one sequence of a length holds on a rank.
func (m *Memory) SequenceBytes(tokens int64) int64 { return m.cache.sequence(tokens) }

// TransferBytes is what goes from a prefill to a decode instance for a prompt of
// a length: every byte of the cache once, however many ranks keep a copy.
func (m *Memory) TransferBytes(tokens int64) int64 { return m.transfer.sequence(tokens) }

// account fills the memory of the fullest pipeline stage.
func (s *Stepper) account() Memory {
	c := &s.config
	m := Memory{Capacity: int64(c.Chip.Memory.Capacity) / int64(max(1, c.Chip.Dies))}
	m.Activations = s.workspace()
	m.Weights = s.weights()
	for _, w := range m.Weights {
		m.WeightBytes += w.Bytes
	}
	m.Reserve = m.reserve(c.Engine)
	m.Free = m.Capacity - m.Reserve - m.WeightBytes - m.Activations
	s.caches(&m)
	return m
}

// reserve is what an engine leaves alone: the rest of its fraction f, of HBM; of HBM
// less the activations that live there; or of what weights and activations leave.
func (m *Memory) reserve(e *Engine) int64 {
	rest := 1 - e.MemoryFraction
	switch e.MemoryShareOf {
	case ShareStatic:
		return max(0, int64(float64(m.Capacity)*rest)-m.Activations)
	case ShareOfFree:
		return max(0, int64(float64(m.Capacity-m.WeightBytes-m.Activations)*rest))
	}
	return int64(float64(m.Capacity) * rest)
}

// caches fills what a sequence holds: of the whole model for transfers, and on a
// rank of the stage whose layers hold most at long context.
func (s *Stepper) caches(m *Memory) {
	l := s.config.Layout
	scale := int64(1)
	for _, layer := range append(append([]models.Layer{}, s.config.Model.Layers...), s.draftLayers()...) {
		for _, p := range layer.Attention.Pieces {
			scale = lcm(scale, p.Stride)
		}
	}
	blank := cacheBytes{scale: scale, breaks: s.config.Model.Breaks}
	m.transfer, m.cache = blank, blank
	for _, layer := range append(append([]models.Layer{}, s.config.Model.Layers...), s.draftLayers()...) {
		m.transfer.add(layer.Attention, 1, 1, 1, 1)
	}
	for stage := range l.PP {
		c := blank
		layers := s.stage(stage)
		if stage == l.PP-1 {
			layers = append(append([]models.Layer{}, layers...), s.draftLayers()...)
		}
		for _, layer := range layers {
			a := layer.Attention
			kv, state := ceilDiv(a.KVHeads, int64(l.TP)), int64(1)
			if form, err := formOf(a); err == nil && form == linearForm {
				state = int64(l.TP)
			}
			c.add(a, kv, max(1, a.KVHeads), 1, state)
		}
		if c.unit[0] > m.cache.unit[0] || stage == 0 {
			m.cache = c
		}
	}
	m.cache.fixed += m.cache.unit[0] * int64(s.config.PageTokens) / 2 / scale
}

func lcm(a, b int64) int64 {
	x, y := a, max(1, b)
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * max(1, b)
}

// stage is the layers of one pipeline stage: ⌈layers/PP⌉ each, the last the rest.
func (s *Stepper) stage(i int) []models.Layer {
	all := s.config.Model.Layers
	each := (len(all) + s.config.Layout.PP - 1) / s.config.Layout.PP
	from := min(i*each, len(all))
	return all[from:min(from+each, len(all))]
}

// draftLayers are the layers of the draft module when drafts are on.
func (s *Stepper) draftLayers() []models.Layer {
	if s.config.Drafts == 0 {
		return nil
	}
	return s.config.Model.MTP
}

// weights accounts the fullest stage's weights on one rank: TP cuts projections as
// their shard says, routed experts are ⌊slots/EP⌋ of the group's, cut over what
// ranks share an expert; embedding and head are cut over TP, or over the ranks
// that the engine gives the head.
func (s *Stepper) weights() []WeightPart {
	var worst []WeightPart
	var most int64
	for i := range s.config.Layout.PP {
		parts := s.stageWeights(i)
		total := int64(0)
		for _, p := range parts {
			total += p.Bytes
		}
		if i == 0 || total > most {
			worst, most = parts, total
		}
	}
	sort.SliceStable(worst, func(i, j int) bool { return worst[i].Bytes > worst[j].Bytes })
	return worst
}

func (s *Stepper) stageWeights(stage int) []WeightPart {
	var attention, dense, routed, shared, other, vocab, draft int64
	m, l := s.config.Model, s.config.Layout
	for _, layer := range s.stage(stage) {
		a, d, r, sh, o := s.layerWeights(layer)
		attention, dense, routed, shared, other = attention+a, dense+d, routed+r, shared+sh, other+o
	}
	if stage == 0 {
		table := m.Embedding
		table.Shard = models.Column // by vocabulary
		vocab += s.cut(table, l.TP)
	}
	if stage == l.PP-1 {
		if !m.Tied || l.PP > 1 {
			vocab += s.cut(m.Head, s.headRanks())
		}
		other += tensorBytes(m.Extra)
		if s.config.Drafts > 0 {
			for _, layer := range m.MTP {
				a, d, r, sh, o := s.layerWeights(layer)
				draft += a + d + r + sh + o
			}
			for _, x := range m.MTPLinears {
				draft += s.cut(x, 1)
			}
			draft += s.draftExtra()
		}
	}
	var parts []WeightPart
	for _, p := range []WeightPart{{"routed experts", routed}, {"shared experts and router", shared}, {"attention", attention},
		{"dense FFN", dense}, {"embedding and head", vocab}, {"draft module", draft}, {"norms and other", other}} {
		if p.Bytes > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// draftExtra is the draft module's tensors without its second copy of embedding
// and head, which engines share with the main model's.
func (s *Stepper) draftExtra() int64 {
	total := int64(0)
	for _, t := range s.config.Model.MTPExtra {
		if t.Name != "mtp_embedding" && t.Name != "mtp_head" {
			total += t.Bytes()
		}
	}
	return total
}

func (s *Stepper) layerWeights(layer models.Layer) (attention, dense, routed, shared, other int64) {
	tp := s.config.Layout.TP
	for _, x := range layer.Attention.Linears {
		attention += s.cut(x, tp)
	}
	for _, x := range layer.FFN.Linears {
		dense += s.cut(x, tp)
	}
	if e := layer.FFN.MoE; e != nil {
		slots := (e.Experts + int64(s.config.Layout.Redundant)) / int64(s.config.Layout.EP)
		routed += ceilDiv(slots*e.ExpertBytes(), int64(s.config.Layout.expertTP()))
		shared += s.cut(e.Gate, tp)
		for _, x := range e.Latent {
			shared += s.cut(x, tp)
		}
		for _, x := range e.Shared {
			shared += s.cut(x, tp)
		}
		other += tensorBytes(e.Extra)
	}
	other += tensorBytes(layer.Attention.Extra) + tensorBytes(layer.Extra)
	return attention, dense, routed, shared, other
}

func (s *Stepper) cut(l models.Linear, tp int) int64 {
	return int64(shardLinear(l, tp, s.config.Chip).bytes)
}

func tensorBytes(ts []models.Tensor) int64 {
	total := int64(0)
	for _, t := range ts {
		total += t.Bytes()
	}
	return total
}

// workspace is the activations that MaxTokens rows keep at once (assumed: engines
// profile it, none publishes it): the residual streams twice, the widest
// projection's input and output, the routed pairs of a rank in dispatch (FP8) and
// combine (BF16) form with their two intermediate widths, all in BF16 but the
// dispatched rows; and FP32 logits of MaxSequences verify rows.
func (s *Stepper) workspace() int64 {
	m, l := s.config.Model, s.config.Layout
	rows := max(ceilDiv(int64(s.config.MaxTokens), int64(l.CP)), int64(float64(s.config.MaxSequences)*s.verify))
	if s.config.Role == Decode {
		rows = int64(float64(s.config.MaxSequences) * s.verify)
	}
	row := 2 * 2 * m.Hidden * max(1, m.HC)
	widest, pairs := 0.0, int64(0)
	for i := range s.main.attentions {
		for _, x := range s.main.attentions[i].linears {
			widest = max(widest, 2*(x.n+x.k))
		}
	}
	for i := range s.main.ffns {
		f := &s.main.ffns[i]
		for _, x := range f.linears {
			widest = max(widest, 2*(x.n+x.k))
		}
		if f.moe != nil {
			pairs = max(pairs, f.moe.m.TopK*(3*f.moe.m.In+2*2*int64(f.moe.inter)))
		}
	}
	logits := int64(float64(s.config.MaxSequences)*s.verify) * 4 * ceilDiv(m.Vocab, int64(l.TP))
	if s.config.Role == Prefill {
		logits = 0
	}
	return rows*(row+int64(widest)+pairs) + logits + s.gatheredBytes()
}
