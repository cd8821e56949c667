package models

// document is the YAML of one model. Attention and ffn kinds are named once;
// layers lists them in order as "attention/ffn".
type document struct {
	Name    string   `yaml:"name"`
	Aliases []string `yaml:"aliases,flow,omitempty"`
	// Repositories are those on Hugging Face whose config.json has these shapes and formats.
	Repositories []string                 `yaml:"repositories,flow,omitempty"`
	Source       string                   `yaml:"source"`
	Published    *publishedDoc            `yaml:"published,omitempty"`
	Difference   string                   `yaml:"difference,omitempty"`
	Hidden       int64                    `yaml:"hidden"`
	Vocab        int64                    `yaml:"vocab"`
	MaxContext   int64                    `yaml:"max_context"`
	TiedHead     bool                     `yaml:"tied_head,omitempty"`
	HC           int64                    `yaml:"hyper_connections,omitempty"`
	Formats      formatsDoc               `yaml:"formats"`
	Attention    map[string]*attentionDoc `yaml:"attention"`
	FFN          map[string]*ffnDoc       `yaml:"ffn"`
	LayerCount   int64                    `yaml:"layer_count"`
	Layers       []runDoc                 `yaml:"layers"`
	MTP          *mtpDoc                  `yaml:"mtp,omitempty"`

	notes []string // of a conversion, which no file has
}

// publishedDoc is the vendor's figure that the recomputed total is held against.
type publishedDoc struct {
	Parameters  float64 `yaml:"parameters"`
	IncludesMTP bool    `yaml:"includes_mtp,omitempty"`
	Source      string  `yaml:"source"`
}

// formatsDoc are the checkpoint's formats; Scale is that of 128×128 FP8 blocks.
type formatsDoc struct {
	Weights         Format `yaml:"weights"`
	Attention       Format `yaml:"attention,omitempty"`        // that of weights when empty
	AttentionOutput Format `yaml:"attention_output,omitempty"` // that of attention when empty
	Experts         Format `yaml:"experts,omitempty"`
	Router          Format `yaml:"router,omitempty"` // its weights and arithmetic; bf16 when empty
	KV              Format `yaml:"kv"`
	Indexer         Format `yaml:"indexer,omitempty"`
	Scale           string `yaml:"block_scale,omitempty"` // fp32 or ue8m0
}

// runDoc is a pattern of layers, each "attention/ffn", repeated.
type runDoc struct {
	Pattern []string `yaml:"pattern,flow"`
	Repeat  int64    `yaml:"repeat,omitempty"`
}

// mtpDoc is the draft module. Joint projections are one 2d×d matrix in BF16,
// split ones two d×d matrices in the weights' format. Copied embeddings are in
// the checkpoint a second time.
type mtpDoc struct {
	Layers         []string  `yaml:"layers,flow"`
	Projection     string    `yaml:"projection"`
	Embeddings     string    `yaml:"embeddings"`
	AcceptedLength []float64 `yaml:"accepted_length,flow,omitempty"`
	AcceptedSource string    `yaml:"accepted_source,omitempty"`
}

