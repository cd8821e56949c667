package topologies

import "testing"

// Eight 910B were measured at 149 GB/s of a gathered buffer and 72 of a reduced one; the
// system's own bandwidth and CANN's share of it give both.
func TestAtlasA2AgainstMeasured(t *testing.T) {
	x := system(t, "atlas-a2")
	lib, err := x.DefaultLibraries()
	if err != nil {
		t.Fatal(err)
	}
	const size = 1 << 30
	for what, c := range map[string]struct{ got, measured float64 }{
		"all-gather": {size / x.AllGather(lib.Collective, 8, size, 1).Total() / 1e9, 149},
		"all-reduce": {size / x.AllReduce(lib.Collective, 8, size, 1).Total() / 1e9, 72},
	} {
		if c.got < 0.93*c.measured || c.got > 1.07*c.measured {
			t.Errorf("%s: %.1f GB/s, measured %.0f", what, c.got, c.measured)
		}
	}
	// Two servers meet over RoCE, in the 1.5 us that Huawei's planner has for it.
	if p := system(t, "atlas-a2:16").Path(0, 15); p.Tau != 1500 || p.Bandwidth != 25e9 {
		t.Errorf("%+v", p)
	}
	// The 32 GB bin goes in by its name.
	c, err := LoadChip("910B4")
	if err != nil || float64(c.Memory.Capacity) != 32<<30 || c.Peak["bf16"] != 280e12 {
		t.Errorf("%+v, %v", c, err)
	}
}
