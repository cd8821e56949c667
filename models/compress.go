package models

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Compression asks for other attention parameters than the checkpoint's: the
// compression ratios of CSA and HCA layers, how many entries an indexer chooses,
// the sliding window, and how cache entries and index keys are stored. Zero and
// empty leave a value as it is.
//
// Uncompressed is the same model with full attention: V4 reads one entry a token
// in every layer, draft layers too, without compressor and indexer; DSA becomes
// dense latent attention; MLA caches the keys and values of every head. It
// changes costs alone: what such a model would answer is not modelled.
type Compression struct {
	Uncompressed bool   `yaml:"uncompressed,omitempty"`
	CSA          int64  `yaml:"csa,omitempty"`
	HCA          int64  `yaml:"hca,omitempty"`
	TopK         int64  `yaml:"topk,omitempty"`
	Window       int64  `yaml:"window,omitempty"`
	KV           Format `yaml:"kv,omitempty"`
	Indexer      Format `yaml:"indexer,omitempty"`
}

type knob struct {
	name   string
	number *int64
	format *Format
}

func (c *Compression) knobs() []knob {
	return []knob{
		{"csa", &c.CSA, nil}, {"hca", &c.HCA, nil}, {"topk", &c.TopK, nil}, {"window", &c.Window, nil},
		{"kv", nil, &c.KV}, {"indexer", nil, &c.Indexer},
	}
}

func (k knob) set() bool {
	return k.number != nil && *k.number != 0 || k.format != nil && *k.format != ""
}

