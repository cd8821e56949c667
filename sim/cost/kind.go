package cost

import (
	"reflect"
	"slices"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// attention is one attention design of the model as one rank runs it: how many
// layers have it, its projections, and for every break of the context the
// coefficients that turn sums of tokens into bytes, FLOPs and entries.
type attention struct {
	label                     string
	form                      form
	count                     float64 // layers of the main model
	a                         *models.Attention
	linears                   []linear
	block                     law.Linears // of one row
	linearFlops, linearAtPeak float64     // the same, all projections together
	actBytes                  float64     // a row, as the design's law counts activations
	heads, kv                 float64     // of this rank
	kv8                       bool

	decode     law.Decode // argument kept between calls
	decodeRows float64    // rows its projections are for

	// Decode, a token of Load.Context[j]; compressed are HCA's entries beyond its window.
	compressed, kvBytes, flops, entries, indexBytes, keys, indexFlops [models.MaxBreaks]float64
	// Prefill, a pair of Load.Pairs[j].
	pairFlops, gatherBytes, indexPairFlops, scoreBytes [models.MaxBreaks]float64
	readBytes                                          [models.MaxBreaks]float64 // compulsory, a query's
	context                                            contextShare              // with the other context-parallel ranks
	write                                              float64                   // cache bytes a row writes
	window                                             float64                   // tokens of the longest reach of a query when limited, else 0
	stateBytes, stateFlops, stateChunkFlops            float64
	recurrent, convState, convBytes                    float64              // linear: a sequence, a sequence, a row
	prefixFlops                                        float64              // a token of Load.Prefix
	projectedAtPeak                                    float64              // seconds that one of these takes at the peak
	projects8                                          bool                 // and whether in 8 bits
	decodes, prefills                                  topologies.Precision // what the core multiplies in
	decodePeak, prefillPeak                            float64              // of a rank, at those
	indexPrecision                                     topologies.Precision
	indexPeak                                          float64 // of a rank, at that precision
	small, smallBytes                                  float64 // small kernels outside the block law, and what they move a row
}

// wholeBlock says that the design's law covers projections and small kernels.
func (k *attention) wholeBlock() bool { return k.form > linearForm }

func (s *Stepper) addAttention(list *[]attention, a *models.Attention) error {
	for i := range *list {
		if k := &(*list)[i]; k.a == a || reflect.DeepEqual(k.a, a) {
			k.count++
			return nil
		}
	}
	k, err := s.newAttention(a)
	*list = append(*list, k)
	return err
}

func (s *Stepper) newAttention(a *models.Attention) (attention, error) {
	form, err := formOf(a)
	if err != nil {
		return attention{}, err
	}
	tp := int64(s.config.Layout.TP)
	k := attention{
		label: a.Label, form: form, count: 1, a: a,
		linears: shardLinears(a.Linears, int(tp), s.config.Chip),
		heads:   float64(ceilDiv(a.Heads, tp)), kv: float64(ceilDiv(a.KVHeads, tp)),
		small: float64(a.SmallKernels),
	}
	if k.label == "" {
		k.label = a.Design
	}
	k.block = block(k.linears)
	k.smallBytes = s.normBytes() + elementwiseBytes(k.linears)
	k.activations(float64(s.config.Model.Hidden))
	headShare := k.heads / float64(a.Heads)
	k.pieces(headShare)
	k.context = contextOf(a, k.kv/float64(max(1, a.KVHeads)))
	for _, l := range k.linears {
		k.linearFlops, k.linearAtPeak = k.linearFlops+l.flops, k.linearAtPeak+l.atPeak
	}
	again, err := k.reprojects()
	if err != nil {
		return attention{}, err
	}
	if again != nil {
		k.projects8, k.projectedAtPeak = again.precision != topologies.BF16, again.atPeak/again.flops
	}
	k.decodeRows = -1
	k.corePrecision(s.config.Chip)
	k.indexPrecision = s.indexPrecision(&k)
	k.indexPeak = peak(s.config.Chip, k.indexPrecision)
	k.decode = law.Decode{Heads: k.heads, KVHeads: k.kv, HeadDim: float64(a.HeadDim), KV8: k.kv8}
	k.prefixFlops = float64(a.PrefixFlops) * headShare
	k.stateBytes = float64(a.StateRead)
	if k.form == linearForm {
		k.stateBytes *= headShare
		k.recurrence(headShare)
	}
	k.stateFlops, k.stateChunkFlops = float64(a.StateFlops)*headShare, float64(a.PrefillStateFlops)*headShare
	return k, nil
}

// activations sets the bytes a row moves between the kernels of a block.
func (k *attention) activations(hidden float64) {
	switch k.form {
	case mlaForm:
		k.actBytes = law.MLAActBytes(1, hidden, k.heads)
	case dsaForm, csaForm, hcaForm, denseForm:
		k.actBytes = law.SparseActBytes(1, hidden, k.heads, float64(k.a.HeadDim+k.a.ValueDim)/2)
	case linearForm:
		for _, l := range k.linears {
			if l.name == "o" {
				k.actBytes += 2 * l.k
			} else {
				k.actBytes += 2 * l.n
			}
		}
	}
}

// recurrence sets what a linear layer's recurrence and convolution move on this
// rank: the FP32 state once in and once out, the convolution's tail likewise and
// its channels in and out for every row.
func (k *attention) recurrence(headShare float64) {
	state := float64(k.a.Heads*k.a.HeadDim*k.a.ValueDim*4) * headShare
	tail := float64(k.a.StateBytes)*headShare - state
	k.recurrent, k.convState = 2*state, 2*tail
	if tail > 0 {
		k.convBytes = 4 * float64(2*k.a.KVHeads*k.a.HeadDim+k.a.Heads*k.a.ValueDim) * headShare
	}
}

// pieces turns cache pieces into coefficients. A sparse gather (entries chosen by
// an indexer) reads one set a query row, everything else is read once a sequence.
func (k *attention) pieces(headShare float64) {
	for _, p := range k.a.Pieces {
		share := 1.0
		if p.PerHead {
			share = k.kv / float64(max(1, k.a.KVHeads))
		}
		stride, bytes := float64(p.Stride), float64(p.BytesRead)*share
		k.write += float64(p.BytesStored) * share / stride
		if p.Role == models.Index {
			k.indexBytes[p.Break] += bytes / stride
			k.keys[p.Break] += 1 / stride
			k.indexFlops[p.Break] += float64(p.DecodeFlops) / stride
			k.indexPairFlops[p.Break] += float64(p.PrefillFlops) / stride
			k.scoreBytes[p.Break] += 4 / stride
			continue
		}
		k.kv8, _ = eightBit(p.Format) // refused by formOf
		k.kvBytes[p.Break] += bytes / stride
		k.readBytes[p.Break] += bytes / stride
		k.entries[p.Break] += 1 / stride
		if p.Stride > 1 || k.a.Window == 0 {
			k.compressed[p.Break] += 1 / stride
		}
		k.flops[p.Break] += float64(p.DecodeFlops) * headShare / stride
		k.pairFlops[p.Break] += float64(p.PrefillFlops) * headShare / stride
		if k.form != denseForm {
			k.gatherBytes[p.Break] += bytes / stride
		}
	}
	k.window = float64(k.a.Window)
}

// sparse multiplies the gathers of chosen entries by the rows of a verify step.
func (k *attention) sparse(rows float64, breaks []int64) {
	if k.a.TopK == 0 {
		return
	}
	for _, p := range k.a.Pieces {
		if p.Role == models.Core && breaks[p.Break] == p.Stride*k.a.TopK {
			k.kvBytes[p.Break] *= rows
		}
	}
}

// ffn is one kind of FFN as one rank runs it.
type ffn struct {
	label   string
	count   float64
	f       *models.FFN
	linears []linear // dense, or gate, latent and shared of a mixture

	small, smallBytes float64  // as those of attention
	moe               *experts // nil when dense
}

func (s *Stepper) addFFN(list *[]ffn, f *models.FFN) {
	for i := range *list {
		if k := &(*list)[i]; k.f == f || reflect.DeepEqual(costOf(k.f), costOf(f)) {
			k.count++
			return
		}
	}
	k := ffn{label: "dense", count: 1, f: f, small: float64(f.SmallKernels)}
	all := slices.Clone(f.Linears)
	if m := f.MoE; m != nil {
		k.label = "moe"
		all = append(append(append(all, m.Gate), m.Latent...), m.Shared...)
		k.moe = s.newExperts(m)
	}
	k.linears = shardLinears(all, s.config.Layout.TP, s.config.Chip)
	k.smallBytes = s.normBytes() + elementwiseBytes(k.linears)
	*list = append(*list, k)
}

// normBytes is what the norm before a block moves a row, in BF16: the block's input
// and the residual in, their sum and its norm out. Hyper-connections have a law for
// the residual: what is left is the norm.
func (s *Stepper) normBytes() float64 {
	if s.config.Model.HC > 1 {
		return 4 * float64(s.config.Model.Hidden)
	}
	return 8 * float64(s.config.Model.Hidden)
}

// elementwiseBytes is what the kernels between a block's projections move a row on
// this rank, in BF16: queries and keys through RoPE and back, keys and values into
// the cache; both halves of a gated MLP in, their product out.
func elementwiseBytes(ls []linear) float64 {
	bytes := 0.0
	for _, l := range ls {
		switch l.name {
		case "qkv":
			bytes += 4 * l.n
		case "gate_up":
			bytes += 3 * l.n
		}
	}
	return bytes
}

// costOf is what of an FFN a step's time depends on: hash-routed layers still
// score, and cost what the others do.
func costOf(f *models.FFN) models.FFN {
	c := *f
	c.Label = ""
	if f.MoE != nil {
		m := *f.MoE
		m.HashRouted, m.Extra = false, nil
		c.MoE = &m
	}
	return c
}

// experts is a mixture's routed part on one rank.
type experts struct {
	m          *models.MoE
	slots      float64 // copies of experts on a rank
	bytes      float64 // of one expert on a rank
	inter      float64
	arithmetic arithmetic
	skew       skew
	odds       []float64 // of every slot of the group; nil: all the same
}

func (s *Stepper) newExperts(m *models.MoE) *experts {
	l := s.config.Layout
	cut := int64(l.expertTP())
	e := &experts{m: m, inter: float64(ceilDiv(m.Inter, cut)), arithmetic: arithmeticOf(m.Format, "", s.config.Chip)}
	if a := &e.arithmetic; a.variant == law.W4A8 && s.config.Engine.FourBit == law.W4A16 && !has(s.config.Chip, topologies.FP4) {
		*a = arithmetic{variant: law.W4A16, precision: topologies.BF16}
	}
	e.slots = float64((m.Experts + int64(l.Redundant)) / int64(l.EP))
	e.bytes = float64(m.ExpertBytes()) / float64(cut)
	e.odds = l.Routing.odds(int(m.Experts), l.Redundant, int(m.TopK))
	e.skew = newSkew(l.Routing, int(m.Experts), l.Redundant, l.EP, s.config.Topology.Tiers[0].Size*max(1, s.config.Chip.Dies))
	return e
}

// expertTP is how many ranks share one expert.
func (l Layout) expertTP() int { return max(1, l.TP*l.groups()/l.EP) }

// corePrecision sets what the laws' attention cores multiply in: BF16, on a cache that is
// dequantised first (FlashMLA, V4), but for two kernels of an 8-bit cache that multiply
// in its own width: GQA over a prompt, where the chip has FP8 units, and the absorbed
// MLA kernel that decodes uncompressed layers.
func (k *attention) corePrecision(chip *topologies.Chip) {
	k.decodes, k.prefills = topologies.BF16, topologies.BF16
	if k.kv8 && k.form == gqaForm && has(chip, topologies.FP8) {
		k.prefills = topologies.FP8
	}
	if k.kv8 && k.form == denseForm {
		k.decodes = narrowest(chip)
	}
	k.decodePeak, k.prefillPeak = peak(chip, k.decodes), peak(chip, k.prefills)
}

// narrowest is the fastest precision of 8 bits or more that the chip has.
func narrowest(chip *topologies.Chip) topologies.Precision {
	switch {
	case has(chip, topologies.FP8):
		return topologies.FP8
	case chip.Peak[topologies.INT8] > chip.Peak[topologies.BF16]:
		return topologies.INT8
	}
	return topologies.BF16
}
