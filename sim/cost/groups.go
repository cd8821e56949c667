package cost

import (
	"maps"
	"slices"

	"github.com/clustersim/clustersim/models"
)

// A paged pool whose layers hold different things is cut into blocks of one size. Layers
// that keep the same (all tokens, a window of them, a state) form groups, each with
// block tables of its own, and any block can be any group's: so a block has room for
// the largest group, and what a smaller one leaves of it is padding. This is what
// vLLM's hybrid cache manager does (vllm/v1/core/kv_cache_utils.py: one page size and
// groups of as many layers; for DeepSeek-V4 one size for each kind of page, by
// _get_kv_cache_groups_uniform_groups).

// group is layers that share block tables.
type group struct {
	tokens int64 // of the sequence that a block covers
	// window is how many tokens behind the last are kept: 0 for all, negative for a state,
	// which takes one block whatever the length.
	window int64
	sizes  []map[int64]int64 // by stage of the pipeline: tensors of each size that a block holds
}

// tensor is what a layer keeps in a block of a group of its kind.
type tensor struct {
	kind
	bytes int64
	stage int
}

// kind is what layers of a group have in common.
type kind struct{ tokens, window int64 }

const state = -1 // window of a kind that keeps one block a sequence

// groups are those of the whole model, or nil where a rank's cache is of one kind, which
// pads nothing, or the engine keeps none.
func (s *Stepper) groups() []group {
	if !s.config.Engine.Memory.Groups {
		return nil
	}
	var tensors []tensor
	compressed := false
	for i, layer := range s.allLayers() {
		compressed = compressed || layer.Attention.Design == "csa" || layer.Attention.Design == "hca"
		tensors = append(tensors, s.tensors(layer.Attention, s.stageOf(i))...)
	}
	if !slices.ContainsFunc(tensors, func(t tensor) bool { return t.window != 0 }) || !slices.ContainsFunc(tensors, func(t tensor) bool { return t.window == 0 }) {
		return nil
	}
	if compressed {
		return groupBySize(tensors, s.config.Layout.PP)
	}
	return groupByCount(s.onePage(tensors), s.config.Layout.PP)
}

func (s *Stepper) stageOf(layer int) int {
	n, pp := len(s.config.Model.Layers), s.config.Layout.PP
	each := (n + pp - 1) / pp
	return min(layer/each, pp-1) // the draft module's are on the last
}

// tensors are what a layer keeps, by kind. A block of the pool covers PageTokens of what
// is kept whole.
func (s *Stepper) tensors(a *models.Attention, stage int) []tensor {
	page := int64(s.config.PageTokens)
	align := int64(s.config.Engine.Memory.PageAlign)
	var out []tensor
	add := func(tokens, window, bytes int64) { out = append(out, tensor{kind{tokens, window}, bytes, stage}) }
	switch a.Design {
	case "linear":
		add(0, state, s.stateBytes(a))
	case "csa", "hca", "window":
		entries := ceilDiv(page, s.leastStride()) // of a window, and in a block of the least compressed layer
		room := int64(0)
		for i := range a.Pieces {
			p := &a.Pieces[i]
			bytes := s.kept(a, p)
			if p.StoreBreak > 0 {
				room = entries * bytes
				add(entries, a.Window, roundUp(entries*bytes, align))
				continue
			}
			add(page, 0, roundUp(ceilDiv(page, p.Stride)*bytes, align))
		}
		for _, c := range compressorRows(a) {
			// as many rows as fit a block of entries, a power of two
			rows := int64(1)
			for 2*rows*c.widest <= room {
				rows *= 2
			}
			add(rows, c.span, roundUp(rows*c.row, align))
		}
	default:
		for i := range a.Pieces {
			p := &a.Pieces[i]
			window := int64(0)
			if p.StoreBreak > 0 {
				window = a.Window
			}
			add(page, window, page*s.kept(a, p)/p.Stride)
		}
	}
	return out
}

// leastStride is the tokens of an entry of the least compressed layer.
func (s *Stepper) leastStride() int64 {
	least := int64(0)
	for _, layer := range s.config.Model.Layers {
		for _, p := range layer.Attention.Pieces {
			if p.StoreBreak == 0 && p.Stride > 1 && (least == 0 || p.Stride < least) {
				least = p.Stride
			}
		}
	}
	return max(1, least)
}

// rows are a compressor's: FP32 rows that it keeps of the last span tokens. The rows of
// one layer's compressors share blocks, which the widest sizes.
type rows struct{ span, row, widest int64 }

