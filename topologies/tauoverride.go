package topologies

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

// TauOverride replaces one part of the delay budget.
//
// Part is endpoint, software, switch, serdes, fec, optics (delays), metre (of one
// metre), metres (a cable's length) or path (the whole traversal). Tier limits it
// to one tier. Without a tier a part is replaced wherever it occurs, and path on
// every tier but the innermost of several: what leaves a domain.
type TauOverride struct {
	Tier   string
	Part   string
	Value  float64 // ns, or metres for a length
	Preset string  // the name that stood for Part and Value, "" when they were given
}

// TauOverrides are applied in order; a later one wins.
//
// Text form, as after --tau: "optics=10ns,superpod.switch=50ns,rack=rdma,cpo".
// YAML form: the same text, or a mapping such as {optics: 10ns, rack: rdma, preset: cpo}.
type TauOverrides []TauOverride

type tauPreset struct {
	part string
	ns   float64
}

// Optics are a pass through one module, path presets a whole traversal
// (16, 6, 5 and 3.5 pJ a bit, which nothing reads; facts: ECOC 2026 talks by Huawei and Ciena; NCCL tuning.cc; He Tingbo,
// ChinaXiv:202605.00224, for the 100 ns that system-level τ aspires to).
var tauPresets = map[string]tauPreset{
	"pluggable":   {"optics", 100},
	"lpo":         {"optics", 20},
	"npo":         {"optics", 10},
	"cpo":         {"optics", 5},
	"tcp":         {"path", 25_000},
	"rdma":        {"path", 2_500},
	"aspire100ns": {"path", 100},
}

var tauParts = []string{"endpoint", "software", "switch", "serdes", "fec", "optics", "metre", "metres", "path"}

// reservedNames are the words of --tau that no tier may be called by.
func reservedNames() []string {
	return append(slices.Sorted(maps.Keys(tauPresets)), append([]string{"preset"}, tauParts...)...)
}

// ParseTau reads the text form.
func ParseTau(text string) (TauOverrides, error) {
	var out TauOverrides
	var faults []string
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		key, value, given := strings.Cut(item, "=")
		if !given {
			key, value = "preset", item
		}
		o, err := parseTauItem(strings.TrimSpace(key), strings.TrimSpace(value))
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		out = append(out, o)
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	return out, nil
}

// parseTauItem reads one KEY=VALUE: KEY is preset, PART, TIER.PART or TIER.
func parseTauItem(key, value string) (TauOverride, error) {
	tier, part, dotted := strings.Cut(key, ".")
	switch {
	case !dotted && key == "preset":
		return presetOverride("", value)
	case !dotted && slices.Contains(tauParts, key):
		tier, part = "", key
	case !dotted && isPreset(value):
		return presetOverride(key, value)
	case !dotted:
		return TauOverride{}, unknownTauKey(key, value)
	}
	if !slices.Contains(tauParts, part) {
		return TauOverride{}, spec.UnknownName("part of τ", part, tauParts)
	}
	if dotted && !tierWord(tier) {
		return TauOverride{}, fmt.Errorf("%q before .%s is not the name of a tier", tier, part)
	}
	v, err := tauValue(part, value)
	return TauOverride{Tier: tier, Part: part, Value: v}, err
}

func tierWord(tier string) bool {
	return tier != "" && !strings.ContainsAny(tier, " .,=/:{}[]#\"'\t\r\n") && !slices.Contains(reservedNames(), tier)
}

func unknownTauKey(key, value string) error {
	if _, err := tauValue("path", value); err == nil {
		return fmt.Errorf("%w; a tier's whole path is %s.path=%s", spec.UnknownName("part of τ", key, tauParts), key, value)
	}
	return fmt.Errorf("%s=%s: %w", key, value, spec.UnknownName("preset of τ", value, slices.Collect(maps.Keys(tauPresets))))
}

func isPreset(name string) bool { _, ok := tauPresets[name]; return ok }

func presetOverride(tier, name string) (TauOverride, error) {
	p, ok := tauPresets[name]
	if !ok {
		return TauOverride{}, spec.UnknownName("preset of τ", name, slices.Collect(maps.Keys(tauPresets)))
	}
	if tier != "" && !tierWord(tier) {
		return TauOverride{}, fmt.Errorf("%q is not the name of a tier", tier)
	}
	return TauOverride{Tier: tier, Part: p.part, Value: p.ns, Preset: name}, nil
}

// tauValue reads a delay, of a metre in fractions of a ns, or a length.
func tauValue(part, text string) (float64, error) {
	switch part {
	case "metres":
		v, err := strconv.ParseFloat(strings.TrimSuffix(text, "m"), 64)
		if err != nil || !(v >= 0 && v <= maxMetres) {
			return 0, fmt.Errorf("metres: %q is not a length such as 30m, at most %g m", text, maxMetres)
		}
		return v, nil
	case "metre":
		v, err := strconv.ParseFloat(strings.TrimSuffix(text, "ns"), 64)
		if err != nil || !(v >= 0 && v <= 1000) || !strings.HasSuffix(text, "ns") {
			return 0, fmt.Errorf("metre: %q is not the delay of one metre such as 4.9ns, at most 1000ns", text)
		}
		return v, nil
	}
	var d spec.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf("%s: %w", part, err)
	}
	if d > maxTau {
		return 0, fmt.Errorf("%s: must be at most %s, got %s", part, time.Duration(maxTau), text)
	}
	return float64(d), nil
}

