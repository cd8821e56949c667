package net

import (
	"math/big"
	"slices"
	"testing"

	"github.com/clustersim/clustersim/sim/des"
	"pgregory.net/rapid"
)

// capacityGen has small numbers, where rounding and ties show, as well as real ones.
func capacityGen() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 30), func(i int) float64 { return float64(i) }),
		rapid.Float64Range(1, 1e12),
		rapid.SampledFrom([]float64{1e9, 50e9, 100e9, 224e9, 900e9}),
	)
}

// bytesGen keeps transfers at small rates short enough for a time of 64 bits.
func bytesGen() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, 1e6), rapid.SampledFrom([]int64{1e9, 4e9}))
}

// pair drives the net and the naive one side by side.
type pair struct {
	n    *Net
	twin *naive
	now  des.Time
	free []int32
}

func newPair(capacities []float64) *pair {
	p := &pair{n: New(capacities), twin: newNaive(capacities)}
	for id := range int32(24) {
		p.free = append(p.free, id)
	}
	return p
}

func (p *pair) start(t *rapid.T) {
	if len(p.free) == 0 {
		t.Skip("all ids in flight")
	}
	i := rapid.IntRange(0, len(p.free)-1).Draw(t, "which")
	id := p.free[i]
	p.free = slices.Delete(p.free, i, i+1)
	links := rapid.SliceOfN(rapid.Int32Range(0, int32(len(p.twin.capacity)-1)), 0, maxLinks).Draw(t, "links")
	limit := rapid.OneOf(rapid.Just(0.0), capacityGen()).Draw(t, "cap")
	bytes := bytesGen().Draw(t, "bytes")
	p.n.Start(p.now, id, bytes, links, limit)
	p.twin.start(p.now, id, bytes, links, limit)
}

func (p *pair) finished(t *rapid.T) {
	got, want := p.n.Finished(p.now, nil), p.twin.finished(p.now)
	if !slices.Equal(got, want) {
		t.Fatalf("at %d ns %v end, naive %v", p.now, got, want)
	}
	p.free = append(p.free, got...)
}

func (p *pair) check(t *rapid.T) {
	if got, want := p.n.Next(), p.twin.next(); got != want {
		t.Fatalf("at %d ns next end %d, naive %d", p.now, got, want)
	}
	if len(p.n.ended) > 0 || p.n.now != p.twin.now {
		return // flows that have ended and not been asked for
	}
	// A flow that ends now keeps its rate for the no time until it is collected.
	settled := p.n.Next() > p.n.now
	for id, want := range p.twin.flows {
		f := &p.n.flows[p.n.slots[id]]
		hi, lo := f.left(p.n.now)
		left := new(big.Int).Lsh(new(big.Int).SetUint64(hi), 64)
		left.Add(left, new(big.Int).SetUint64(lo))
		if left.Cmp(want.left) != 0 || settled && int64(f.rate) != want.rate {
			t.Fatalf("at %d ns flow %d has %v left at %d, naive %v at %d", p.now, id, left, f.rate, want.left, want.rate)
		}
	}
	certify(t, p.n)
}

// certify proves the rates max-min fair, not by computing them again: no link carries
// more than its capacity, and every flow is at its cap or crosses a full link on which no
// flow is faster (within the rounding of one share).
func certify(t *rapid.T, n *Net) {
	for index := range n.links {
		l, sum, demand := &n.links[index], uint64(0), uint64(0)
		for _, f := range on(n, int32(index)) {
			sum += f.rate
			demand += f.limit
		}
		if sum > l.capacity*fraction || demand != l.demand {
			t.Fatalf("link %d carries %d of %d, demand %d noted as %d", index, sum, l.capacity*fraction, demand, l.demand)
		}
	}
	for id := range n.flows {
		f := &n.flows[id]
		if hi, lo := f.left(n.now); f.place < 0 || hi|lo == 0 || f.rate == f.limit*fraction {
			continue
		}
		if f.rate > f.limit*fraction || !slices.ContainsFunc(f.links[:f.hops], func(l int32) bool { return bottleneck(n, f, l) }) {
			t.Fatalf("flow %d at %d is below its cap %d and has no bottleneck", id, f.rate, f.limit*fraction)
		}
	}
}

