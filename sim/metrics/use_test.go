package metrics

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
)

// twoPools have an instance of two chips and one of four, on links of 1 and 0.1 GB/s.
func twoPools() *Recorder {
	return NewRecorder(Config{
		Pools:    []string{"prefill", "decode"},
		Hardware: []Hardware{{Chips: 2, Peak: 1e12, HBM: 1e10}, {Chips: 4, Peak: 2e12, HBM: 1e10}}, Links: []float64{1e9, 1e8},
	})
}

func TestUseIsSinceTheLastFill(t *testing.T) {
	r := twoPools()
	step := &cost.Step{Flops: 5e11, Bytes: 2.5e9}
	step.Causes[cause.CommBandwidth] = 500 * ms
	step.LinkBytes[0] = 0.5e9
	r.Step(0, Prefill, step, 0, 0) // 0.5 s × 2 chips
	r.Idle(1, int64(1000*ms))      // 1 s × 4 chips
	var s Snapshot
	for i, want := range []struct {
		links []LinkUse
		pools []PoolUse
		mfu   float64
	}{
		{[]LinkUse{{Mean: 0.1, Busiest: 0.5}, {}}, []PoolUse{{MFU: 0.5, MBU: 0.25, Busy: 1}, {}}, 5e11 / 9e12},
		{[]LinkUse{{Mean: 0.25, Busiest: 0.25}, {}}, []PoolUse{{}, {MFU: 0.125, MBU: 0.125, Busy: 1}}, 0.125},
		{[]LinkUse{{}, {}}, []PoolUse{{}, {}}, 0},
	} {
		if i == 1 {
			r.Step(1, Decode, step, 0, 0)
		}
		r.Fill(&s)
		if !slices.Equal(s.Use.Links, want.links) || !slices.Equal(s.Use.Pools, want.pools) || s.Use.MFU != want.mfu {
			t.Errorf("fill %d: %+v, want %+v", i, s.Use, want)
		}
	}
}

// A cache that is handed over leaves by the links of one pool and comes in by those of
// the other: where these are fewer, they are the busiest, though nothing is sent there.
func TestCachesComeInToo(t *testing.T) {
	r := twoPools()
	r.Idle(0, int64(4000*ms)) // 8 chip-seconds
	r.Idle(1, int64(1000*ms)) // 4
	r.Moved(0, 1, 1, 0.3e9)
	w := r.Window(4000 * ms)
	u := r.Use(&w)
	if want := (LinkUse{Mean: 0.3e9 / 1.2e9, Busiest: 0.75}); u.Links[1] != want {
		t.Errorf("%+v, want %+v", u.Links[1], want)
	}
	r.Moved(0, 1, 1, 0.3e9)
	w = r.Window(4000 * ms)
	if u = r.Use(&w); u.Links[1].Busiest != 1 || !u.Links[1].Over {
		t.Errorf("more than there is: %+v", u.Links[1])
	}
}

// What was used is the sum over pools, and no figure is outside 0 to 1, the busiest never
// below the mean.
func TestUseIsAShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := twoPools()
		for range rapid.IntRange(0, 10).Draw(t, "steps") {
			pool := rapid.IntRange(0, 1).Draw(t, "pool")
			step := &cost.Step{}
			step.Causes[cause.Compute] = 1000 * ms
			h := r.cfg.Hardware[pool]
			used := rapid.Float64Range(0, 1).Draw(t, "used") * float64(h.Chips)
			step.Flops, step.Bytes, step.LinkBytes[0] = used*h.Peak, used*h.HBM, used*r.cfg.Links[0]
			r.Step(pool, Decode, step, 0, 0)
			r.Moved(0, 1, 0, rapid.Float64Range(0, 1e9).Draw(t, "moved"))
		}
		w := r.Window(1)
		u := r.Use(&w)
		all := []float64{u.MFU, u.MBU}
		for _, p := range u.Pools {
			all = append(all, p.MFU, p.MBU, p.Busy)
		}
		for _, l := range u.Links {
			all = append(all, l.Mean, l.Busiest)
			if l.Busiest < l.Mean-1e-9 {
				t.Fatalf("the busiest carries %v, the mean %v", l.Busiest, l.Mean)
			}
		}
		for _, f := range all {
			if !(f >= 0 && f <= 1+1e-9) {
				t.Fatalf("%v in %+v", f, u)
			}
		}
	})
}
