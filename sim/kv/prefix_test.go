package kv

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// naive is a second implementation: blocks by the text of their path, in a map; the
// block to evict is looked for among the leaves.
type naive struct {
	blocks map[string]*naiveBlock
	clock  int
}

type naiveBlock struct {
	parent     string
	depth      int
	used       int
	references int
}

func pathOf(ids []uint64) string { return fmt.Sprint(ids) }

func (n *naive) leading(ids []uint64) int {
	for k := range ids {
		if n.blocks[pathOf(ids[:k+1])] == nil {
			return k
		}
	}
	return len(ids)
}

func (n *naive) match(ids []uint64) int {
	n.clock++
	k := n.leading(ids)
	for d := 1; d <= k; d++ {
		n.blocks[pathOf(ids[:d])].used = n.clock
	}
	return k
}

func (n *naive) insert(ids []uint64) int {
	k := n.leading(ids)
	for d := k + 1; d <= len(ids); d++ {
		n.blocks[pathOf(ids[:d])] = &naiveBlock{parent: pathOf(ids[:d-1]), depth: d}
	}
	n.match(ids)
	return len(ids) - k
}

func (n *naive) hold(ids []uint64, by int) int {
	n.clock++
	k := n.leading(ids)
	for d := 1; d <= k; d++ {
		b := n.blocks[pathOf(ids[:d])]
		b.references += by
		if b.references == 0 {
			b.used = n.clock
		}
	}
	return k
}

func (n *naive) evict(blocks int) (evicted int) {
	for ; evicted < blocks; evicted++ {
		victim := ""
		for path, b := range n.blocks {
			if b.references > 0 || n.hasChild(path) {
				continue
			}
			if v := n.blocks[victim]; v == nil || b.used < v.used || b.used == v.used && b.depth > v.depth {
				victim = path
			}
		}
		if victim == "" {
			return evicted
		}
		delete(n.blocks, victim)
	}
	return evicted
}

func (n *naive) hasChild(path string) bool {
	for _, b := range n.blocks {
		if b.parent == path {
			return true
		}
	}
	return false
}

func (n *naive) free() (free int) {
	for _, b := range n.blocks {
		if b.references == 0 {
			free++
		}
	}
	return free
}

// paths lists what a cache holds by walking up from every node, and fails when a
// block's parent is gone, is in use less than the block or would go before it.
func paths(t *rapid.T, p *Prefix) []string {
	order := map[int32]int{}
	for i := p.nodes[root].next; i != root; i = p.nodes[i].next {
		order[i] = len(order)
	}
	if len(order) != p.free {
		t.Fatalf("%d blocks in the list, free says %d", len(order), p.free)
	}
	var all []string
	for _, i := range p.table {
		if i == 0 {
			continue
		}
		var ids []uint64
		for at := i; at != root; at = p.nodes[at].parent {
			n := p.nodes[at]
			if p.table[p.find(n.parent, n.id)] != at {
				t.Fatalf("block %d of %d is not reachable", at, i)
			}
			above := p.nodes[n.parent]
			if n.parent != root && (above.references < n.references || above.references == 0 && order[n.parent] < order[at]) {
				t.Fatalf("parent %d would go before its child %d", n.parent, at)
			}
			ids = append(ids, n.id)
		}
		slices.Reverse(ids)
		all = append(all, pathOf(ids))
	}
	slices.Sort(all)
	return all
}

func TestPrefixIsTheNaiveCache(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, n := NewPrefix(16), &naive{blocks: map[string]*naiveBlock{}}
		prompt := rapid.SliceOfN(rapid.Uint64Range(0, 2), 0, 6)
		var held [][]uint64
		same := func(op string, got, want int) {
			if got != want {
				t.Fatalf("%s: %d, naive %d", op, got, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"match": func(t *rapid.T) {
				ids := prompt.Draw(t, "ids")
				same("match", p.Match(ids), n.match(ids))
			},
			"insert": func(t *rapid.T) {
				ids := prompt.Draw(t, "ids")
				same("insert", p.Insert(ids), n.insert(ids))
			},
			"acquire": func(t *rapid.T) {
				ids := prompt.Draw(t, "ids")
				k := p.acquire(ids)
				same("acquire", k, n.hold(ids, 1))
				held = append(held, ids[:k])
			},
			"release": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip("nothing held")
				}
				i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
				p.release(held[i])
				n.hold(held[i], -1)
				held = slices.Delete(held, i, i+1)
			},
			"evict": func(t *rapid.T) {
				k := rapid.IntRange(0, 5).Draw(t, "blocks")
				same("evict", p.Evict(k), n.evict(k))
			},
			"": func(t *rapid.T) {
				same("held", p.Blocks(), len(n.blocks))
				same("free", p.free, n.free())
				got := paths(t, p)
				if len(got) != len(n.blocks) {
					t.Fatalf("%d blocks, naive %d", len(got), len(n.blocks))
				}
				for _, path := range got {
					if n.blocks[path] == nil {
						t.Fatalf("naive has no %s", path)
					}
				}
			},
		})
	})
}

