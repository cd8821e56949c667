package topologies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// A system of a size of its own, name:N, is what its file describes cut down, or, where
// the file has a unit, grown. A part ends in the first tier that holds all its chips. It
// has whole members of that tier, and of these
//
//	switch, fat tree   any number: each keeps its bandwidth to the switches
//	full mesh          some of one row, or whole rows, with the lanes between them alone
//	torus              whole members of the tier below, in a box whose rings are closed
//	                   by the optical switches that join them
//
// Delays stay as they are: a smaller system has the same links.

// resize makes the system one of n chips, or says which sizes there are.
func (f *topologyFile) resize(n int) error {
	grows := f.Unit != nil && n%*f.Unit == 0
	if n == f.Chips && !grows {
		return nil
	}
	if grows {
		if n > f.largest() {
			return fmt.Errorf("%s grows to %d chips, got %d", f.Name, f.largest(), n)
		}
		f.Chips = n
		return f.cut()
	}
	if n > f.Chips || f.Unit != nil && n > f.Tiers[0].Size {
		return f.noSize(n)
	}
	whole := f.Chips
	f.Chips = n
	if err := f.cut(); err != nil {
		f.Chips = whole
		return f.noSize(n)
	}
	f.Description = "part of " + f.Name + ": " + f.Description
	return nil
}

// cut drops the tiers above the first that holds every chip, and of that tier what no
// chip is left in.
func (f *topologyFile) cut() error {
	for i := range f.Tiers {
		t := &f.Tiers[i]
		if t.Size < f.Chips {
			continue
		}
		if t.Size > f.Chips {
			if err := f.cutTier(i); err != nil {
				return err
			}
		}
		f.Tiers = f.Tiers[:i+1]
		break
	}
	return nil
}

func (f *topologyFile) cutTier(i int) error {
	t, below := &f.Tiers[i], 1
	if i > 0 {
		below = f.Tiers[i-1].Size
	}
	if f.Chips%below != 0 && (t.extents() || f.Unit == nil || f.Chips%*f.Unit != 0) {
		return fmt.Errorf("%d chips are not whole domains of %s", f.Chips, f.Tiers[i-1].Name)
	}
	j, err := shapeIn(joinings, t.Shape)
	if err != nil {
		return err
	}
	dims, share, ok := j.part(t.Dims, f.Chips/below, i == 0)
	if !ok {
		return fmt.Errorf("%d members do not make a %s", f.Chips/below, t.Shape)
	}
	t.Size, t.Dims = f.Chips, dims
	t.Bandwidth = share.of(t.Bandwidth)
	return nil
}

// share is what a part keeps of its members' lanes.
type share struct{ kept, all int }

func (s share) of(bw spec.Bandwidth) spec.Bandwidth {
	return bw * spec.Bandwidth(s.kept) / spec.Bandwidth(s.all)
}

func switchedPart(_ []int, _ int, _ bool) ([]int, share, bool) { return nil, share{1, 1}, true }

// meshPart keeps some of the first row, or whole rows, planes and so on. A chip alone
// keeps one lane, over which nothing goes.
func meshPart(dims []int, members int, _ bool) ([]int, share, bool) {
	out := slices.Clone(dims)
	for d, extent := range dims {
		if members <= extent {
			out[d], members = members, 1
			continue
		}
		if members%extent != 0 {
			return nil, share{}, false
		}
		members /= extent
	}
	whole, part := lanesOf(dims), lanesOf(out)
	return out, share{part, whole}, members == 1
}