func bottleneck(n *Net, f *flow, index int32) bool {
	all := on(n, index)
	spare, slack := n.links[index].capacity*fraction, uint64(len(all))
	for _, o := range all {
		spare -= o.rate
		if o.rate > f.rate+slack {
			return false
		}
	}
	return spare < slack
}

// on lists the moving flows of a link, from the flows themselves.
func on(n *Net, index int32) (all []*flow) {
	for id := range n.flows {
		f := &n.flows[id]
		if f.place >= 0 && slices.Contains(f.links[:f.hops], index) {
			all = append(all, f)
		}
	}
	return all
}

func TestNetIsTheNaiveNet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(rapid.SliceOfN(capacityGen(), 1, 6).Draw(t, "capacities"))
		t.Repeat(map[string]func(*rapid.T){
			"start":  p.start,
			"start2": p.start,
			"next": func(t *rapid.T) {
				if at := p.n.Next(); at != des.Never {
					p.now = max(p.now, at)
				}
				p.finished(t)
			},
			"later": func(t *rapid.T) {
				p.now += des.Time(rapid.Int64Range(0, 5e9).Draw(t, "ns"))
				if rapid.Bool().Draw(t, "ask") {
					p.finished(t)
				}
			},
			"": p.check,
		})
		p.drain(t)
	})
}

// A change travels: on nets of up to 12 links and 40 flows every rate is as progressive
// filling from nothing gives it.
func TestChangesTravelAsFarAsTheyMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		links := rapid.IntRange(1, 12).Draw(t, "links")
		p := newPair(rapid.SliceOfN(capacityGen(), links, links).Draw(t, "capacities"))
		for id := int32(24); id < 40; id++ {
			p.free = append(p.free, id)
		}
		for i := rapid.IntRange(1, 34).Draw(t, "flows"); i > 0; i-- {
			p.start(t)
		}
		p.check(t)
		for range 6 {
			if at := p.n.Next(); at != des.Never {
				p.now = max(p.now, at)
			}
			p.finished(t)
			p.check(t)
			p.start(t)
			p.check(t)
		}
	})
}

// drain lets everything end, and counts the bytes of every link.
func (p *pair) drain(t *rapid.T) {
	for p.n.Next() != des.Never {
		p.now = max(p.now, p.n.Next())
		p.finished(t)
		p.check(t)
	}
	for id, f := range p.twin.flows {
		if room := big.NewInt(int64(des.Never - p.now - 1)); f.rate != 0 && f.left.Cmp(room.Mul(room, big.NewInt(f.rate))) <= 0 {
			t.Fatalf("flow %d moves, would end before the end of time, and does not", id)
		}
	}
}

// The order in which simultaneous flows are named, and the ids they get, change nothing.
func TestOrderOfStartsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacities := rapid.SliceOfN(capacityGen(), 1, 5).Draw(t, "capacities")
		type sent struct {
			bytes int64
			links []int32
			limit float64
			at    des.Time
		}
		flows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sent {
			return sent{
				bytesGen().Draw(t, "bytes"),
				rapid.SliceOfN(rapid.Int32Range(0, int32(len(capacities)-1)), 0, 4).Draw(t, "links"),
				rapid.OneOf(rapid.Just(0.0), capacityGen()).Draw(t, "cap"),
				des.Time(rapid.Int64Range(0, 3).Draw(t, "at")) * 1e8,
			}
		}), 1, 15).Draw(t, "flows")
		run := func(order []int, asking bool) []des.Time {
			n, ends := New(capacities), make([]des.Time, len(flows))
			note := func(ids []int32, at des.Time) {
				for _, id := range ids {
					ends[id] = at
				}
			}
			for at := des.Time(0); at <= 3e8; at += 1e8 {
				for n.Next() <= at {
					note(n.Finished(n.Next(), nil), n.Next())
				}
				for _, i := range order {
					if flows[i].at == at {
						n.Start(at, int32(i), flows[i].bytes, flows[i].links, flows[i].limit)
					}
					if asking {
						n.Next() // fills between the starts
					}
				}
			}
			for n.Next() != des.Never {
				at := n.Next()
				note(n.Finished(at, nil), at)
			}
			return ends
		}
		straight := make([]int, len(flows))
		for i := range straight {
			straight[i] = i
		}
		shuffled := rapid.Permutation(straight).Draw(t, "order")
		if a, b := run(straight, false), run(shuffled, true); !slices.Equal(a, b) {
			t.Fatalf("%v in one order, %v in another", a, b)
		}
	})
}
