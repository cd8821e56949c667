package topologies

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Published: v5p 64 TB/s and Ironwood 76.8 TB/s of bisection (Google Cloud TPU
// documentation), 16 hops on average and 32 at most on both.
func TestTorusOracles(t *testing.T) {
	for ref, want := range map[string]float64{"tpu-v5p-pod": 64e12, "ironwood-9216": 76.8e12} {
		x := system(t, ref)
		within(t, ref+" bisection", float64(x.Bisection()), want, 1e-9)
		d := x.Delays()
		if d.WorstHops != 32 {
			t.Errorf("%s: diameter %v, want 32", ref, d.WorstHops)
		}
		// The published mean counts a chip as its own peer.
		within(t, ref+" mean hops", d.MeanHops*float64(x.Chips-1)/float64(x.Chips), 16, 1e-9)
		if p := x.Path(0, x.Chips-1); p.Hops != 3 {
			t.Errorf("%s: opposite corners are %d hops apart, the rings close: want 3", ref, p.Hops)
		}
	}
}

func TestBisections(t *testing.T) {
	for ref, want := range map[string]float64{
		"nvl72":              36 * 900e9,
		"hgx-h100:512":       256 * 50e9,
		"cloudmatrix384":     192 * 392e9,
		"hgx-mi300x":         16 * 448e9 / 7, // 4 × 4 pairs
		"atlas950-8192":      4096 * 224e9,
		"atlas950-8192-flat": 4096 * 1008e9,
	} {
		within(t, ref, float64(system(t, ref).Bisection()), want, 1e-9)
	}
	x := *system(t, "hgx-h100:512")
	x.Tiers = append([]Tier(nil), x.Tiers...)
	x.Tiers[2].Oversubscription = 2
	within(t, "2:1", float64(x.Bisection()), 128*50e9, 1e-9)
}

// small systems whose every pair can be walked.
const smallTorus = `
name: small
source: test
confidence: high
chip: h100
chips: 96
tiers:
  - {name: cube, size: 8, shape: torus, dims: [2, 4], bandwidth: 400GB/s, fabric: ici, tau: {endpoint: 100ns, software: 10ns, hops: [{switch: 30ns}]}}
  - {name: pod, size: 96, shape: torus, dims: [4, 3], bandwidth: 400GB/s, fabric: ici, tau: {endpoint: 200ns, software: 20ns, hops: [{switch: 70ns, optics: 5ns, metres: 10}]}}
`

const smallMesh = `
name: small
source: test
confidence: high
chip: h100
chips: 60
partial: true
tiers:
  - {name: rack, size: 12, shape: full-mesh, dims: [4, 3], bandwidth: 500GB/s, fabric: ub, tau: {endpoint: 100ns, hops: [{switch: 30ns}]}}
  - {name: row, size: 24, shape: full-mesh, dims: [2], bandwidth: 100GB/s, fabric: ub, tau: {endpoint: 300ns, hops: [{switch: 50ns}]}}
  - {name: hall, size: 60, shape: fat-tree, bandwidth: 50GB/s, oversubscription: 2, fabric: ub, tau: {endpoint: 400ns, hops: [{switch: 50ns}, {switch: 50ns}]}}
`

func parsed(t testing.TB, text string) *Topology {
	t.Helper()
	x, err := NewSource(nil, nil).parseTopology("small.yaml", []byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Worst and mean over the system are those of walking every pair.
func TestDelaysAreThoseOfEveryPair(t *testing.T) {
	for _, text := range []string{smallTorus, smallMesh} {
		x := parsed(t, text)
		sum, hops, worst, pairs := 0.0, 0.0, 0.0, 0.0
		for a := range x.Chips {
			for b := range x.Chips {
				if a == b {
					continue
				}
				p := x.Path(a, b)
				sum, hops, worst, pairs = sum+float64(p.Tau), hops+float64(p.Hops), max(worst, float64(p.Tau)), pairs+1
			}
		}
		d := x.Delays()
		if d.Worst.Seconds() != worst/1e9 {
			t.Errorf("worst %v, every pair %v ns", d.Worst, worst)
		}
		if x.Tiers[0].Shape == FullMesh {
			continue // its last domain is partly filled, and the mean takes domains as full
		}
		if math.Abs(float64(d.Mean)-sum/pairs) > 1 || math.Abs(d.MeanHops-hops/pairs) > 1e-9 {
			// The torus above takes its own endpoint for pairs of one cube too.
			inner := float64(x.Tiers[1].Tau.Endpoint+x.Tiers[1].Tau.Software) - float64(x.Tiers[0].Tau.Endpoint+x.Tiers[0].Tau.Software)
			share := (x.pairsWithin(8) - 96) / pairs
			if math.Abs(float64(d.Mean)-inner*share-sum/pairs) > 1 || math.Abs(d.MeanHops-hops/pairs) > 1e-9 {
				t.Errorf("mean %v and %v hops, every pair %v ns and %v hops", d.Mean, d.MeanHops, sum/pairs, hops/pairs)
			}
		}
	}
}

func TestPathProperties(t *testing.T) {
	systems := []*Topology{parsed(t, smallTorus), parsed(t, smallMesh), system(t, "supernode8912"), system(t, "ironwood-9216"), system(t, "ub-mesh"), system(t, "hgx-h100:512")}
	rapid.Check(t, func(t *rapid.T) {
		x := systems[rapid.IntRange(0, len(systems)-1).Draw(t, "system")]
		a, b := rapid.IntRange(0, x.Chips-1).Draw(t, "a"), rapid.IntRange(0, x.Chips-1).Draw(t, "b")
		p, q := x.Path(a, b), x.Path(b, a)
		if p != q {
			t.Fatalf("there %+v, back %+v", p, q)
		}
		if a == b {
			if p.Tau != 0 || p.Tier != -1 {
				t.Fatalf("%+v to itself", p)
			}
			return
		}
		tier := &x.Tiers[p.Tier]
		if p.Hops < 1 || p.Tau < tier.Tau.Endpoint || p.Bandwidth <= 0 || p.Bandwidth > tier.Bandwidth {
			t.Fatalf("%+v", p)
		}
		if w := x.worst(p.Tier); x.Tiers[p.Tier].Shape != Torus && p.Tau.Seconds() > w+1e-9 {
			t.Fatalf("%+v is longer than the worst of its tier, %g s", p, w)
		}
	})
}

// linkLoad routes one unit from every chip to every other of a group over every
// link of a mesh or torus, dimension by dimension, and returns the busiest link's
// load. In a torus opposite points go half each way. It is what spread states in
// closed form.
func linkLoad(dims []int, ring bool) float64 {
	n := 1
	for _, d := range dims {
		n *= d
	}
	type link struct{ at, dim, to int }
	load := map[link]float64{}
	for a := range n {
		for b := range n {
			at, scale := a, 1
			for d, extent := range dims {
				p, q := at/scale%extent, b/scale%extent
				base := at - p*scale
				if !ring && p != q {
					load[link{at, d, q}]++
				}
				if ring {
					forward := (q - p + extent) % extent
					for _, way := range []struct{ step, links int }{{1, forward}, {-1, extent - forward}} {
						weight := 0.0
						switch {
						case forward == 0:
						case 2*way.links == extent:
							weight = 0.5
						case 2*way.links < extent:
							weight = 1
						}
						for s := range way.links {
							from := ((p+way.step*s)%extent + extent) % extent
							load[link{base + from*scale, d, way.step}] += weight
						}
					}
				}
				at = base + q*scale
				scale *= extent
			}
		}
	}
	busiest := 0.0
	for _, v := range load {
		busiest = max(busiest, v)
	}
	return busiest
}

func TestAllToAllBandwidthIsThatOfTheBusiestLink(t *testing.T) {
	for ref, dims := range map[string][]int{"hgx-mi300x": {8}, "atlas950-8192": {8, 8}} {
		x := system(t, ref)
		n := x.Tiers[0].Size
		g := x.meet(n, 1)
		lane := float64(x.Tiers[0].Bandwidth) / float64(x.Tiers[0].lanes())
		within(t, ref, g.levels[0].spread, lane*float64(n-1)/linkLoad(dims, false), 1e-9)
	}
	x := system(t, "tpu-v5p-pod")
	cube := x.meet(64, 1)
	within(t, "cube", cube.levels[0].spread, 100e9*63/linkLoad([]int{4, 4, 4}, true), 1e-9)
	block := x.meet(512, 1)
	within(t, "8×8×8", block.levels[0].spread, 100e9*511/linkLoad([]int{8, 8, 8}, true), 1e-9)
	// The whole pod is bound by its bisection: half the bytes of half the chips cross it each way.
	pod := x.meet(8960, 1)
	within(t, "pod", pod.levels[0].spread*8960/(8960-1), float64(x.Bisection())/(8960/4), 1e-9)
}

// A mesh whose group fills it needs no detours, and detours never hurt.
func TestDetours(t *testing.T) {
	with := system(t, "atlas950-8192")
	without := *with
	without.Tiers = append([]Tier(nil), with.Tiers...)
	without.Tiers[0].Detours = false
	for n := 2; n <= 64; n++ {
		a, b := with.meet(n, 1), without.meet(n, 1)
		if a.levels[0].spread < b.levels[0].spread || a.levels[0].ring < b.levels[0].ring {
			t.Errorf("%d ranks: detours slow it from %g to %g", n, b.levels[0].spread, a.levels[0].spread)
		}
		if a.levels[0].spread > 784e9 || a.levels[0].ring > 784e9*(1+1e-12) {
			t.Errorf("%d ranks: %g B/s is more than the lanes have", n, a.levels[0].spread)
		}
	}
	a, b := with.meet(64, 1), without.meet(64, 1)
	if a.levels[0].spread != b.levels[0].spread {
		t.Errorf("a full mesh has nobody to detour by: %g and %g", a.levels[0].spread, b.levels[0].spread)
	}
}

// Groups by size and stride: ranks in a domain, and the share of bytes that leaves it.
func TestGroups(t *testing.T) {
	x := system(t, "supernode8912")
	for _, c := range []struct {
		ranks, stride, levels int
		out                   float64
	}{{1, 1, 0, 0}, {8, 1, 1, 0}, {64, 1, 1, 0}, {128, 1, 2, 0.5}, {320, 1, 2, 0.8}, {72, 1, 2, 0.5}, {16, 8, 2, 0.5}, {8, 64, 1, 0.875}, {8912, 1, 2, 139.0 / 140}} {
		g := x.meet(c.ranks, c.stride)
		out := 0.0
		for i := range g.n {
			if !g.levels[i].inner {
				out += g.bytesAt(i)
			}
		}
		if g.n != c.levels || math.Abs(out-c.out) > 1e-9 {
			t.Errorf("%d ranks of stride %d: %d levels and %v out, want %d and %v", c.ranks, c.stride, g.n, out, c.levels, c.out)
		}
	}
}
