package plan

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/topologies"
)

// topology is a system of nothing but domains of chips.
func topology(chips, domain int) *topologies.Topology {
	return &topologies.Topology{Name: "test", Chips: chips, Chip: &topologies.Chip{Silicon: topologies.Silicon{Dies: 1}}, Tiers: []topologies.Tier{{Size: domain}, {Size: chips}}}
}

// As many instances as fit do fit, one more does not, and they do not overlap.
func TestPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := place{topology(rapid.IntRange(1, 3000).Draw(t, "chips"), rapid.SampledFrom([]int{1, 8, 64, 72}).Draw(t, "domain"))}
		at := rapid.IntRange(0, p.topology.Chips).Draw(t, "at")
		size := rapid.IntRange(1, 300).Draw(t, "size")
		n := p.fit(at, size)
		if _, ok := p.end(at, size, n); !ok {
			t.Fatalf("%d instances do not fit", n)
		}
		if _, ok := p.end(at, size, n+1); ok {
			t.Fatalf("%d instances fit as well as %d", n+1, n)
		}
		last := at
		for i := 1; i <= n; i++ {
			next, _ := p.end(at, size, i)
			if next < last+size {
				t.Fatalf("instance %d of %d chips ends at %d, the one before at %d", i, size, next, last)
			}
			last = next
		}
	})
}