// torusPart is the most compact box of exactly so many members that fits into the whole. A torus of chips is not cut: without the switches that
// close them its rings would be lines.
func torusPart(dims []int, members int, chips bool) ([]int, share, bool) {
	if chips {
		return nil, share{}, false
	}
	var best, divisors []int
	for e := 1; e <= min(members, slices.Max(dims)); e++ {
		if members%e == 0 {
			divisors = append(divisors, e)
		}
	}
	longer := func(a, b []int) bool {
		return cmp.Or(cmp.Compare(slices.Max(a), slices.Max(b)), cmp.Compare(sum(a), sum(b))) > 0
	}
	var try func(at []int, left int)
	try = func(at []int, left int) {
		if d := len(at); d < len(dims) {
			for _, e := range divisors {
				if e <= dims[d] && left%e == 0 {
					try(append(slices.Clone(at), e), left/e)
				}
			}
		} else if left == 1 && (best == nil || longer(best, at)) {
			best = at
		}
	}
	try(nil, members)
	return best, share{1, 1}, best != nil
}

func sum(list []int) int {
	n := 0
	for _, v := range list {
		n += v
	}
	return n
}

// nearSizes is how far from a size that there is not the nearest is looked for.
const nearSizes = 4096

// noSize says which sizes a system has, and which of them are nearest.
func (f *topologyFile) noSize(n int) error {
	var near []string
	for _, step := range []int{-1, 1} {
		for m := n + step; m > 0 && m <= f.largest() && max(m-n, n-m) <= nearSizes; m += step {
			if f.has(m) {
				near = append(near, fmt.Sprintf("%s:%d", f.Name, m))
				break
			}
		}
	}
	text := fmt.Sprintf("%s has no size of %d chips: %s", f.Name, n, f.sizesText())
	if near != nil {
		text += "; the nearest are " + strings.Join(near, " and ")
	}
	return fmt.Errorf("%s", text)
}

func (f *topologyFile) sizesText() string {
	inner := &f.Tiers[0]
	var part string
	switch inner.Shape {
	case FullMesh:
		part = fmt.Sprintf("a part of a %s of %d is up to a row of %d, or whole rows", inner.Name, inner.Size, inner.Dims[0])
	case Torus:
		part = fmt.Sprintf("a %s of %d is not cut, and several make a box within the system's", inner.Name, inner.Size)
	default:
		part = fmt.Sprintf("a part of a %s is 1 to %d", inner.Name, inner.Size)
	}
	switch {
	case f.Unit != nil:
		return fmt.Sprintf("%s, more are multiples of %d up to %d", part, *f.Unit, f.largest())
	case len(f.Tiers) > 2:
		return fmt.Sprintf("%s, more are whole domains of the tiers %s up to %d", part, tierNames(f.Tiers[:len(f.Tiers)-1]), f.Chips)
	case len(f.Tiers) > 1:
		return fmt.Sprintf("%s, more are multiples of %d up to %d", part, inner.Size, f.Chips)
	}
	return fmt.Sprintf("%s, and %d are all", part, f.Chips)
}

func tierNames(tiers []tierFile) string {
	var names []string
	for _, t := range tiers {
		names = append(names, fmt.Sprintf("%s (%d)", t.Name, t.Size))
	}
	return strings.Join(names, " and ")
}

// has says that the system can be one of n chips.
func (f *topologyFile) has(n int) bool {
	switch {
	case n == f.Chips:
		return true
	case f.Unit != nil && n%*f.Unit == 0:
		return n <= f.largest()
	case n > f.Chips || f.Unit != nil && n > f.Tiers[0].Size:
		return false
	}
	c := *f
	c.Tiers, c.Chips = slices.Clone(f.Tiers), n
	return c.cut() == nil
}

// Sizes lists some numbers of chips that a system comes in, for a user to choose from:
// powers of two and the file's own.
func (s *Source) Sizes(ref string) ([]int, error) {
	name, data, err := readNamed("topology", topologyDir, ref, s.dirs)
	if err != nil {
		return nil, err
	}
	f, doc := s.topologyFile(name, data)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	sizes := []int{f.Chips}
	for n := 1; n <= min(f.largest(), 1<<14); n *= 2 {
		if f.has(n) {
			sizes = append(sizes, n)
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes), nil
}
