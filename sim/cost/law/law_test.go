package law

import (
	"testing"

	"github.com/clustersim/clustersim/topologies"
)

func chips(t testing.TB) []*topologies.Chip {
	t.Helper()
	var out []*topologies.Chip
	for _, name := range topologies.ChipNames() {
		c, err := topologies.LoadChip(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

func TestEveryChipCompiles(t *testing.T) {
	for _, c := range chips(t) {
		s, err := New(c)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(s.Assumptions()) == 0 {
			t.Logf("%s: no assumptions", c.Name)
		}
	}
}
