package validate

import (
	"maps"
	"slices"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/topologies"
)

// What known.yaml names exists: topologies with the chip and size that it says, models,
// columns; each remark says one thing.
func TestKnown(t *testing.T) {
	k := known()
	for _, s := range k.Systems {
		topology, err := topologies.Load(s.Topology)
		if err != nil || topology.Chip.Name != s.Chip || topology.Chips != s.Chips || s.Chips%s.Node != 0 {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, c := range slices.Concat(k.InferenceX, k.Splitwise, k.Silicon) {
		m, err := models.Load(c.Model)
		if err != nil || m.Name != c.Model || c.Name == "" {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, r := range k.Rows {
		if said := len(r.Skip) + len(r.Spec) + len(r.Note); said == 0 || said != max(len(r.Skip), len(r.Spec), len(r.Note)) || len(r.Where) == 0 {
			t.Errorf("%+v: want one of skip, spec and note", r)
		}
		for _, column := range slices.Sorted(maps.Keys(r.Where)) {
			if !slices.Contains(siliconColumns, column) {
				t.Errorf("%+v: no column %s", r, column)
			}
		}
	}
}

func TestFits(t *testing.T) {
	for _, x := range []struct {
		text, want string
		fits       bool
	}{
		{"abc", "abc", true}, {"abcd", "abc", false}, {"abcd", "abc*", true}, {"xabc", "abc*", false}, {"xabc", "*abc", true}, {"abcx", "*abc", false},
		{"xabcx", "*abc*", true}, {"xabx", "*abc*", false}, {"", "*", true},
	} {
		if fits(x.text, x.want) != x.fits {
			t.Errorf("%q, %q: want %t", x.text, x.want, x.fits)
		}
	}
}
