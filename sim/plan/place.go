package plan

import (
	"sort"

	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/topologies"
)

// place counts whole instances on a contiguous range of chips, by the rule by which
// a run places them.
type place struct {
	topology *topologies.Topology
}

// end is the first chip behind n instances of a size placed from chip at on; ok is
// false when they do not fit.
func (p place) end(at, size, n int) (next int, ok bool) {
	if n == 0 {
		return at, true
	}
	next = plant.PoolEnd(p.topology, at, size, n)
	return next, next <= p.topology.Chips
}

// fit is how many instances of a size there is room for from chip at on.
func (p place) fit(at, size int) int {
	most := max(0, p.topology.Chips-at) / size
	return sort.Search(most, func(n int) bool {
		_, ok := p.end(at, size, n+1)
		return !ok
	})
}
