package plant

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

// placeOneByOne puts instances down one at a time: at the next chip, or at the next
// domain when the rest of this one is too small.
func placeOneByOne(domain, first, chips, instances int) (start, end int) {
	at := first
	for i := range instances {
		if left := domain - at%domain; chips > left {
			at += left % domain
		}
		if i == 0 {
			start = at
		}
		at += chips
	}
	return start, at
}

func TestPlaceIsOneByOne(t *testing.T) {
	for _, domain := range []int{1, 4, 8, 72} {
		topology := &topologies.Topology{Tiers: []topologies.Tier{{Size: domain}}}
		for first := range 2*domain + 1 {
			for chips := 1; chips <= 2*domain+1; chips++ {
				for instances := 1; instances <= 7; instances++ {
					start, end := placeOneByOne(domain, first, chips, instances)
					p := place(topology, first, chips, instances)
					if p.First != start || p.End != end || p.Used != chips*instances {
						t.Fatalf("%d of %d chips from %d in domains of %d: %+v, want %d to %d", instances, chips, first, domain, p, start, end)
					}
				}
			}
		}
	}
	// Six prefill workers of four and one of 48 fill a rack of 72.
	rack := &topologies.Topology{Tiers: []topologies.Tier{{Size: 72}}}
	if p := place(rack, place(rack, 0, 4, 6).End, 48, 1); p.First != 24 || p.End != 72 {
		t.Errorf("%+v, want 24 to 72", p)
	}
}