// With LRU a larger cache always holds what a smaller one does, so it never hits less.
func TestLargerCacheHitsNoLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prompts := rapid.SliceOfN(rapid.SliceOfN(rapid.Uint64Range(0, 3), 1, 5), 1, 60).Draw(t, "prompts")
		hits := func(capacity int) (hits int) {
			p := NewPrefix(1)
			for _, ids := range prompts {
				hits += p.Match(ids)
				p.Insert(ids)
				p.Evict(max(0, p.Blocks()-capacity))
				if p.Blocks() > capacity {
					t.Fatalf("%d blocks in %d", p.Blocks(), capacity)
				}
			}
			return hits
		}
		before := 0
		for capacity := range 30 {
			now := hits(capacity)
			if now < before {
				t.Fatalf("%d blocks hit %d, %d blocks %d", capacity-1, before, capacity, now)
			}
			before = now
		}
	})
}

func TestHeldBlocksStay(t *testing.T) {
	p := NewPrefix(512)
	p.Insert([]uint64{1, 2, 3, 4})
	p.Insert([]uint64{9})
	if got := p.acquire([]uint64{1, 2, 7}); got != 2 {
		t.Fatalf("acquired %d, want 2", got)
	}
	if p.Blocks() != 5 || p.free != 3 {
		t.Fatalf("%d held, %d free; want 5, 3", p.Blocks(), p.free)
	}
	if got := p.Evict(100); got != 3 {
		t.Fatalf("evicted %d, want 3", got)
	}
	if got := p.Match([]uint64{1, 2, 3}); got != 2 {
		t.Fatalf("matched %d, want 2", got)
	}
	p.release([]uint64{1, 2})
	if got := p.Evict(100); got != 2 || p.Blocks() != 0 {
		t.Fatalf("evicted %d, %d left; want 2, 0", got, p.Blocks())
	}
}

// The tail of the prompt used longest ago goes first, and a prompt's head last.
func TestEvictionOrder(t *testing.T) {
	p := NewPrefix(16)
	p.Insert([]uint64{1, 2, 3})
	p.Insert([]uint64{1, 5})
	for i, want := range []struct{ a, b int }{{2, 2}, {1, 2}, {1, 1}, {0, 0}} {
		p.Evict(1)
		q := NewPrefix(16) // Match would change the order: ask a copy
		q.nodes, q.table = slices.Clone(p.nodes), slices.Clone(p.table)
		a, b := q.Match([]uint64{1, 2, 3}), q.Match([]uint64{1, 5})
		if a != want.a || b != want.b {
			t.Errorf("after %d: %d and %d blocks, want %d and %d", i+1, a, b, want.a, want.b)
		}
	}
}

func TestSaved(t *testing.T) {
	p := NewPrefix(16)
	for _, c := range []struct{ blocks, prompt, want int }{
		{0, 100, 0}, {3, 100, 48}, {9, 100, 96}, {6, 96, 80}, {6, 97, 96}, {1, 0, 0}, {1, 1, 0}, {1, 16, 0}, {1, 17, 16},
	} {
		if got := p.Saved(c.blocks, c.prompt); got != c.want {
			t.Errorf("%d blocks of a prompt of %d: %d tokens, want %d", c.blocks, c.prompt, got, c.want)
		}
	}
}

func TestReleaseOfWhatNobodyHoldsPanics(t *testing.T) {
	for _, ids := range [][]uint64{{1}, {2}} {
		func() {
			p := NewPrefix(16)
			p.Insert([]uint64{1})
			defer func() {
				if recover() == nil {
					t.Errorf("release of %v went through", ids)
				}
			}()
			p.release(ids)
		}()
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	p, step := turnover(4096, 64)
	for range 1000 {
		step()
	}
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("%v allocations a request, want 0", got)
	}
	if p.Blocks() > 4096 {
		t.Errorf("%d blocks, want at most 4096", p.Blocks())
	}
}

// turnover is a full cache and one request to it: the first half of its blocks is one
// of 32 shared prefixes, the rest is new and pushes out as many.
func turnover(capacity, length int) (*Prefix, func()) {
	p, ids, number := NewPrefix(16), make([]uint64, length), uint64(0)
	return p, func() {
		number++
		shared := number * 0x9e3779b97f4a7c15 >> 59
		for i := range ids {
			ids[i] = shared<<32 | uint64(i)
			if i >= length/2 {
				ids[i] = number<<32 | 1<<31 | uint64(i)
			}
		}
		p.Match(ids)
		k := p.acquire(ids)
		p.Evict(p.Blocks() + length - k - capacity)
		p.Insert(ids)
		p.release(ids[:k])
	}
}