// attentionDoc holds the parameters of every design; which of them a design
// takes is in the table of attention.go.
type attentionDoc struct {
	Design     string `yaml:"design"`
	Heads      int64  `yaml:"heads,omitempty"`
	KVHeads    int64  `yaml:"kv_heads,omitempty"`
	HeadDim    int64  `yaml:"head_dim,omitempty"`
	ValueDim   int64  `yaml:"value_dim,omitempty"`
	NopeDim    int64  `yaml:"nope_dim,omitempty"`
	RopeDim    int64  `yaml:"rope_dim,omitempty"`
	QRank      int64  `yaml:"q_rank,omitempty"`
	KVRank     int64  `yaml:"kv_rank,omitempty"`
	OGroups    int64  `yaml:"o_groups,omitempty"`
	ORank      int64  `yaml:"o_rank,omitempty"`
	Window     int64  `yaml:"window,omitempty"`
	Ratio      int64  `yaml:"ratio,omitempty"`
	TopK       int64  `yaml:"topk,omitempty"`
	IndexHeads int64  `yaml:"index_heads,omitempty"`
	IndexDim   int64  `yaml:"index_dim,omitempty"`
	KeyHeads   int64  `yaml:"key_heads,omitempty"`
	KeyDim     int64  `yaml:"key_dim,omitempty"`
	Conv       int64  `yaml:"conv,omitempty"`
	Rule       string `yaml:"rule,omitempty"`    // delta, kda or lightning
	QKNorm     string `yaml:"qk_norm,omitempty"` // head: over one head; all: over all of them
	Bias       string `yaml:"bias,omitempty"`    // qkv or qkvo
	Sinks      bool   `yaml:"sinks,omitempty"`
	OutputGate bool   `yaml:"output_gate,omitempty"`
	SharesTopK bool   `yaml:"shares_topk,omitempty"` // reuses the choice of an earlier layer
	PerHeadKV  bool   `yaml:"per_head_kv,omitempty"` // MLA that caches keys and values of every head
}

// ffnDoc is a dense MLP, or a mixture of experts when Experts is given.
type ffnDoc struct {
	Inter      int64  `yaml:"inter"`
	Experts    int64  `yaml:"experts,omitempty"`
	TopK       int64  `yaml:"topk,omitempty"`
	Groups     int64  `yaml:"groups,omitempty"`       // that experts fall in, in order, when a token may go to some of them only
	TopKGroups int64  `yaml:"topk_groups,omitempty"`  // groups that a token may go to
	Shared     int64  `yaml:"shared_inter,omitempty"` // width of all shared experts together
	SharedGate bool   `yaml:"shared_gate,omitempty"`
	RouterBias Format `yaml:"router_bias,omitempty"`
	Latent     int64  `yaml:"latent,omitempty"` // width that routed experts see, when not hidden
	Hash       bool   `yaml:"hash_routed,omitempty"`
	Bias       bool   `yaml:"bias,omitempty"` // experts' own biases
}

type field struct {
	key   string
	set   bool
	value int64
	limit int64 // 0 for fields that are not numbers
}

// The largest sizes that a file may ask for: they keep every product of a
// projection or a cache inside 63 bits, and are far above any model.
const (
	maxHeads  = 1 << 12
	maxWidth  = 1 << 20
	maxWindow = 1 << 30
	maxTokens = 1 << 40
	maxLayers = 1 << 12
)

// fields lists the design parameters in the order of the struct.
func (a *attentionDoc) fields() []field {
	n := func(key string, v, limit int64) field { return field{key, v != 0, v, limit} }
	f := func(key string, set bool) field { return field{key: key, set: set} }
	return []field{
		n("heads", a.Heads, maxHeads), n("kv_heads", a.KVHeads, maxHeads),
		n("head_dim", a.HeadDim, maxWidth), n("value_dim", a.ValueDim, maxWidth),
		n("nope_dim", a.NopeDim, maxWidth), n("rope_dim", a.RopeDim, maxWidth),
		n("q_rank", a.QRank, maxWidth), n("kv_rank", a.KVRank, maxWidth),
		n("o_groups", a.OGroups, maxHeads), n("o_rank", a.ORank, maxWidth),
		n("window", a.Window, maxWindow), n("ratio", a.Ratio, maxWidth), n("topk", a.TopK, maxWidth),
		n("index_heads", a.IndexHeads, maxHeads), n("index_dim", a.IndexDim, maxWidth),
		n("key_heads", a.KeyHeads, maxHeads), n("key_dim", a.KeyDim, maxWidth), n("conv", a.Conv, 1<<10),
		f("rule", a.Rule != ""), f("qk_norm", a.QKNorm != ""), f("bias", a.Bias != ""),
		f("sinks", a.Sinks), f("output_gate", a.OutputGate),
		f("shares_topk", a.SharesTopK), f("per_head_kv", a.PerHeadKV),
	}
}
