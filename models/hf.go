package models

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// hfConfig are the keys of a Hugging Face config.json that architecture follows
// from. Multimodal files hold them in text_config; the vision tower is not modelled.
type hfConfig struct {
	ModelType      string   `json:"model_type"`
	Architectures  []string `json:"architectures"`
	TorchDtype     string   `json:"torch_dtype"`
	Dtype          string   `json:"dtype"`
	Hidden         int64    `json:"hidden_size"`
	Vocab          int64    `json:"vocab_size"`
	MaxPositions   int64    `json:"max_position_embeddings"`
	LayerCount     int64    `json:"num_hidden_layers"`
	Tied           bool     `json:"tie_word_embeddings"`
	Heads          int64    `json:"num_attention_heads"`
	KVHeads        *int64   `json:"num_key_value_heads"`
	HeadDim        *int64   `json:"head_dim"`
	AttentionBias  bool     `json:"attention_bias"`
	UseQKNorm      bool     `json:"use_qk_norm"`
	AttnOutputGate *bool    `json:"attn_output_gate"`

	SlidingWindow    int64    `json:"sliding_window"`
	UseSlidingWindow *bool    `json:"use_sliding_window"`
	MaxWindowLayers  int64    `json:"max_window_layers"`
	LayerTypes       []string `json:"layer_types"`
	MLPLayerTypes    []string `json:"mlp_layer_types"`

	QLoraRank      int64            `json:"q_lora_rank"`
	KVLoraRank     int64            `json:"kv_lora_rank"`
	NopeDim        int64            `json:"qk_nope_head_dim"`
	RopeDim        int64            `json:"qk_rope_head_dim"`
	VHeadDim       int64            `json:"v_head_dim"`
	IndexHeads     int64            `json:"index_n_heads"`
	IndexDim       int64            `json:"index_head_dim"`
	IndexTopK      int64            `json:"index_topk"`
	IndexerTypes   []string         `json:"indexer_types"`
	OGroups        int64            `json:"o_groups"`
	OLoraRank      int64            `json:"o_lora_rank"`
	CompressRatios []int64          `json:"compress_ratios"`
	CompressRates  map[string]int64 `json:"compress_rates"`
	HCMult         int64            `json:"hc_mult"`
	HashLayers     int64            `json:"num_hash_layers"`

	Intermediate       int64   `json:"intermediate_size"`
	MoEIntermediate    int64   `json:"moe_intermediate_size"`
	SharedIntermediate int64   `json:"shared_expert_intermediate_size"`
	RoutedExperts      int64   `json:"n_routed_experts"`
	LocalExperts       int64   `json:"num_local_experts"`
	NumExperts         int64   `json:"num_experts"`
	ExpertsPerTok      int64   `json:"num_experts_per_tok"`
	ExpertsPerToken    int64   `json:"num_experts_per_token"`
	ExpertGroups       int64   `json:"n_group"`
	TopKGroups         int64   `json:"topk_group"`
	SharedExperts      int64   `json:"n_shared_experts"`
	NumSharedExperts   int64   `json:"num_shared_experts"`
	FirstKDense        int64   `json:"first_k_dense_replace"`
	SparseStep         int64   `json:"decoder_sparse_step"`
	MLPOnlyLayers      []int64 `json:"mlp_only_layers"`
	TopKMethod         string  `json:"topk_method"`
	RoutingBias        bool    `json:"use_routing_bias"`
	LatentDim          int64   `json:"routed_expert_hidden_size"`
	ExpertDtype        string  `json:"expert_dtype"`

	FullInterval     int64    `json:"full_attention_interval"`
	ConvDim          int64    `json:"linear_conv_kernel_dim"`
	LinearKeyDim     int64    `json:"linear_key_head_dim"`
	LinearKeyHeads   int64    `json:"linear_num_key_heads"`
	LinearValueDim   int64    `json:"linear_value_head_dim"`
	LinearValueHeads int64    `json:"linear_num_value_heads"`
	AttnTypeList     []int64  `json:"attn_type_list"`
	MLAOutputGate    bool     `json:"mla_use_output_gate"`
	LinearAttn       hfLinear `json:"linear_attn_config"`

	NextN     int64    `json:"num_nextn_predict_layers"`
	MTPLayers int64    `json:"mtp_num_hidden_layers"`
	Quant     *hfQuant `json:"quantization_config"`

	TextConfig json.RawMessage `json:"text_config"`
}

// hfLinear are Kimi's linear layers; the lists of layers count from 1.
type hfLinear struct {
	FullLayers   []int64 `json:"full_attn_layers"`
	LinearLayers []int64 `json:"kda_layers"`
	HeadDim      int64   `json:"head_dim"`
	Heads        int64   `json:"num_heads"`
	Conv         int64   `json:"short_conv_kernel_size"`
	FullGate     bool    `json:"use_full_rank_gate"`
}

// fromHF converts a Hugging Face config.json and lays patches over what comes out. name
// becomes the model's name, errors call the file file; source, aliases and published
// figures are not in such a file and stay empty.
func fromHF(name, file string, config []byte, patches spec.Patches) (*Model, error) {
	doc, err := convert(name, file, config)
	if err != nil {
		return nil, err
	}
	if len(patches) == 0 {
		return fromDocument(doc, file)
	}
	m, err := patchDocument(doc, file+" as converted", patches)
	if err == nil {
		m.doc.notes, m.Notes = doc.notes, doc.notes
	}
	return m, err
}

