package cost

import (
	"math"
	"math/bits"

	"github.com/clustersim/clustersim/models"
)

// cacheBytes counts the bytes of cached sequences exactly: unit[j] for each
// 1/scale of a token of Σ min(L, Breaks[j]), fixed for each sequence.
type cacheBytes struct {
	unit   [models.MaxBreaks]int64
	scale  int64
	fixed  int64 // state, half a page of what grows
	breaks []int64
}

// add counts a layer's pieces, of bytes each, and its state.
func (c *cacheBytes) add(a *models.Attention, bytes func(*models.Piece) int64, state int64) {
	for i := range a.Pieces {
		p := &a.Pieces[i]
		c.unit[p.StoreBreak] += bytes(p) * (c.scale / p.Stride)
	}
	c.fixed += state
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

// even reports that every token takes the same, however long the sequence.
func (c *cacheBytes) even() bool {
	for _, unit := range c.unit[1:] {
		if unit > 0 {
			return false
		}
	}
	return c.fixed == 0 && c.unit[0] > 0
}

// slope is the bytes that a token adds to a long sequence.
func (c *cacheBytes) slope() float64 { return float64(c.unit[0]) / float64(c.scale) }

// caches fills what a sequence holds: of the whole model for transfers, and on a
// rank of the stage whose layers hold most at long context, by the model's figures and
// as the engine's pool keeps it.
func (s *Stepper) caches(m *Memory) {
	groups := s.groups()
	blank := cacheBytes{scale: s.cacheScale(groups), breaks: s.config.Model.Breaks}
	m.transfer = blank
	for _, layer := range s.allLayers() {
		m.transfer.add(layer.Attention, func(p *models.Piece) int64 { return p.BytesStored }, layer.Attention.StateBytes)
	}
	m.exact = s.fullest(blank, func(c *cacheBytes, a *models.Attention) {
		c.add(a, func(p *models.Piece) int64 { return s.ofRank(a, p, p.BytesStored) }, s.stateBytes(a))
	})
	if groups != nil {
		m.cache = blank
		m.pool = newPool(groups, s.config.Layout.PP)
		m.pool.hold(&m.cache, s.config.Model.Breaks)
		return
	}
	keep := func(c *cacheBytes, a *models.Attention) {
		c.add(a, func(p *models.Piece) int64 { return s.kept(a, p) }, s.stateBytes(a))
	}
	if s.sharesWindows() {
		keep = s.shareWindows
	}
	m.cache = s.fullest(blank, keep)
	m.cache.fixed += m.cache.unit[0] * int64(s.config.PageTokens) / 2 / blank.scale
}

// fullest is the cache of the stage whose layers hold most at long context.
func (s *Stepper) fullest(blank cacheBytes, keep func(*cacheBytes, *models.Attention)) cacheBytes {
	var worst cacheBytes
	for stage := range s.config.Layout.PP {
		c := blank
		for _, layer := range s.stageLayers(stage) {
			keep(&c, layer.Attention)
		}
		if c.unit[0] > worst.unit[0] || stage == 0 {
			worst = c
		}
	}
	return worst
}

// cacheScale is a number that every stride and every block of the pool divides.
func (s *Stepper) cacheScale(groups []group) int64 {
	scale := int64(1)
	for _, layer := range s.allLayers() {
		for _, p := range layer.Attention.Pieces {
			scale = lcm(scale, p.Stride)
		}
	}
	for i := range groups {
		if groups[i].window >= 0 {
			scale = lcm(scale, groups[i].tokens)
		}
	}
	if s.sharesWindows() {
		scale *= windowUnits
	}
	return scale
}

// ofRank is a rank's share of a piece's bytes: of the heads that tensor parallelism
// divides, and all of what it does not.
func (s *Stepper) ofRank(a *models.Attention, p *models.Piece, bytes int64) int64 {
	if !p.PerHead {
		return bytes
	}
	return ceilDiv(bytes*ceilDiv(a.KVHeads, int64(s.config.Layout.TP)), max(1, a.KVHeads))
}

// kept is what an entry of a piece takes on a rank as the engine keeps it.
func (s *Stepper) kept(a *models.Attention, p *models.Piece) int64 {
	k := &s.config.Engine.Memory
	switch {
	case p.Role == models.Index && k.WideIndexKeys:
		return max(p.BytesStored, a.IndexDim+4) // FP8 with one FP32 scale
	case a.Design == "mla" && k.PlainLatents && p.Format == models.FP8 && !p.PerHead:
		return a.HeadDim
	}
	return s.ofRank(a, p, p.BytesStored)
}

// stateBytes is what a layer keeps on a rank whatever the length.
func (s *Stepper) stateBytes(a *models.Attention) int64 {
	if form, err := formOf(a); err == nil && form == linearForm {
		return ceilDiv(a.StateBytes, int64(s.config.Layout.TP))
	}
	return a.StateBytes
}

// sharesWindows reports an engine whose windows have a pool of their own, in proportion
// to that of the layers that keep everything.
func (s *Stepper) sharesWindows() bool {
	k := &s.config.Engine.Memory
	if k.WindowShare == 0 && k.CompressedWindowShare == 0 {
		return false
	}
	full, window := false, false
	for _, layer := range s.config.Model.Layers {
		for _, p := range layer.Attention.Pieces {
			full, window = full || p.StoreBreak == 0, window || p.StoreBreak > 0
		}
	}
	return full && window
}

// compressedWindow is the tokens of a page of the window's pool of compressed attention,
// which has one ring of the compressor's rows.
const compressedWindow = 128

// windowUnits are the parts of a byte in which shares of a window's slot are counted:
// tenths, over a page's tokens.
const windowUnits = 10 * compressedWindow

// shareWindows adds a layer to a cache whose pool has a share of a window's slot for
// every slot of the layers that keep everything: a token costs both, a sequence nothing
// besides. Compressed attention keeps, for each page of its window's pool, a ring of the
// rows that CSA pools.
func (s *Stepper) shareWindows(c *cacheBytes, a *models.Attention) {
	k := &s.config.Engine.Memory
	share, ring := k.WindowShare, int64(0)
	switch a.Design {
	case "csa":
		share, ring = k.CompressedWindowShare, a.StateBytes
	case "hca", "window":
		share = k.CompressedWindowShare
	}
	for i := range a.Pieces {
		p := &a.Pieces[i]
		if p.StoreBreak > 0 && share > 0 {
			c.unit[0] += int64(math.Round(share * float64(s.kept(a, p)*c.scale/p.Stride)))
		} else {
			c.unit[p.StoreBreak] += s.kept(a, p) * (c.scale / p.Stride)
		}
	}
	c.unit[0] += int64(math.Round(share * float64(ring*c.scale) / compressedWindow))
	if share == 0 || a.Design == "linear" {
		c.fixed += s.stateBytes(a)
	}
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

// stageLayers is stage with the draft module's layers, which the last stage has.
func (s *Stepper) stageLayers(i int) []models.Layer {
	layers := s.stage(i)
	if i == s.config.Layout.PP-1 {
		layers = append(append([]models.Layer{}, layers...), s.draftLayers()...)
	}
	return layers
}

// allLayers are the main model's and the draft module's.
func (s *Stepper) allLayers() []models.Layer {
	return append(append([]models.Layer{}, s.config.Model.Layers...), s.draftLayers()...)
}

// draftLayers are the layers of the draft module when drafts are on.
func (s *Stepper) draftLayers() []models.Layer {
	if s.config.Drafts == 0 {
		return nil
	}
	return s.config.Model.MTP
}
