package net

import (
	"fmt"
	"slices"
	"testing"

	"github.com/clustersim/clustersim/sim/des"
)

// n flows of b bytes on one link of c bytes a second end together at n·b/c, whatever n.
func TestEqualFlowsShareALink(t *testing.T) {
	for _, count := range []int64{1, 2, 3, 7, 100, 1000} {
		const capacity, bytes = 50e9, 1 << 30
		n := New([]float64{capacity})
		for id := range count {
			n.Start(0, int32(id), bytes, []int32{0}, 0)
		}
		// Shares are rounded down by less than 1/1024 byte a second, which delays the end by
		// less than end · (1/1024) · count/capacity.
		exact := float64(count*bytes) / capacity * 1e9
		end := n.Next()
		if late := float64(end) - exact; late < 0 || late > 1+exact*float64(count)/capacity/1024 {
			t.Errorf("%d flows end at %d ns, want %.1f", count, end, exact)
		}
		if got := n.Finished(end, nil); len(got) != int(count) || !slices.IsSorted(got) {
			t.Errorf("%d of %d flows end, in order: %t", len(got), count, slices.IsSorted(got))
		}
		if n.Next() != des.Never {
			t.Errorf("an empty net has something due at %d", n.Next())
		}
	}
}

// Staggered flows on one link, by hand: 8 GB/s; A has 8,000 bytes from 0; B 2,000 from 250 ns.
// A alone to 250 (2,000 done), both at 4 GB/s to 750 (B done, A has 4,000 left), A alone to 1,250.
func TestStaggeredFlows(t *testing.T) {
	n := New([]float64{8e9})
	n.Start(0, 0, 8000, []int32{0}, 0)
	n.Start(250, 1, 2000, []int32{0}, 0)
	if got := n.Finished(749, nil); len(got) != 0 {
		t.Fatalf("%v end before 750 ns", got)
	}
	if at, got := n.Next(), n.Finished(750, nil); at != 750 || !slices.Equal(got, []int32{1}) {
		t.Fatalf("%v at %d, want [1] at 750", got, at)
	}
	if at, got := n.Next(), n.Finished(2000, nil); at != 1250 || !slices.Equal(got, []int32{0}) {
		t.Fatalf("%v at %d, want [0] at 1250", got, at)
	}
}

// The parking lot: one flow over k links, one more on each. Max-min gives everyone half of
// a link (proportional fairness would give the long one 1/(k+1)).
func TestParkingLot(t *testing.T) {
	for hops := 1; hops <= maxLinks; hops++ {
		capacities, links := make([]float64, hops), make([]int32, hops)
		for i := range hops {
			capacities[i], links[i] = 2e9, int32(i)
		}
		n := New(capacities)
		n.Start(0, 0, 1000, links, 0)
		for i := range hops {
			n.Start(0, int32(i+1), 2000, links[i:i+1], 0)
		}
		if at, got := n.Next(), n.Finished(1000, nil); at != 1000 || !slices.Equal(got, []int32{0}) {
			t.Errorf("%d hops: %v at %d, want the long flow at 1000", hops, got, at)
		}
		if at, got := n.Next(), n.Finished(1500, nil); at != 1500 || len(got) != hops {
			t.Errorf("%d hops: %v at %d, want %d short flows at 1500", hops, got, at, hops)
		}
	}
}

// Bertsekas and Gallager's pattern: what a flow cannot use, because another link or its cap
// holds it back, goes to the others.
func TestUnusedSharesGoToTheOthers(t *testing.T) {
	n := New([]float64{10e9, 2e9})
	n.Start(0, 0, 1e6, []int32{0}, 0)
	n.Start(0, 1, 1e6, []int32{0, 1}, 0)
	n.Start(0, 2, 1e6, []int32{1}, 0)
	n.Start(0, 3, 1e6, []int32{0}, 3e9)
	n.fill()
	for id, want := range []uint64{6e9, 1e9, 1e9, 3e9} {
		if got := n.flows[id].rate; got != want*fraction {
			t.Errorf("flow %d at %d bytes a second, want %d", id, got/fraction, want)
		}
	}
}

// Links that fill at the same level stop together: 2 B/s among three is 682 parts of 1/1024
// for all five flows. Stopped one link after the other, the second would leave 683.
func TestLinksThatFillTogetherStopTogether(t *testing.T) {
	for _, links := range [][]int32{{0, 1}, {1, 0}} {
		n := New([]float64{2, 2})
		for id := range int32(5) {
			on := [][]int32{{0}, {0}, links, {1}, {1}}[id]
			n.Start(0, id, 1000, on, 0)
		}
		n.fill()
		for id := range n.flows {
			if got := n.flows[id].rate; got != 682 {
				t.Errorf("flow %d at %d parts, want 682", id, got)
			}
		}
	}
}

