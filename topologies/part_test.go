package topologies

import (
	"math"
	"slices"
	"strconv"
	"testing"
)

// A part of a switched board is what the board is between as many chips: the same
// bandwidth, the same delay, the same time of every exchange inside it.
func TestPartOfASwitchedBoard(t *testing.T) {
	whole := system(t, "hgx-h100")
	for _, n := range []int{1, 2, 3, 4, 7} {
		x := system(t, "hgx-h100:"+strconv.Itoa(n))
		if x.Chips != n || len(x.Tiers) != 1 || x.Tiers[0].Size != n || x.Tiers[0].Bandwidth != whole.Tiers[0].Bandwidth {
			t.Fatalf("%d chips: %+v", n, x.Tiers)
		}
		if x.Description != "part of hgx-h100: "+whole.Description {
			t.Errorf("%d chips are described as %q", n, x.Description)
		}
		if n == 1 {
			continue
		}
		if a, b := x.Path(0, n-1), whole.Path(0, n-1); a != b {
			t.Errorf("%d chips: path %+v, on the whole board %+v", n, a, b)
		}
		if a, b := x.meet(n, 1), whole.meet(n, 1); a != b {
			t.Errorf("%d chips meet as %+v, on the whole board as %+v", n, a, b)
		}
		if got, want := float64(x.Bisection()), float64(n)/2*450e9; got != want {
			t.Errorf("%d chips: bisection %g, want %g", n, got, want)
		}
	}
}

// Of a full mesh a part has its own lanes alone. MI300X: 448 GB/s are seven links of
// 64 to the seven others, so four chips have three links each and two have one.
func TestPartOfAFullMesh(t *testing.T) {
	lane := float64(system(t, "hgx-mi300x").Tiers[0].Bandwidth) / 7
	for n, cut := range map[int]float64{2: 1, 4: 4, 6: 9} {
		x := system(t, "hgx-mi300x:"+strconv.Itoa(n))
		if got, want := float64(x.Tiers[0].Bandwidth), float64(n-1)*lane; math.Abs(got-want) > 1 {
			t.Errorf("%d chips: %g B/s a chip, want %g", n, got, want)
		}
		if got := float64(x.Bisection()); math.Abs(got-cut*lane) > 10 {
			t.Errorf("%d chips: bisection %g, want %g lanes of %g", n, got, cut, lane)
		}
		if got, want := x.Path(0, n-1).Tau, system(t, "hgx-mi300x").Path(0, n-1).Tau; got != want {
			t.Errorf("%d chips: τ %s, want %s", n, got, want)
		}
	}
}

// A cabinet of 8 × 8: 784 GB/s are fourteen lanes of 56. Two whole rows have 7 + 1 lanes
// a chip, and a row has 7.
func TestPartOfACabinet(t *testing.T) {
	for _, c := range []struct {
		n, lanes int
		dims     []int
	}{{8, 7, []int{8, 1}}, {4, 3, []int{4, 1}}, {16, 8, []int{8, 2}}, {32, 10, []int{8, 4}}, {64, 14, []int{8, 8}}} {
		for _, name := range []string{"supernode8912", "atlas950-8192", "ub-mesh"} {
			x := system(t, name+":"+strconv.Itoa(c.n))
			whole := system(t, name).Tiers[0].Bandwidth
			if got, want := float64(x.Tiers[0].Bandwidth), float64(whole)*float64(c.lanes)/14; math.Abs(got-want) > 1 {
				t.Errorf("%s: %g B/s a chip, want %g", x.Name, got, want)
			}
			if len(x.Tiers) != 1 || !slices.Equal(x.Tiers[0].Dims, c.dims) {
				t.Errorf("%s: %+v", x.Name, x.Tiers)
			}
		}
	}
	// Two corners of two rows differ in both: a link of the row, and the one between rows.
	if p := system(t, "supernode8912:16").Path(0, 15); p.Hops != 2 {
		t.Errorf("%+v", p)
	}
}

// Whole cabinets keep the cabinets and the network between them: what two chips have
// between them, they have in the part.
func TestPartOfASupernode(t *testing.T) {
	for ref, of := range map[string]string{
		"supernode8912:512": "supernode8912", "supernode8912:1024": "supernode8912", "cloudmatrix384:16": "cloudmatrix384",
		"atlas950-8192:128": "atlas950-8192", "nvl576:144": "nvl576", "ub-mesh:2048": "ub-mesh", "atlas960:176": "atlas960",
	} {
		x, whole := system(t, ref), system(t, of)
		for b := range x.Chips {
			if p, q := x.Path(0, b), whole.Path(0, b); p != q {
				t.Fatalf("%s: chip 0 to %d is %+v, in the whole %+v", ref, b, p, q)
			}
		}
		for ranks := 2; ranks <= x.Chips; ranks *= 2 {
			if a, b := x.meet(ranks, 1), whole.meet(ranks, 1); a != b {
				t.Fatalf("%s: %d ranks meet as %+v, in the whole as %+v", ref, ranks, a, b)
			}
		}
		if last := x.Tiers[len(x.Tiers)-1]; last.Size != x.Chips {
			t.Errorf("%s ends in %+v", ref, last)
		}
	}
}

// Cubes are joined into the most compact box there is, whose rings close.
func TestPartOfATorus(t *testing.T) {
	for n, dims := range map[int][]int{2: {1, 1, 2}, 4: {1, 2, 2}, 8: {2, 2, 2}, 12: {2, 2, 3}, 16: {2, 2, 4}} {
		x := system(t, "tpu-v5p-pod:"+strconv.Itoa(64*n))
		got := slices.Clone(x.Tiers[1].Dims)
		if slices.Sort(got); !slices.Equal(got, dims) || x.Tiers[1].Bandwidth != system(t, "tpu-v5p-pod").Tiers[1].Bandwidth {
			t.Errorf("%d cubes: %+v", n, x.Tiers[1])
		}
	}
	if x := system(t, "tpu-v5p-pod:64"); len(x.Tiers) != 1 || !slices.Equal(x.Tiers[0].Dims, []int{4, 4, 4}) {
		t.Errorf("%+v", x.Tiers)
	}
	// Eight cubes are a torus of 8 × 8 × 8: the farthest chip is four links off in each dimension.
	if d := system(t, "tpu-v5p-pod:512").Delays(); d.WorstHops != 12 {
		t.Errorf("%+v", d)
	}
}

// Every size that is offered loads, and is of as many chips.
func TestSizesLoad(t *testing.T) {
	for _, name := range Names() {
		sizes, err := NewSource(nil, nil).Sizes(name)
		if err != nil || len(sizes) < 2 {
			t.Fatalf("%s: %v, %v", name, sizes, err)
		}
		for _, n := range sizes {
			if x := system(t, name+":"+strconv.Itoa(n)); x.Chips != n || x.Bisection() <= 0 {
				t.Errorf("%s:%d has %d chips, bisection %s", name, n, x.Chips, x.Bisection())
			}
		}
	}
}