func convert(name, file string, config []byte) (*document, error) {
	h := &hfConfig{}
	outer, err := readHF(file, config, h)
	if err != nil {
		return nil, err
	}
	family := hfFamily(h.ModelType)
	if family == nil {
		return nil, spec.Problems{{File: file, Path: "model_type", Text: spec.UnknownName("architecture", h.ModelType, hfTypes()).Error()}}
	}
	c := &conversion{h: h, doc: &document{
		Name: name, Source: "config.json, model_type " + h.ModelType,
		Hidden: h.Hidden, Vocab: h.Vocab, MaxContext: h.MaxPositions, TiedHead: h.Tied, LayerCount: h.LayerCount,
		Attention: map[string]*attentionDoc{}, FFN: map[string]*ffnDoc{},
	}, file: file, outer: outer}
	c.need("hidden_size", h.Hidden, "vocab_size", h.Vocab, "max_position_embeddings", h.MaxPositions, "num_attention_heads", h.Heads)
	if h.LayerCount < 1 || h.LayerCount > maxLayers {
		c.errorf("num_hidden_layers", "must be between 1 and %d, got %d", maxLayers, h.LayerCount)
	}
	c.checkGiven()
	if len(c.problems) == 0 {
		c.formats()
		family.convert(c)
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	c.checkUsed()
	c.doc.Layers = runs(c.layers)
	return c.doc, nil
}

// readHF decodes the file, then text_config over it. outer is the model_type of the file.
func readHF(name string, config []byte, h *hfConfig) (outer string, err error) {
	if len(bytes.TrimSpace(config)) == 0 {
		return "", spec.Problems{{File: name, Text: "is empty"}}
	}
	for len(config) > 0 {
		h.TextConfig = nil
		if err := json.Unmarshal(config, h); err != nil {
			return "", jsonProblem(name, config, err)
		}
		outer = cmp.Or(outer, h.ModelType)
		if string(h.TextConfig) == "null" {
			break
		}
		config = h.TextConfig
	}
	return outer, nil
}

// jsonProblem gives encoding/json's errors a line and column.
func jsonProblem(name string, data []byte, err error) error {
	p := spec.Problem{File: name, Text: strings.TrimPrefix(err.Error(), "json: ")}
	offset := int64(-1)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	if errors.As(err, &kind) {
		offset, p.Path, p.Text = kind.Offset, kind.Field, fmt.Sprintf("must be %s, got %s", jsonKind(kind.Type.Kind().String()), kind.Value)
	}
	if offset >= 0 {
		head := data[:min(int(offset), len(data))]
		p.Line = 1 + bytes.Count(head, []byte("\n"))
		p.Column = len(head) - (bytes.LastIndexByte(head, '\n') + 1)
	}
	return spec.Problems{p}
}

func jsonKind(goKind string) string {
	switch goKind {
	case "int64":
		return "a whole number"
	case "bool":
		return "true or false"
	case "slice":
		return "a list"
	case "struct", "map":
		return "an object"
	}
	return "a " + goKind
}

// conversion is one config.json on its way to a document.
type conversion struct {
	file     string
	outer    string // model_type of the file, which may hold the model's in text_config
	h        *hfConfig
	doc      *document
	layers   []string
	problems spec.Problems
}

func (c *conversion) errorf(path, format string, args ...any) {
	c.problems = append(c.problems, spec.Problem{File: c.file, Path: path, Text: fmt.Sprintf(format, args...)})
}

// need checks pairs of key and value.
func (c *conversion) need(pairs ...any) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if v, _ := pairs[i+1].(int64); v < 1 {
			c.errorf(pairs[i].(string), "must be a positive number, got %d", v)
		}
	}
}

// list checks that a list by layer covers the layers.
func (c *conversion) list(key string, n int) bool {
	if n == 0 {
		return false
	}
	if int64(n) < c.h.LayerCount {
		c.errorf(key, "has %d entries for %d layers", n, c.h.LayerCount)
		return false
	}
	return true
}

// each names every layer; the kinds that no layer names are dropped.
func (c *conversion) each(attention, ffn func(i int) string) {
	for i := range int(c.h.LayerCount) {
		c.layers = append(c.layers, attention(i)+"/"+ffn(i))
	}
}

// drop removes kinds that neither a layer nor a draft layer uses.
func (c *conversion) drop() {
	all := slices.Clone(c.layers)
	if c.doc.MTP != nil {
		all = append(all, c.doc.MTP.Layers...)
	}
	for name := range c.doc.Attention {
		if !slices.ContainsFunc(all, func(l string) bool { return strings.HasPrefix(l, name+"/") }) {
			delete(c.doc.Attention, name)
		}
	}
	for name := range c.doc.FFN {
		if !slices.ContainsFunc(all, func(l string) bool { return strings.HasSuffix(l, "/"+name) }) {
			delete(c.doc.FFN, name)
		}
	}
}

// draft adds n copies of a draft layer.
func (c *conversion) draft(n int64, layer, projection, embeddings string) {
	if n < 1 {
		return
	}
	c.doc.MTP = &mtpDoc{Projection: projection, Embeddings: embeddings}
	for range min(n, 64) {
		c.doc.MTP.Layers = append(c.doc.MTP.Layers, layer)
	}
}

// runs folds a list of layers into repeated patterns: at each place the shortest
// period of up to 8 layers that covers the most.
func runs(layers []string) []runDoc {
	var out []runDoc
	for i := 0; i < len(layers); {
		period, cover := 1, 1
		for p := 1; p <= 8 && i+p <= len(layers); p++ {
			n := p
			for i+n < len(layers) && layers[i+n] == layers[i+n-p] {
				n++
			}
			if n -= n % p; n > cover && (n > p || p == 1) {
				period, cover = p, n
			}
		}
		run := runDoc{Pattern: slices.Clone(layers[i : i+period])}
		if n := int64(cover / period); n > 1 {
			run.Repeat = n
		}
		out = append(out, run)
		i += cover
	}
	return out
}