func knobNames(ks []knob) string {
	names := make([]string, len(ks))
	for i, k := range ks {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

// UnmarshalText reads `csa=4,hca=128,topk=1024,window=128,kv=fp8,indexer=fp4` or
// `uncompressed`, which formats may follow.
func (c *Compression) UnmarshalText(text []byte) error {
	var out Compression
	var errs []error
	for _, part := range strings.Split(string(text), ",") {
		switch part = strings.TrimSpace(part); part {
		case "":
		case "uncompressed":
			out.Uncompressed = true
		default:
			errs = append(errs, out.assign(part))
		}
	}
	if err := joined(errs); err != nil {
		return err
	}
	*c = out
	return nil
}

// joined puts all faults of one flag's text on one line.
func joined(errs []error) error {
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}

func (c *Compression) assign(part string) error {
	name, value, ok := strings.Cut(part, "=")
	knobs := c.knobs()
	at := slices.IndexFunc(knobs, func(k knob) bool { return k.name == strings.TrimSpace(name) })
	if !ok || at < 0 {
		return fmt.Errorf("%q is not one of %s (as name=value) or uncompressed", part, knobNames(knobs))
	}
	k := knobs[at]
	if k.set() {
		return fmt.Errorf("%s is given twice", k.name)
	}
	if k.format != nil {
		if err := k.format.UnmarshalText([]byte(value)); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		return nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil || n < 1 {
		return fmt.Errorf("%s must be a positive whole number, got %q", k.name, value)
	}
	*k.number = n
	return nil
}

// MarshalText writes the form that UnmarshalText reads; nothing for no change.
func (c Compression) MarshalText() ([]byte, error) {
	var parts []string
	if c.Uncompressed {
		parts = append(parts, "uncompressed")
	}
	for _, k := range c.knobs() {
		switch {
		case !k.set():
		case k.number != nil:
			parts = append(parts, k.name+"="+itoa(*k.number))
		default:
			parts = append(parts, k.name+"="+string(*k.format))
		}
	}
	return []byte(strings.Join(parts, ",")), nil
}

// String is the text form.
func (c Compression) String() string { t, _ := c.MarshalText(); return string(t) }

// UnmarshalYAML reads the text form or a mapping with the same names.
func (c *Compression) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		if n.Tag == "!!null" {
			return nil
		}
		return c.UnmarshalText([]byte(n.Value))
	}
	type mapping Compression
	if err := n.Load((*mapping)(c), yaml.WithKnownFields()); err != nil {
		return err
	}
	for _, k := range c.knobs() {
		if k.number != nil && *k.number < 0 {
			return fmt.Errorf("%s must be a positive whole number, got %d", k.name, *k.number)
		}
	}
	return nil
}

// Compress returns the model with other attention parameters; no change gives
// an equal model. A knob that the model does not have is an error.
func (m *Model) Compress(c Compression) (*Model, error) {
	if m.doc == nil {
		return nil, fmt.Errorf("kv-compress: model %s was not read from a file", m.Name)
	}
	doc := m.doc.clone()
	if c.Uncompressed {
		if err := doc.uncompress(); err != nil {
			return nil, err
		}
	}
	var has []knob
	var missing []string
	for _, k := range c.knobs() {
		if doc.has(k) {
			has = append(has, k)
		} else if k.set() {
			missing = append(missing, k.name)
		}
	}
	if len(missing) > 0 {
		form := ""
		if c.Uncompressed {
			form = " uncompressed"
		}
		return nil, fmt.Errorf("kv-compress: model %s%s has no %s; it has %s", m.Name, form, strings.Join(missing, ", "), knobNames(has))
	}
	for _, k := range has {
		doc.turn(k)
	}
	return fromDocument(doc, "model "+m.Name)
}

// targets are the parameters that a knob stands for, by layer kind.
func (d *document) targets(name string) []*int64 {
	var out []*int64
	for _, a := range d.kinds() {
		switch {
		case name == "csa" && a.Design == "csa", name == "hca" && a.Design == "hca":
			out = append(out, &a.Ratio)
		case name == "topk" && a.TopK > 0:
			out = append(out, &a.TopK)
		case name == "window" && a.Window > 0:
			out = append(out, &a.Window)
		}
	}
	return out
}

func (d *document) has(k knob) bool {
	switch k.name {
	case "kv":
		return true
	case "indexer":
		return d.Formats.Indexer != ""
	}
	return len(d.targets(k.name)) > 0
}

func (d *document) turn(k knob) {
	switch {
	case !k.set():
	case k.name == "kv":
		d.Formats.KV = changed(d.Formats.KV, *k.format)
	case k.name == "indexer":
		d.Formats.Indexer = changed(d.Formats.Indexer, *k.format)
	default:
		for _, target := range d.targets(k.name) {
			*target = *k.number
		}
	}
}

// WithFormats returns the model with other stored formats, for a chip that lacks
// the checkpoint's. A wish for fp8 or fp4 leaves the finer forms of the same
// width (fp8_block; nvfp4) as they are.
func (m *Model) WithFormats(f Formats) (*Model, error) {
	if m.doc == nil {
		return nil, fmt.Errorf("precision: model %s was not read from a file", m.Name)
	}
	doc := m.doc.clone()
	var errs []error
	for _, x := range []struct {
		name string
		now  *Format
		want Format
		may  bool // what the model has, even where it does not tell its format apart
	}{
		{"weights", &doc.Formats.Weights, f.Weights, true}, {"experts", &doc.Formats.Experts, f.Experts, false},
		{"attention", &doc.Formats.Attention, f.Attention, true}, {"attention_output", &doc.Formats.AttentionOutput, f.AttentionOutput, true},
		{"router", &doc.Formats.Router, f.Router, m.Experts() > 0}, {"kv", &doc.Formats.KV, f.KV, true}, {"indexer", &doc.Formats.Indexer, f.Indexer, false},
	} {
		if x.want != "" && *x.now == "" && !x.may {
			errs = append(errs, fmt.Errorf("precision: model %s has no %s", m.Name, x.name))
			continue
		}
		*x.now = changed(*x.now, x.want)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return fromDocument(doc, "model "+m.Name)
}

func changed(now, want Format) Format {
	if want == "" || want == FP8 && now == FP8Block || want == MXFP4 && now == NVFP4 {
		return now
	}
	return want
}
