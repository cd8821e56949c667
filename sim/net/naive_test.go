package net

import (
	"math/big"

	"github.com/clustersim/clustersim/sim/des"
)

// naive is a second implementation: every event brings every flow up to date and
// fills the whole net again from nothing, by the definition in the package comment.
type naive struct {
	capacity []int64 // bytes a second
	flows    map[int32]*naiveFlow
	now      des.Time
	pending  []end
}

type naiveFlow struct {
	left  *big.Int // bytes·grain
	links map[int32]bool
	limit int64 // bytes a second
	rate  int64 // bytes a second · fraction
}

func newNaive(capacities []float64) *naive {
	n := &naive{flows: map[int32]*naiveFlow{}}
	for _, c := range capacities {
		n.capacity = append(n.capacity, int64(c))
	}
	return n
}

func (n *naive) start(now des.Time, id int32, bytes int64, links []int32, rateCap float64) {
	n.advance(now - 1)
	n.move(now)
	f := &naiveFlow{left: big.NewInt(bytes), links: map[int32]bool{}, limit: maxFlowRate}
	f.left.Mul(f.left, big.NewInt(grain))
	if rateCap > 0 {
		f.limit = max(1, int64(rateCap))
	}
	for _, l := range links {
		f.links[l] = true
		f.limit = min(f.limit, n.capacity[l])
	}
	n.flows[id] = f
	n.rates()
}

func (n *naive) finished(now des.Time) (ids []int32) {
	n.advance(now)
	for _, e := range n.pending {
		ids = append(ids, e.id)
	}
	n.pending = nil
	return ids
}

// advance ends, one moment after the other, all that ends at or before now.
func (n *naive) advance(now des.Time) {
	for {
		at := n.first()
		if at > now {
			n.move(max(now, n.now))
			return
		}
		n.move(at)
		for id := int32(0); len(n.flows) > 0 && id < 1000; id++ {
			if f := n.flows[id]; f != nil && f.left.Sign() == 0 {
				n.pending = append(n.pending, end{at: at, id: id})
				delete(n.flows, id)
			}
		}
		n.rates()
	}
}

func (n *naive) next() des.Time {
	if len(n.pending) > 0 {
		return n.pending[0].at
	}
	return n.first()
}

func (n *naive) first() des.Time {
	first := des.Never
	for _, f := range n.flows {
		if f.left.Sign() == 0 {
			return n.now
		}
		if f.rate == 0 {
			continue
		}
		rate := big.NewInt(f.rate)
		d := new(big.Int).Add(f.left, new(big.Int).Sub(rate, big.NewInt(1)))
		d.Div(d, rate).Add(d, big.NewInt(int64(n.now)))
		if d.IsInt64() {
			first = min(first, des.Time(d.Int64()))
		}
	}
	return first
}

func (n *naive) move(now des.Time) {
	for _, f := range n.flows {
		moved := new(big.Int).Mul(big.NewInt(f.rate), big.NewInt(int64(now-n.now)))
		if moved.Cmp(f.left) > 0 {
			moved.Set(f.left)
		}
		f.left.Sub(f.left, moved)
	}
	n.now = now
}

func (n *naive) rates() {
	rising := map[int32]bool{}
	for id, f := range n.flows {
		rising[id] = f.left.Sign() > 0
		f.rate = 0
	}
	for {
		capped, level, left := int32(-1), int64(-1), 0
		for id, f := range n.flows {
			if rising[id] {
				left++
				if capped < 0 || f.limit < n.flows[capped].limit {
					capped = id
				}
			}
		}
		if left == 0 {
			return
		}
		for l := range n.capacity {
			if s, some := n.share(int32(l), rising); some && (level < 0 || s < level) {
				level = s
			}
		}
		if c := n.flows[capped].limit * fraction; level < 0 || c <= level {
			n.flows[capped].rate = c
			rising[capped] = false
			continue
		}
		stopped := map[int32]bool{}
		for l := range n.capacity {
			if s, some := n.share(int32(l), rising); some && s == level {
				for id, f := range n.flows {
					if f.links[int32(l)] && rising[id] {
						stopped[id] = true
					}
				}
			}
		}
		for id := range stopped {
			n.flows[id].rate = level
			rising[id] = false
		}
	}
}

// share is what a link has for each flow on it that still rises.
func (n *naive) share(l int32, rising map[int32]bool) (level int64, some bool) {
	free, count := n.capacity[l]*fraction, int64(0)
	for id, f := range n.flows {
		if f.links[l] {
			free -= f.rate
			if rising[id] {
				count++
			}
		}
	}
	if count == 0 {
		return 0, false
	}
	return free / count, true
}
