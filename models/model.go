package models

// MaxBreaks bounds how many different truncated contexts one model may need.
const MaxBreaks = 4

// Unlimited is the break of a term that grows with the whole context.
const Unlimited = int64(1) << 62

// Model is one architecture, complete: everything that costs come from. All of
// it is immutable after loading.
type Model struct {
	Name       string
	Aliases    []string
	Source     string
	Published  float64 // published total of parameters, 0 when none
	Difference string  // why the recomputed total differs from Published by more than 2 %
	Hidden     int64
	Vocab      int64
	MaxContext int64
	Tied       bool    // the LM head shares the embedding's weights
	HC         int64   // residual streams of hyper-connections; 1 when there are none
	Layers     []Layer // main model, first to last
	MTP        []Layer // draft layers, each run once for every drafted token
	// AcceptedLength[k-1] is the mean number of tokens a verify step yields with
	// k drafts, non-decreasing in k; empty when nothing is published.
	AcceptedLength []float64
	// Breaks are the distinct truncations min(L, b) of context length on which
	// the model's costs depend, Breaks[0] = Unlimited. Every Piece names one.
	Breaks []int64

	Embedding, Head Linear   // Head.In = Hidden, Head.Out = Vocab
	Extra           []Tensor // tensors outside the layers that no matrix product uses (final norm, hc_head …)
	MTPExtra        []Tensor
	MTPLinears      []Linear // projections of the draft module outside its layers
	// Formats are the stored formats in force: the checkpoint's own, or those
	// that WithFormats and Compress asked for.
	Formats Formats

	// Notes say what a Hugging Face config.json asks for that does not count here.
	Notes []string `json:"-"`

	doc *document // what Compress and WithFormats rebuild from
}

// Layer is one transformer block.
type Layer struct {
	Attention *Attention
	FFN       *FFN
	// HC are the FLOPs a token of this layer's hyper-connection mixing (0 without).
	HCFlops int64
	Extra   []Tensor
}

// Format is how numbers are stored: bits an element and what its scales add.
type Format string

// The formats that checkpoints and caches use.
const (
	FP32     Format = "fp32"
	BF16     Format = "bf16"
	FP8      Format = "fp8"       // e4m3, one scale a tensor or row
	FP8Block Format = "fp8_block" // e4m3, one scale a 128×128 block
	NVFP4    Format = "nvfp4"     // e2m1, one FP8 scale per 16
	MXFP4    Format = "mxfp4"     // e2m1, one UE8M0 scale per 32
	INT8     Format = "int8"
	INT4     Format = "int4"
	INT64    Format = "int64"
)

// Tensor is a parameter that takes part in no matrix product.
type Tensor struct {
	Name     string
	Elements int64
	Format   Format
	Buffer   bool // stored in the checkpoint but not a parameter (token-to-expert tables)
}

// Shard says how tensor parallelism cuts a Linear.
type Shard string

// Column cuts the outputs, Row the inputs (its result needs an all-reduce),
// Replicated is computed whole on every rank.
const (
	Column     Shard = "column"
	Row        Shard = "row"
	Replicated Shard = "replicated"
)

// Linear is one projection: Groups independent In×Out matrices (Groups is 1 but
// for grouped output projections). It costs 2·Groups·In·Out FLOPs a token.
type Linear struct {
	Name    string
	In, Out int64
	Groups  int64
	Format  Format
	Shard   Shard
	// ScaleBytes is the width of one FP8Block scale: 4 (FP32) or 1 (UE8M0).
	ScaleBytes int64
	// Compute is the precision of the product where it differs from what the
	// stored format implies (V4's wo_a: FP8 stored, BF16 computed), else "".
	Compute Format
}

// Cut is one rank's share over tp of them: outputs (column), whole groups while there
// are as many, inputs (row), or all of it. Shares are rounded up, as padded shards are.
func (l Linear) Cut(tp int64) Linear {
	l.Groups = max(1, l.Groups)
	switch {
	case tp == 1 || l.Shard == Replicated:
	case l.Shard == Row:
		l.In = ceilDiv(l.In, tp)
	case l.Groups > 1 && l.Groups >= tp:
		l.Groups = ceilDiv(l.Groups, tp)
	default:
		l.Out = ceilDiv(l.Out, tp)
	}
	return l
}

// Params is the number of weights.
func (l Linear) Params() int64 { return l.Groups * l.In * l.Out }

// Role tells what a Piece of the cache is read for.
type Role string

// Core entries take part in attention, Index entries are scored to choose them.
const (
	Core  Role = "core"
	Index Role = "index"
)

