package cost

// table is a direct-mapped cache of what depends on one or two counts: a slot is
// found by a hash, holds one entry and is overwritten by the next that falls on
// it. Values are pure functions of the counts, so what is evicted changes only
// the time it takes to find it again. It grows while it misses much.
type table[V any] struct {
	slots  []slot[V]
	misses int
}

type slot[V any] struct {
	a, b  int64
	used  bool
	value V
}

const (
	tableMin = 16
	tableMax = 4096
)

// at returns the value for two counts and whether it is filled in.
func (t *table[V]) at(a, b int64) (*V, bool) {
	if t.slots == nil {
		t.slots = make([]slot[V], tableMin)
	}
	s := t.find(a, b)
	if s.used && s.a == a && s.b == b {
		return &s.value, true
	}
	if t.misses++; t.misses > 2*len(t.slots) && len(t.slots) < tableMax {
		t.grow()
		s = t.find(a, b)
	}
	s.a, s.b, s.used = a, b, true
	return &s.value, false
}

func (t *table[V]) find(a, b int64) *slot[V] {
	h := uint64(a)*0x9e3779b97f4a7c15 ^ uint64(b)*0xc2b2ae3d27d4eb4f
	h ^= h >> 29
	return &t.slots[h&uint64(len(t.slots)-1)]
}

func (t *table[V]) grow() {
	old := t.slots
	t.slots, t.misses = make([]slot[V], 4*len(old)), 0
	for i := range old {
		if old[i].used {
			*t.find(old[i].a, old[i].b) = old[i]
		}
	}
}
