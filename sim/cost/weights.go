package cost

import (
	"sort"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/topologies"
)

// WeightPart is one line of the account of weights.
type WeightPart struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
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
		if x.Name == "kv_b" {
			attention += int64(s.config.Engine.Memory.AbsorbedBytes) * x.Cut(int64(tp)).Params()
		}
	}
	for _, x := range layer.FFN.Linears {
		dense += s.cut(x, tp)
	}
	if e := layer.FFN.MoE; e != nil {
		slots := (e.Experts + int64(s.config.Layout.Redundant)) / int64(s.config.Layout.EP)
		cut := int64(s.config.Layout.expertTP())
		kept := s.config.Engine.Memory.padded(e, cut, has(s.config.Chip, topologies.FP4))
		routed += ceilDiv(slots*kept.ExpertBytes(), cut)
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