// Piece is one kind of cache entry of an attention layer. A query at context
// length L (tokens including its own) reads min(⌊L/Stride⌋, cap) entries, where
// cap = Breaks[Break]/Stride; a sequence of length L holds
// min(⌊L/Stride⌋, StoreCap) of them. Every count of the layer is linear in these.
type Piece struct {
	Role         Role
	Stride       int64 // tokens an entry stands for
	Break        int   // index into Model.Breaks of the truncation in tokens
	StoreBreak   int   // the same for what is held (a window holds only itself)
	BytesRead    int64 // bytes a query reads an entry (all heads of this layer)
	BytesStored  int64 // bytes an entry holds
	DecodeFlops  int64 // FLOPs a query spends an entry, all heads, decode form
	PrefillFlops int64 // the same in the form that prefill runs
	// PerHead is true when the bytes are per KV head and tensor parallelism
	// divides them (GQA); false when every rank keeps them whole (MLA, V4).
	PerHead bool
	Format  Format
}

// Attention is one layer's attention design as data: projections, cache pieces
// and fixed state. Designs are built by the table in attention.go.
type Attention struct {
	Design               string // gqa, mla, dsa, csa, hca, window, linear
	Label                string // layer kind as reports name it: swa, csa, hca, mla, full …
	Heads                int64
	KVHeads              int64
	HeadDim              int64 // width of a query-key product
	ValueDim             int64
	Window               int64 // tokens of the sliding window, 0 when there is none
	TopK                 int64 // entries chosen by the indexer, 0 when there is none
	IndexHeads, IndexDim int64
	RunsIndexer          bool // false for layers that reuse another layer's choice
	Linears              []Linear
	Pieces               []Piece
	Extra                []Tensor
	// StateBytes is what a sequence holds whatever its length (compressor state,
	// linear-attention state, convolution tails); StateRead is read and written
	// a decoded token; StateFlops are spent on it a token.
	StateBytes, StateRead, StateFlops int64
	// PrefillStateFlops is the chunked form of StateFlops, a token.
	PrefillStateFlops int64
	// PrefixFlops is what one prefill pass spends on a token of the prefix that
	// is already cached, beside attention itself: MLA in MHA form projects the
	// cached latents up to keys and values again.
	PrefixFlops int64
	// SmallKernels counts the norm, RoPE, activation and top-k launches between
	// the big operators.
	SmallKernels int
	// NormSums are sums of squares a row that run over all heads (query and key
	// norms across heads): tensor-parallel ranks, which hold some of the heads each,
	// add them up before they can normalise.
	NormSums int64
}

// FFN is a dense MLP (Linears) or a mixture of experts (MoE).
type FFN struct {
	Label        string   // kind as reports name it: dense, moe, hash …
	Linears      []Linear // dense MLP, or nil
	MoE          *MoE
	SmallKernels int
}

// MoE is a mixture of experts with optional shared experts. One expert is Mats
// matrices of In×Inter.
type MoE struct {
	Experts, TopK int64
	In, Inter     int64  // In is the width experts see (Hidden, or a latent width)
	Mats          int64  // 3 gated, 2 plain
	Format        Format // routed experts' weights
	ScaleBytes    int64  // as Linear.ScaleBytes
	ExpertBias    int64  // BF16 biases of one routed expert, elements
	Gate          Linear
	Latent        []Linear // projections to and from a latent expert width
	Shared        []Linear // all shared experts together
	HashRouted    bool     // the token id chooses; the gate still scores
	// Groups are runs of experts of which a token goes to TopKGroups at most
	// (node-limited routing, arXiv 2412.19437 §2.1.2); 0 is no such limit.
	Groups, TopKGroups int64
	Extra              []Tensor
}

// ExpertParams is the number of weights of one routed expert.
func (m *MoE) ExpertParams() int64 { return m.Mats * m.In * m.Inter }

// Experts is the most routed experts that a layer has, 0 when all are dense.
func (m *Model) Experts() int64 {
	most := int64(0)
	for _, l := range m.Layers {
		if l.FFN != nil && l.FFN.MoE != nil {
			most = max(most, l.FFN.MoE.Experts)
		}
	}
	return most
}

// TopK is the largest number of routed experts that a token is sent to in a layer; 0 of a
// dense model.
func (m *Model) TopK() int64 {
	most := int64(0)
	for _, l := range m.Layers {
		if l.FFN != nil && l.FFN.MoE != nil {
			most = max(most, l.FFN.MoE.TopK)
		}
	}
	return most
}
