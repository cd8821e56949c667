package plan

import "github.com/clustersim/clustersim/topologies"

// place counts whole instances on a contiguous range of chips, by the rule by which
// a run places them: what fits a domain of the innermost tier (node, cabinet, rack)
// does not straddle two, what is larger takes whole ones.
type place struct {
	chips  int // of the topology
	domain int
}

func newPlace(t *topologies.Topology) place { return place{t.Chips, t.Tiers[0].Size} }

// end is the first chip behind n instances of a size placed from chip at on; ok is
// false when they do not fit.
func (p place) end(at, size, n int) (next int, ok bool) {
	if n == 0 {
		return at, true
	}
	if size > p.domain {
		next = up(at, p.domain) + (n-1)*up(size, p.domain) + size
		return next, next <= p.chips
	}
	if room := (up(at+1, p.domain) - at) / size; n <= room {
		next = at + n*size
		return next, next <= p.chips
	} else if at%p.domain > 0 {
		n, at = n-room, up(at, p.domain)
	}
	each := p.domain / size
	next = at + n/each*p.domain + n%each*size
	return next, next <= p.chips
}

// fit is how many instances of a size there is room for from chip at on.
func (p place) fit(at, size int) int {
	if size > p.domain {
		at = up(at, p.domain)
		if at+size > p.chips {
			return 0
		}
		return 1 + (p.chips-at-size)/up(size, p.domain)
	}
	if at >= p.chips {
		return 0
	}
	n := 0
	if at%p.domain > 0 {
		n = (min(up(at, p.domain), p.chips) - at) / size
		at = min(up(at, p.domain), p.chips)
	}
	left := p.chips - at
	return n + left/p.domain*(p.domain/size) + left%p.domain/size
}

// up rounds up to a multiple.
func up(n, to int) int { return (n + to - 1) / to * to }
