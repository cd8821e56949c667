package kv

import "fmt"

// Prefix is a cache of KV blocks by prefix, least recently used first to go.
type Prefix struct {
	blockTokens int
	nodes       []node  // [0] is the root of the tree and the ends of the list
	table       []int32 // open addressing over (parent, id); 0 is empty
	spare       int32   // chain of unused nodes through next, 0 at its end
	held        int     // blocks in the tree
	free        int     // of these, blocks that no request holds
	path        []int32 // scratch
}

// node is one block. Blocks that no request holds are in a list from the least
// (root.next) to the most recently used (root.prev).
type node struct {
	id         uint64
	parent     int32
	references int32
	prev, next int32
}

const root = 0

// NewPrefix makes an empty cache of blocks of a number of tokens.
func NewPrefix(blockTokens int) *Prefix {
	if blockTokens <= 0 {
		panic(fmt.Sprintf("kv: a block of %d tokens", blockTokens))
	}
	return &Prefix{blockTokens: blockTokens, nodes: make([]node, 1), table: make([]int32, 16)}
}

// Blocks is how many blocks the cache holds.
func (p *Prefix) Blocks() int { return p.held }

// Saved is how many tokens of a prompt need not be computed when its first blocks
// are present: whole blocks, and at least one token is left, for without it there
// would be nothing to sample from (so does vLLM).
func (p *Prefix) Saved(blocks, promptTokens int) int {
	return min(blocks, max(0, promptTokens-1)/p.blockTokens) * p.blockTokens
}

// Present says how many leading blocks are present and changes nothing: routers look
// at many caches and use one.
func (p *Prefix) Present(ids []uint64) (blocks int) {
	last := int32(root)
	for _, id := range ids {
		if last = p.table[p.find(last, id)]; last == 0 {
			break
		}
		blocks++
	}
	return blocks
}

// Match says how many leading blocks are present, and marks them used.
func (p *Prefix) Match(ids []uint64) (blocks int) {
	p.walk(ids)
	p.use()
	return len(p.path)
}

// Insert adds what is missing of a chain of blocks, marks all of it used and says
// how many blocks are new.
func (p *Prefix) Insert(ids []uint64) (added int) {
	last := p.walk(ids)
	added = len(ids) - len(p.path)
	for _, id := range ids[len(p.path):] {
		last = p.add(last, id)
		p.path = append(p.path, last)
	}
	p.use()
	return added
}

// acquire holds the leading blocks that are present, so that they stay, and says how
// many these are. Each acquire is undone by one release of just these blocks.
func (p *Prefix) acquire(ids []uint64) (blocks int) {
	p.walk(ids)
	for _, i := range p.path {
		n := &p.nodes[i]
		if n.references == 0 {
			p.unlink(i)
			p.free--
		}
		n.references++
	}
	return len(p.path)
}

// release lets go of blocks that were acquired; a block that nobody else holds counts
// as used now.
func (p *Prefix) release(ids []uint64) {
	p.walk(ids)
	if len(p.path) != len(ids) {
		panic(fmt.Sprintf("kv: release of %d blocks of which %d are present", len(ids), len(p.path)))
	}
	for k := len(p.path) - 1; k >= 0; k-- {
		i := p.path[k]
		n := &p.nodes[i]
		n.references--
		if n.references < 0 {
			panic(fmt.Sprintf("kv: release of block %d (id %d) that nobody holds", k, n.id))
		}
		if n.references == 0 {
			p.link(i)
			p.free++
		}
	}
}

// Evict drops up to a number of blocks that nobody holds, the least recently used
// first, and says how many it dropped.
func (p *Prefix) Evict(blocks int) (evicted int) {
	for ; evicted < blocks && p.free > 0; evicted++ {
		i := p.nodes[root].next
		p.unlink(i)
		p.forget(i)
		p.nodes[i].next, p.spare = p.spare, i
		p.free--
		p.held--
	}
	return evicted
}

// walk leaves the nodes of the leading blocks that are present in p.path.
func (p *Prefix) walk(ids []uint64) (last int32) {
	p.path = p.path[:0]
	for _, id := range ids {
		child := p.table[p.find(last, id)]
		if child == 0 {
			break
		}
		p.path = append(p.path, child)
		last = child
	}
	return last
}

// use moves the unheld part of p.path behind everything else, the deepest block first.
func (p *Prefix) use() {
	for k := len(p.path) - 1; k >= 0 && p.nodes[p.path[k]].references == 0; k-- {
		p.unlink(p.path[k])
		p.link(p.path[k])
	}
}

// add makes a block below a parent, as the most recently used.
func (p *Prefix) add(parent int32, id uint64) int32 {
	i := p.spare
	if i != 0 {
		p.spare = p.nodes[i].next
	} else {
		i = int32(len(p.nodes))
		p.nodes = append(p.nodes, node{})
	}
	p.nodes[i] = node{id: id, parent: parent}
	p.held++
	p.free++
	if 3*p.held > 2*len(p.table) {
		p.grow()
	}
	p.table[p.find(parent, id)] = i
	p.link(i)
	return i
}

func (p *Prefix) link(i int32) {
	last := p.nodes[root].prev
	p.nodes[i].prev, p.nodes[i].next = last, root
	p.nodes[last].next = i
	p.nodes[root].prev = i
}

func (p *Prefix) unlink(i int32) {
	n := &p.nodes[i]
	p.nodes[n.prev].next = n.next
	p.nodes[n.next].prev = n.prev
}
