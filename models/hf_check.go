package models

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// notef says that something which the file says does not count here.
func (c *conversion) notef(format string, args ...any) {
	c.doc.notes = append(c.doc.notes, c.file+": "+fmt.Sprintf(format, args...))
}

// checkGiven refuses what no model can have, wherever it stands: keys that are missing
// have defaults, a 0 that is written has not.
func (c *conversion) checkGiven() {
	h := c.h
	for _, k := range []struct {
		key   string
		given *int64
	}{{"num_key_value_heads", h.KVHeads}, {"head_dim", h.HeadDim}} {
		if k.given != nil && *k.given < 1 {
			c.errorf(k.key, "must be a positive number, got %d", *k.given)
		}
	}
	v := reflect.ValueOf(h).Elem()
	for i := range v.NumField() {
		if n := v.Field(i); n.Kind() == reflect.Int64 && n.Int() < 0 {
			c.errorf(jsonKey(v.Type().Field(i)), "must not be negative, got %d", n.Int())
		}
	}
	c.checkType("torch_dtype", h.TorchDtype)
	c.checkType("dtype", h.Dtype)
}

func jsonKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}

// sixteenBit are the types of unquantised weights that are served as they are.
var sixteenBit = []string{"", "auto", "bfloat16", "float16", "half"}

func (c *conversion) checkType(key, is string) {
	switch is = strings.TrimPrefix(is, "torch."); {
	case slices.Contains(sixteenBit, is):
	case is == "float32" || is == "float":
		c.notef("%s: %s weights are served in 16 bits, as engines do unless told otherwise", key, is)
	default:
		c.errorf(key, "must be bfloat16, float16 or float32, got %q; quantised weights are said by quantization_config", is)
	}
}

// checkUsed notes what the file says and the conversion does not follow.
func (c *conversion) checkUsed() {
	h := c.h
	if len(h.Architectures) > 0 && !slices.ContainsFunc(h.Architectures, func(a string) bool { return knownClass(a, c.outer, h.ModelType) }) {
		c.notef("architectures: %q is no class of model_type %s; the model is read as %s", strings.Join(h.Architectures, ", "), h.ModelType, h.ModelType)
	}
	windowed := false
	for _, a := range c.doc.Attention {
		windowed = windowed || a.Window > 0
	}
	asked := h.UseSlidingWindow != nil && *h.UseSlidingWindow
	off := h.UseSlidingWindow != nil && !*h.UseSlidingWindow
	switch {
	case windowed || off || !asked && h.SlidingWindow == 0:
	case asked && h.SlidingWindow == 0:
		c.notef("use_sliding_window: there is no sliding_window; every layer attends to the whole context")
	case asked && h.MaxWindowLayers >= h.LayerCount:
		c.notef("use_sliding_window: layers from max_window_layers (%d) on would have it, and there are %d; every layer attends to the whole context", h.MaxWindowLayers, h.LayerCount)
	default:
		c.notef("sliding_window: %s does not use it unless use_sliding_window or layer_types say so; every layer attends to the whole context", h.ModelType)
	}
}

// classWords are parts of class names in which families differ from their model_type.
var classWords = map[string][]string{
	"kimi_k2":          {"deepseekv3"},
	"deepseek_v3":      {"deepseekv3"},
	"qwen3_5_moe_text": {"qwen35moe"},
	"minimax_m1":       {"minimaxm1", "minimaxtext01"},
	"mistral":          {"mistral", "mistral3", "pixtral"},
}

// knownClass reports whether a class of transformers is that of a model_type, or of the
// multimodal one around it: Qwen3MoeForCausalLM is qwen3_moe's.
func knownClass(class string, types ...string) bool {
	word, _, is := strings.Cut(class, "For")
	if !is {
		word = strings.TrimSuffix(class, "LMHeadModel")
	}
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	return !strings.Contains(class, "Classification") && slices.ContainsFunc(types, func(t string) bool {
		return plain(word) == plain(t) || slices.Contains(classWords[t], plain(word))
	})
}

// kvHeads is how many key and value heads there are: as many as query heads where the
// file does not say.
func (h *hfConfig) kvHeads() int64 { return cmp.Or(at(h.KVHeads), h.Heads) }

// headDim is the width of a head: the hidden width's share where the file does not say.
func (h *hfConfig) headDim() int64 { return cmp.Or(at(h.HeadDim), h.Hidden/h.Heads) }

func at(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}