// String is the text form, which parses back to the same overrides.
func (os TauOverrides) String() string {
	items := make([]string, len(os))
	for i, o := range os {
		key, value := o.pair()
		items[i] = key + "=" + value
		if key == "preset" {
			items[i] = value
		}
	}
	return strings.Join(items, ",")
}

func (o TauOverride) pair() (key, value string) {
	switch {
	case o.Preset != "" && o.Tier == "":
		return "preset", o.Preset
	case o.Preset != "":
		return o.Tier, o.Preset
	}
	key = o.Part
	if o.Tier != "" {
		key = o.Tier + "." + o.Part
	}
	switch o.Part {
	case "metres":
		return key, strconv.FormatFloat(o.Value, 'g', -1, 64) + "m"
	case "metre":
		return key, strconv.FormatFloat(o.Value, 'g', -1, 64) + "ns"
	}
	return key, spec.Duration(math.Round(o.Value)).String()
}

// UnmarshalText reads the text form.
func (os *TauOverrides) UnmarshalText(text []byte) error {
	parsed, err := ParseTau(string(text))
	if err == nil {
		*os = parsed
	}
	return err
}

// MarshalText writes the text form.
func (os TauOverrides) MarshalText() ([]byte, error) { return []byte(os.String()), nil }

// UnmarshalYAML reads the text form or a mapping, in the order it is written.
func (os *TauOverrides) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return os.UnmarshalText([]byte(n.Value))
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("tau is a text such as optics=10ns or a mapping such as {optics: 10ns}")
	}
	var out TauOverrides
	var faults []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		o, err := parseTauItem(n.Content[i].Value, n.Content[i+1].Value)
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		out = append(out, o)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "; "))
	}
	*os = out
	return nil
}

// WithTau is the system with parts of its delay budget replaced. Every override
// must find something to replace.
func (t *Topology) WithTau(overrides TauOverrides) (*Topology, error) {
	out := *t
	out.Tiers = slices.Clone(t.Tiers)
	for i := range out.Tiers {
		out.Tiers[i].Tau.Hops = slices.Clone(out.Tiers[i].Tau.Hops)
	}
	var faults []string
	for _, o := range overrides {
		if err := out.override(o); err != nil {
			faults = append(faults, err.Error())
		}
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	return &out, nil
}

func (t *Topology) override(o TauOverride) error {
	if o.Tier != "" && t.tier(o.Tier) < 0 {
		return fmt.Errorf("%s: %w", t.Name, spec.UnknownName("tier", o.Tier, t.tierNames()))
	}
	done := false
	for i := range t.Tiers {
		tier := &t.Tiers[i]
		switch {
		case o.Tier != "" && tier.Name != o.Tier:
		case o.Tier == "" && o.Part == "path" && i == 0 && len(t.Tiers) > 1:
		default:
			done = tier.Tau.replace(o) || done
		}
	}
	if !done {
		return fmt.Errorf("no link of %s has %s; TIER.%s=… adds it to a tier (%s)", t.Name, o.Part, o.Part, strings.Join(t.tierNames(), ", "))
	}
	return nil
}

// replace changes one part and reports whether it was there to change. A part
// of a named tier need not have been there.
func (t *Tau) replace(o TauOverride) bool {
	d := spec.Duration(math.Round(o.Value))
	switch o.Part {
	case "endpoint":
		t.Endpoint = d
	case "software":
		t.Software = d
	case "metre":
		t.NsPerMetre = o.Value
	case "path":
		t.Endpoint, t.Software = 0, d
		clear(t.Hops)
	default:
		return t.replaceInHops(o.Part, d, o)
	}
	return true
}

func (t *Tau) replaceInHops(part string, d spec.Duration, o TauOverride) bool {
	done := false
	for i := range t.Hops {
		h := &t.Hops[i]
		if part == "metres" {
			h.Metres, done = o.Value, true
			continue
		}
		field := map[string]*spec.Duration{"switch": &h.Switch, "serdes": &h.SerDes, "fec": &h.FEC, "optics": &h.Optics}[part]
		if *field > 0 || o.Tier != "" {
			*field, done = d, true
		}
	}
	return done
}

func (t *Topology) tier(name string) int {
	return slices.IndexFunc(t.Tiers, func(x Tier) bool { return x.Name == name })
}

func (t *Topology) tierNames() []string {
	names := make([]string, len(t.Tiers))
	for i := range t.Tiers {
		names[i] = t.Tiers[i].Name
	}
	return names
}
