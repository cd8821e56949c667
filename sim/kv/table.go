package kv

// home is where the search for a block begins: the finaliser of SplitMix64 over
// its id and its parent.
func (p *Prefix) home(parent int32, id uint64) int {
	z := id + 0x9e3779b97f4a7c15*uint64(parent+1)
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return int((z ^ (z >> 31)) & uint64(len(p.table)-1))
}

// find is the place in the table of a block, or the empty one where it would go.
func (p *Prefix) find(parent int32, id uint64) int {
	at := p.home(parent, id)
	for {
		i := p.table[at]
		if i == 0 || p.nodes[i].id == id && p.nodes[i].parent == parent {
			return at
		}
		at = (at + 1) & (len(p.table) - 1)
	}
}

// forget takes a block out of the table and closes the gap, so that no search ends
// early and none needs tombstones.
func (p *Prefix) forget(i int32) {
	mask := len(p.table) - 1
	gap := p.find(p.nodes[i].parent, p.nodes[i].id)
	for at := (gap + 1) & mask; p.table[at] != 0; at = (at + 1) & mask {
		n := &p.nodes[p.table[at]]
		if home := p.home(n.parent, n.id); (at-home)&mask >= (at-gap)&mask {
			p.table[gap] = p.table[at]
			gap = at
		}
	}
	p.table[gap] = 0
}

func (p *Prefix) grow() {
	old := p.table
	p.table = make([]int32, 2*len(old))
	for _, i := range old {
		if i != 0 {
			p.table[p.find(p.nodes[i].parent, p.nodes[i].id)] = i
		}
	}
}