// What starts and ends at a moment is in order with what was due then.
func TestEndsOfOneMomentAreInTheOrderOfTheirIDs(t *testing.T) {
	n := New([]float64{1e9})
	n.Start(0, 5, 10, []int32{0}, 0)
	n.Start(10, 3, 0, nil, 0)
	n.Start(10, 7, 0, nil, 0)
	if got := n.Finished(10, nil); !slices.Equal(got, []int32{3, 5, 7}) {
		t.Errorf("%v end, want [3 5 7]", got)
	}
}

// Ends are rounded up to the ns: 10 bytes at 3 GB/s take 3⅓ ns.
func TestEndsAreRoundedUp(t *testing.T) {
	for _, c := range []struct {
		bytes int64
		rate  float64
		want  des.Time
	}{{10, 3e9, 4}, {9, 3e9, 3}, {1, 1, 1e9}, {1, 1e12, 1}, {0, 1, 0}, {3, 0, 1}, {1e15, 1, des.Never}} {
		n := New(nil)
		n.Start(100, 7, c.bytes, nil, c.rate)
		want := c.want
		if want != des.Never {
			want += 100
		}
		if got := n.Next(); got != want {
			t.Errorf("%d bytes at %g a second end at %d, want %d", c.bytes, c.rate, got, want)
		}
	}
}

func TestFlowsOnALinkThatIsDownWait(t *testing.T) {
	n := New([]float64{0, 1e9})
	n.Start(0, 0, 1000, []int32{0, 1}, 0)
	n.Start(0, 1, 1000, []int32{1}, 0)
	if got := n.Finished(1e9, nil); !slices.Equal(got, []int32{1}) || n.Next() != des.Never {
		t.Errorf("%v end, next at %d", got, n.Next())
	}
}

func TestBrokenInvariantsPanic(t *testing.T) {
	for name, do := range map[string]func(n *Net){
		"id in flight":  func(n *Net) { n.Start(10, 0, 1, nil, 1) },
		"negative size": func(n *Net) { n.Start(10, 1, -1, nil, 1) },
		"seven links":   func(n *Net) { n.Start(10, 1, 1, make([]int32, 7), 1) },
		"back in time":  func(n *Net) { n.Finished(9, nil) },
		"capacity":      func(*Net) { New([]float64{-1}) },
	} {
		n := New([]float64{1})
		n.Start(10, 0, 1000, []int32{0}, 0)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			do(n)
		}()
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	for _, flows := range []int{1, 8, 24} {
		step := churn(64, 64*flows, 50e9)
		for range 1000 {
			step()
		}
		if got := testing.AllocsPerRun(1000, step); got != 0 {
			t.Errorf("%d flows a link: %v allocations an event, want 0", flows, got)
		}
	}
}

// churn keeps a number of flows in flight, each from a sender's egress to a receiver's
// ingress drawn at random and capped at 50 GB/s; a step is one end and one start.
func churn(links, flows int, capacity float64) func() {
	n, draw := New(slices.Repeat([]float64{capacity}, 2*links)), des.Key(1)
	done, path := make([]int32, 0, flows), make([]int32, 2)
	number := uint64(0)
	start := func(now des.Time, id int32) {
		path[0] = int32(draw.Uniform(number, 0) * float64(links))
		path[1] = int32(links) + int32(draw.Uniform(number, 1)*float64(links))
		n.Start(now, id, 1e6+int64(draw.Uniform(number, 2)*2e7), path, 50e9)
		number++
	}
	for id := range flows {
		start(0, int32(id))
	}
	return func() {
		now := n.Next()
		done = n.Finished(now, done[:0])
		for _, id := range done {
			start(now, id)
		}
	}
}

// One event is an end and a start. Spare: no link can be full. Half, one: flows for each
// link, from random senders to random receivers. All: so many that all is joined.
func BenchmarkEvent(b *testing.B) {
	for _, c := range []struct {
		joined   string
		links    int // senders, and as many receivers
		flows    int
		capacity float64
	}{
		{"spare", 15_000, 100, 5e15}, {"spare", 15_000, 10_000, 5e15}, {"spare", 15_000, 100_000, 5e15},
		{"link", 1, 2, 50e9}, {"link", 1, 4, 50e9}, {"link", 1, 16, 50e9}, {"link", 1, 256, 50e9},
		{"some", 15_000, 100, 50e9}, {"some", 15_000, 5_000, 50e9}, {"some", 15_000, 10_000, 50e9}, {"some", 15_000, 15_000, 50e9},
		{"all", 64, 6 * 64, 50e9}, {"all", 1000, 6000, 50e9}, {"all", 15_000, 90_000, 50e9},
	} {
		b.Run(fmt.Sprintf("joined=%s/links=%d/flows=%d", c.joined, 2*c.links, c.flows), func(b *testing.B) {
			step := churn(c.links, c.flows, c.capacity)
			step()
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
		})
	}
}
