package validate

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
)

//go:embed known.yaml
var knownText []byte

// knowledge is what readers know of the files that they read.
type knowledge struct {
	Systems    []system     `yaml:"systems"`
	Families   []family     `yaml:"families"`
	InferenceX []checkpoint `yaml:"inferencex"`
	Splitwise  []checkpoint `yaml:"splitwise"`
	Silicon    []checkpoint `yaml:"silicon"`
	Rows       []remark     `yaml:"rows"`
}

// system is the topology that rows on a chip ran on.
type system struct {
	Chip     string `yaml:"chip"` // as rows write it
	Topology string `yaml:"topology"`
	Node     int    `yaml:"node"`  // the topology comes in multiples of this
	Chips    int    `yaml:"chips"` // of the topology as it is named
}

// family is a group of models that are built alike.
type family struct {
	Name  string   `yaml:"name"`
	Begin []string `yaml:"begin"`
}

// checkpoint is a model as a file names it, with the formats of its published quantised
// checkpoints.
type checkpoint struct {
	Name  string             `yaml:"name"`
	Model string             `yaml:"model"`
	MoE   bool               `yaml:"moe,omitempty"`
	Own   string             `yaml:"own,omitempty"` // the precision that the model's own checkpoint has
	FP8   scenario.Precision `yaml:"fp8,omitempty"`
	FP4   scenario.Precision `yaml:"fp4,omitempty"`
}

// remark is what is known of rows beside what they say.
type remark struct {
	Where map[string]recipe.Names `yaml:"where"` // column: what it has
	Skip  string                  `yaml:"skip,omitempty"`
	Spec  string                  `yaml:"spec,omitempty"`
	Note  string                  `yaml:"note,omitempty"`
}

// known is read once.
var known = sync.OnceValue(func() *knowledge {
	k := &knowledge{}
	if err := spec.Parse("known.yaml", knownText, k).Err(); err != nil {
		panic("validate: " + err.Error()) // embedded: its test reads it
	}
	return k
})

func findSystem(chip string) (*system, error) {
	all := known().Systems
	if i := slices.IndexFunc(all, func(s system) bool { return s.Chip == chip }); i >= 0 {
		return &all[i], nil
	}
	return nil, fmt.Errorf("unknown chip %q", chip)
}

func findCheckpoint(all []checkpoint, name string) (*checkpoint, error) {
	if i := slices.IndexFunc(all, func(c checkpoint) bool { return c.Name == name }); i >= 0 {
		return &all[i], nil
	}
	return nil, fmt.Errorf("unknown model %q", name)
}

// familyOf groups models for tables.
func familyOf(model string) string {
	for _, f := range known().Families {
		if slices.ContainsFunc(f.Begin, func(begin string) bool { return strings.HasPrefix(model, begin) }) {
			return f.Name
		}
	}
	return model
}

// remarks are what is known of a row: the first that says each thing.
func (t *table) remarks() (out remark) {
	rows := known().Rows
	for i := range rows {
		if r := &rows[i]; r.about(t) {
			for _, f := range []struct {
				into *string
				text string
			}{{&out.Skip, r.Skip}, {&out.Spec, r.Spec}, {&out.Note, r.Note}} {
				if *f.into == "" {
					*f.into = f.text
				}
			}
		}
	}
	return out
}

// about reports that the row has what the remark names.
func (r *remark) about(t *table) bool {
	for _, column := range slices.Sorted(maps.Keys(r.Where)) {
		has := t.text(column)
		if !slices.ContainsFunc(r.Where[column], func(want string) bool { return fits(has, want) }) {
			return false
		}
	}
	return true
}

// fits compares with a text that may begin or end with *, anything.
func fits(text, want string) bool {
	begin, end := strings.TrimSuffix(want, "*"), strings.TrimPrefix(want, "*")
	switch {
	case begin != want && end != want:
		return strings.Contains(text, strings.Trim(want, "*"))
	case begin != want:
		return strings.HasPrefix(text, begin)
	case end != want:
		return strings.HasSuffix(text, end)
	}
	return text == want
}
