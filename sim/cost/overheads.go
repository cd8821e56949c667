package cost

import (
	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/spec"
)

// Keeping is how an engine uses a rank's memory: what lies there beside weights and
// cache, how its kernels keep weights, and how its pool keeps the cache. Zero values
// cost nothing.
type Keeping struct {
	// Context is what a process takes before anything is loaded: the driver's context,
	// handles of libraries. Communicators are the channels and buffers of a rank that has
	// peers.
	Context       spec.Bytes `yaml:"context,omitempty"`
	Communicators spec.Bytes `yaml:"communicators,omitempty"`
	// Kernels is what kernels allocate for themselves outside the engine's allocator;
	// Exchanges what those of a rank with peers map besides.
	Kernels   spec.Bytes `yaml:"kernels,omitempty"`
	Exchanges spec.Bytes `yaml:"exchanges,omitempty"`
	// GraphNode is what a captured kernel takes, with its share of the graph's pool. Zero
	// where the engine sizes its cache without looking at graphs.
	GraphNode spec.Bytes `yaml:"graph_node,omitempty"`
	// LogitBytes is what sampling holds at once for one logit.
	LogitBytes int `yaml:"logit_bytes,omitempty"`
	// IndexGather is for how many contexts of the model's longest the index keys are
	// gathered in a prompt's step.
	IndexGather int `yaml:"index_gather,omitempty"`
	// ExpertTile is what MXFP4 experts' widths are rounded up to on chips with FP4 units,
	// WidenedTile on others; a width of 0 leaves them as they are.
	ExpertTile  Tile `yaml:"expert_tile,omitempty"`
	WidenedTile Tile `yaml:"widened_tile,omitempty"`
	// AbsorbedBytes is what a weight of kv_b takes besides where latent attention keeps it
	// a second time, for the absorbed form.
	AbsorbedBytes int `yaml:"absorbed_bytes,omitempty"`
	// Groups puts layers that hold different things into groups of one block size, each
	// with block tables of its own (vLLM's hybrid cache manager).
	Groups bool `yaml:"groups,omitempty"`
	// PageAlign is what a block of compressed entries is rounded up to.
	PageAlign spec.Bytes `yaml:"page_align,omitempty"`
	// WideIndexKeys reserves FP8 rows for index keys that are kept in FP4.
	WideIndexKeys bool `yaml:"wide_index_keys,omitempty"`
	// PlainLatents keeps FP8 latents of dense latent attention without tiles' scales, the
	// rotated part in FP8 too.
	PlainLatents bool `yaml:"plain_latents,omitempty"`
	// WindowShare is how many slots a window's pool has for one of the full layers' (SGLang's
	// swa_full_tokens_ratio); CompressedWindowShare the same of compressed sparse attention.
	// 0 keeps windows by sequence.
	WindowShare           float64 `yaml:"window_share,omitempty"`
	CompressedWindowShare float64 `yaml:"compressed_window_share,omitempty"`
}

// Tile is what the two widths of an expert are rounded up to.
type Tile struct {
	Hidden int64 `yaml:"hidden,omitempty"`
	Inter  int64 `yaml:"inter,omitempty"`
}

// check reports what is out of range.
func (k *Keeping) check(doc *spec.Doc) {
	for _, b := range []struct {
		path string
		v    spec.Bytes
	}{
		{"context", k.Context}, {"communicators", k.Communicators}, {"kernels", k.Kernels}, {"exchanges", k.Exchanges},
		{"graph_node", k.GraphNode}, {"page_align", k.PageAlign},
	} {
		if b.v < 0 || b.v > 1<<40 {
			doc.Errorf("memory."+b.path, "must be from 0 to 1TiB, got %s", b.v)
		}
	}
	for _, n := range []struct {
		path string
		v    int64
	}{
		{"logit_bytes", int64(k.LogitBytes)}, {"index_gather", int64(k.IndexGather)}, {"absorbed_bytes", int64(k.AbsorbedBytes)},
		{"expert_tile.hidden", k.ExpertTile.Hidden}, {"expert_tile.inter", k.ExpertTile.Inter},
		{"widened_tile.hidden", k.WidenedTile.Hidden}, {"widened_tile.inter", k.WidenedTile.Inter},
	} {
		if n.v < 0 || n.v > 1<<16 {
			doc.Errorf("memory."+n.path, "must be from 0 to %d, got %d", 1<<16, n.v)
		}
	}
	for _, f := range []struct {
		path string
		v    float64
	}{{"window_share", k.WindowShare}, {"compressed_window_share", k.CompressedWindowShare}} {
		if !(f.v >= 0 && f.v <= 1) {
			doc.Errorf("memory."+f.path, "must be from 0 to 1, got %g", f.v)
		}
	}
}

// pageTokens is the tokens of a page of a model's cache: kernels of latent and of
// compressed attention want others than those of plain attention.
func (e *Engine) pageTokens(m *models.Model) int {
	tokens := e.PageTokens
	for _, l := range m.Layers {
		switch l.Attention.Design {
		case "mla", "dsa":
			if e.LatentPageTokens > 0 {
				tokens = e.LatentPageTokens
			}
		case "csa", "hca":
			if e.CompressedPageTokens > 0 {
				return e.CompressedPageTokens
			}
		}
	}
	return tokens
}

// padded is the experts of a layer as kernels keep them on a chip: the widths of MXFP4
// experts rounded up to its tile, the intermediate one after it is cut over ranks.
func (k *Keeping) padded(m *models.MoE, cut int64, fp4 bool) *models.MoE {
	tile := k.WidenedTile
	if fp4 {
		tile = k.ExpertTile
	}
	if m.Format != models.MXFP4 || tile == (Tile{}) {
		return m
	}
	p := *m
	p.In = roundUp(m.In, tile.Hidden)
	p.Inter = cut * roundUp(ceilDiv(m.Inter, cut), tile.Inter)
	return &p
}

func roundUp(n, to int64) int64 {
	if to <= 1 {
		return n
	}
	return ceilDiv(n, to) * to
}