func compressorRows(a *models.Attention) []rows {
	ratio := int64(0)
	for _, p := range a.Pieces {
		if p.Role == models.Core && p.Stride > 1 {
			ratio = p.Stride
		}
	}
	switch a.Design {
	case "csa": // keys and scores, over twice the ratio
		own := 2 * 2 * a.HeadDim * 4
		return []rows{{2 * ratio, own, own}, {2 * ratio, 2 * 2 * a.IndexDim * 4, own}}
	case "hca":
		return []rows{{ratio, 2 * a.HeadDim * 4, 2 * a.HeadDim * 4}}
	}
	return nil
}

// onePage brings tensors to one size: blocks of what is kept whole cover as many tokens
// as the largest state needs, others as many as fill the same bytes.
func (s *Stepper) onePage(tensors []tensor) []tensor {
	page := int64(s.config.PageTokens)
	size, least := int64(0), int64(0)
	for _, t := range tensors {
		size = max(size, t.bytes)
		if t.window == 0 && (least == 0 || t.bytes < least) {
			least = t.bytes
		}
	}
	size = max(ceilDiv(size, least)*least, least)
	out := slices.Clone(tensors)
	for i := range out {
		t := &out[i]
		if t.window != state {
			t.tokens = max(page, size/t.bytes*page)
		}
		t.bytes = size
	}
	return out
}

// groupByCount makes groups of as many layers: as many as the rarest kind has, or as the
// commonest where that is less than half as many again.
func groupByCount(tensors []tensor, stages int) []group {
	byKind, kinds := sorted(tensors)
	least, most := len(tensors), 0
	for _, k := range kinds {
		least, most = min(least, len(byKind[k])), max(most, len(byKind[k]))
	}
	size := least
	if 2*most < 3*least {
		size = most
	}
	var out []group
	for _, k := range kinds {
		out = append(out, deal(byKind[k], (len(byKind[k])+size-1)/size, k, stages)...)
	}
	return out
}

// groupBySize makes one group of what is kept whole, and of every other kind groups of as
// many layers as pad least beside it. Blocks of those take the room of one of the whole
// ones' sizes.
func groupBySize(tensors []tensor, stages int) []group {
	var sizes []int64
	counts := map[int64]int{}
	for _, t := range tensors {
		if t.window == 0 {
			counts[t.bytes]++
		}
	}
	sizes = slices.Sorted(maps.Keys(counts))
	for i, t := range tensors {
		if t.window == 0 {
			continue
		}
		for _, size := range sizes {
			if size >= t.bytes {
				tensors[i].bytes = size
				break
			}
		}
	}
	byKind, kinds := sorted(tensors)
	layers := func(ts []tensor) int { // of one size
		most, n := 0, map[int64]int{}
		for _, t := range ts {
			n[t.bytes]++
			most = max(most, n[t.bytes])
		}
		return most
	}
	whole := 0
	var others []int
	for _, k := range kinds {
		if k.window == 0 {
			whole = max(whole, layers(byKind[k]))
		} else {
			others = append(others, layers(byKind[k]))
		}
	}
	size := leastPadding(append(others, whole), whole)
	var out []group
	for _, k := range kinds {
		n := 1
		if k.window != 0 {
			n = (layers(byKind[k]) + size - 1) / size
		}
		out = append(out, deal(byKind[k], n, k, stages)...)
	}
	return out
}

// leastPadding is the size, from least on, of groups into which the counts go with the
// fewest empty places; the largest of equals.
func leastPadding(counts []int, least int) int {
	best, fewest := least, -1
	for d := max(1, least); d <= slices.Max(counts); d++ {
		pad := 0
		for _, n := range counts {
			pad += (d - n%d) % d
		}
		if fewest < 0 || pad <= fewest {
			best, fewest = d, pad
		}
	}
	return best
}

// sorted are tensors by kind; kinds come in the order in which layers have them.
func sorted(tensors []tensor) (map[kind][]tensor, []kind) {
	byKind := map[kind][]tensor{}
	var kinds []kind
	for _, t := range tensors {
		if byKind[t.kind] == nil {
			kinds = append(kinds, t.kind)
		}
		byKind[t.kind] = append(byKind[t.kind], t)
	}
	return byKind, kinds
}

// deal gives the layers of a kind to n groups in turn, so that every stage of a pipeline
// has its share of each.
func deal(tensors []tensor, n int, k kind, stages int) []group {
	out := make([]group, n)
	for i := range out {
		out[i] = group{tokens: k.tokens, window: k.window, sizes: make([]map[int64]int64, stages)}
		for s := range stages {
			out[i].sizes[s] = map[int64]int64{}
		}
	}
	seen := map[int64]int{} // by size: tensors of one layer stay together
	for _, t := range tensors {
		out[seen[t.bytes]%n].sizes[t.stage][t.bytes]++
		seen[t.bytes]++
	}
	return out
}
