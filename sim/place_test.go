package sim

import (
	"testing"

	"github.com/clustersim/clustersim/topologies"
)

// A pool ends behind its last instance: what is left of that domain is the next
// pool's.
func TestPoolEnd(t *testing.T) {
	rack, err := topologies.Load("gb200-nvl72:144")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ first, chips, instances, want int }{
		{0, 4, 4, 16},
		{16, 48, 1, 64},  // 16 prefill and 48 decode chips share a rack
		{0, 48, 2, 120},  // the second does not straddle racks
		{0, 32, 2, 64},   // two to a rack
		{0, 32, 3, 104},  // the third in the next one
		{0, 72, 1, 72},   // a rack each
		{0, 72, 2, 144},  //
		{0, 100, 1, 100}, // larger than a rack
	} {
		if got := PoolEnd(rack, x.first, x.chips, x.instances); got != x.want {
			t.Errorf("%d instances of %d chips from %d end at %d, want %d", x.instances, x.chips, x.first, got, x.want)
		}
	}
}
