package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Patch says what stands at a path of a description, instead of what its file says.
type Patch struct {
	Path  string // dotted: memory.bandwidth, tiers.cabinet.size, tiers.*.size
	Value string // YAML as one would write it in the file, or x and a factor: 5TB/s, x1.2, false, null
	root  string // what Under cut off the path
}

// Whole is the path as it was given, before Under cut anything off.
func (p Patch) Whole() string { return p.root + p.Path }

// String is the patch as it is written in full: path=value.
func (p Patch) String() string { return p.Whole() + "=" + p.Value }

// Patches are sorted by path, each path once. They are never changed in place: what
// holds them may share them.
type Patches []Patch

// With is the same patches and one more, which takes the place of one of its path.
func (ps Patches) With(path, value string) Patches {
	out := slices.DeleteFunc(slices.Clone(ps), func(p Patch) bool { return p.Path == path })
	out = append(out, Patch{Path: path, Value: value})
	slices.SortFunc(out, func(a, b Patch) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// Without is the same patches but the one of a path.
func (ps Patches) Without(path string) Patches {
	return slices.DeleteFunc(slices.Clone(ps), func(p Patch) bool { return p.Path == path })
}

// Covers reports whether a patch of one path says what stands at another: the path
// itself or one around it, with * for any name.
func Covers(path, at string) bool {
	plain := strings.NewReplacer("[", ".", "]", "")
	over, below := strings.Split(plain.Replace(path), "."), strings.Split(plain.Replace(at), ".")
	if len(over) > len(below) {
		return false
	}
	for i, part := range over {
		if part != "*" && part != below[i] {
			return false
		}
	}
	return true
}

// Under are the patches of one description, with its root cut off their paths:
// those of "chips.h100" where one is chips.h100.memory.bandwidth. Errors still call
// them by their whole path.
func (ps Patches) Under(root string) Patches {
	var out Patches
	for _, p := range ps {
		if rest, ok := strings.CutPrefix(p.Path, root+"."); ok {
			out = append(out, Patch{Path: rest, Value: p.Value, root: p.root + root + "."})
		}
	}
	return out
}

// UnmarshalYAML reads a mapping from paths to values.
func (ps *Patches) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return errors.New("patches are paths with values, such as {chip.memory.bandwidth: 5TB/s}")
	}
	var out Patches
	for i := 0; i+1 < len(n.Content); i += 2 {
		path := n.Content[i].Value
		if slices.ContainsFunc(out, func(p Patch) bool { return p.Path == path }) {
			return fmt.Errorf("patch %s is given twice", path)
		}
		value, err := valueText(n.Content[i+1])
		if err != nil {
			return fmt.Errorf("patch %s: %w", path, err)
		}
		out = out.With(path, value)
	}
	*ps = out
	return nil
}

// valueText writes a value on one line. A text that would read as something else
// keeps its quotes.
func valueText(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", errors.New("an alias cannot be a patch's value")
	case n.ShortTag() == "!!null":
		return "null", nil
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0:
		return n.Value, nil
	case n.Kind == yaml.ScalarNode:
		var plain string
		if again, err := parseValue(n.Value); err == nil && again.ShortTag() == "!!str" && again.Kind == yaml.ScalarNode && again.Value == n.Value {
			plain = n.Value
		} else if text, err := json.Marshal(n.Value); err == nil { // a JSON text is a YAML one on one line
			plain = string(text)
		}
		return plain, nil
	}
	flow := *n
	flow.Style |= yaml.FlowStyle
	text, err := yaml.Dump(&flow, yaml.WithLineWidth(-1))
	return strings.TrimSpace(string(text)), err
}

// MarshalYAML writes the mapping that UnmarshalYAML reads.
func (ps Patches) MarshalYAML() (any, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range ps {
		value, err := parseValue(p.Value)
		if err != nil {
			return nil, fmt.Errorf("patch %s: %w", p, err)
		}
		key := &yaml.Node{}
		key.SetString(p.Whole())
		out.Content = append(out.Content, key, value)
	}
	return out, nil
}

// MarshalJSON writes the same mapping as JSON, which is YAML too: it reads back.
func (ps Patches) MarshalJSON() ([]byte, error) {
	out := make(map[string]any, len(ps))
	for _, p := range ps {
		value, err := parseValue(p.Value)
		if err != nil {
			return nil, fmt.Errorf("patch %s: %w", p, err)
		}
		var v any
		if err := value.Load(&v); err != nil {
			return nil, fmt.Errorf("patch %s: %w", p, err)
		}
		out[p.Whole()] = v
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (ps *Patches) UnmarshalJSON(text []byte) error { return yaml.Load(text, ps) }

// parseValue reads what a patch says.
func parseValue(text string) (*yaml.Node, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New(`has no value; null leaves the key out, "" in quotes is an empty text`)
	}
	if p, bad := unreadable([]byte(text)); bad {
		return nil, errors.New(p.Text)
	}
	var root yaml.Node
	if err := yaml.Load([]byte(text), &root); err != nil {
		var one *yaml.LoadError
		if errors.As(err, &one) {
			return nil, errors.New(plain(one, place{}))
		}
		return nil, err
	}
	if len(root.Content) != 1 {
		return nil, errors.New("want one value")
	}
	if hasAlias(root.Content[0]) {
		return nil, errors.New("anchors and aliases cannot stand in a patch's value")
	}
	return root.Content[0], nil
}

func hasAlias(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || n.Anchor != "" || slices.ContainsFunc(n.Content, hasAlias)
}
