package serve

import (
	"fmt"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/topologies"
)

// bed is an instance with what it works on, and a supply of requests that never ends.
type bed struct {
	spec   *Spec
	table  Table
	kv     int64
	in     *Instance
	next   uint64
	input  func(n uint64) int32
	output func(n uint64) int32
	now    des.Time
}

func newBed(tb testing.TB, model, topology string, role cost.Role, layout cost.Layout) *bed {
	tb.Helper()
	m, err := models.Load(model)
	if err != nil {
		tb.Fatal(err)
	}
	t, err := topologies.Load(topology)
	if err != nil {
		tb.Fatal(err)
	}
	if m, _, err = cost.Substitute(m, t.Chip); err != nil {
		tb.Fatal(err)
	}
	stepper, err := cost.New(cost.Config{Model: m, Topology: t, Layout: layout, Role: role})
	if err != nil {
		tb.Fatal(err)
	}
	b := &bed{spec: NewSpec(0, stepper, 0)}
	b.spec.MaxSequences = 1 << 20
	b.in = New(b.spec, Shared{
		Table: &b.table, Board: NewBoard(1, b.spec.Ranks), KVBytes: &b.kv,
		Recorder: metrics.NewRecorder(metrics.Config{Pools: []string{string(role)}}),
	}, 0)
	return b
}

// request makes the next request, planned and not yet anywhere.
func (b *bed) request() int32 {
	h := b.table.New()
	r := b.table.At(h)
	r.Number, r.Arrival, r.Since = b.next, b.now, b.now
	r.Input, r.Output = b.input(b.next), b.output(b.next)
	r.Plan(r.Output - 1)
	b.next++
	return h
}

// decodes puts a request on a rank as if its cache had just arrived.
func (b *bed) decodes(tb testing.TB, rank int) {
	h := b.request()
	if !b.in.Reserve(h, rank, b.spec.Memory.SequenceBytes(int64(b.table.At(h).Target))) {
		tb.Fatal("no room for the batch")
	}
	b.table.At(h).takenUp(b.now)
	b.in.Join(h)
}

// step is one step; what it finishes is replaced on the same rank.
func (b *bed) step(tb testing.TB) {
	if !b.in.Start(b.now) {
		tb.Fatal("nothing to do")
	}
	b.now = b.in.End
	b.in.Finish()
	for _, h := range b.in.Completed {
		rank := int(b.table.At(h).Rank)
		b.table.Free(h)
		if b.spec.Role == cost.Decode {
			b.decodes(tb, rank)
		} else {
			b.in.Enqueue(b.request(), rank)
		}
	}
}

func (b *bed) fill(tb testing.TB, batch int) {
	for range batch {
		for rank := range b.spec.Ranks {
			if b.spec.Role == cost.Decode {
				b.decodes(tb, rank)
			} else {
				b.in.Enqueue(b.request(), rank)
			}
		}
	}
}

// A step allocates nothing once the batch is full: neither when nothing changes,
// nor when sequences end, cross breaks, and new ones take their places.
func TestStepsDoNotAllocate(t *testing.T) {
	layout := cost.Layout{DP: 8, EP: 8}
	for _, role := range []cost.Role{cost.Decode, cost.Mixed} {
		for _, x := range []struct {
			name   string
			output func(n uint64) int32
		}{
			{"a batch that stays", func(n uint64) int32 { return 1 << 20 }},
			{"a batch that changes", func(n uint64) int32 { return int32(2 + n*7919%300) }},
		} {
			t.Run(fmt.Sprintf("%s, %s", role, x.name), func(t *testing.T) {
				b := newBed(t, "v4-flash", "supernode8912", role, layout)
				b.spec.PrefillFirst = role == cost.Mixed && x.output(1) < 1<<20
				b.input = func(n uint64) int32 { return int32(1 + n*104729%600) }
				b.output = x.output
				b.fill(t, 48)
				for range 3000 {
					b.step(t)
				}
				if n := testing.AllocsPerRun(2000, func() { b.step(t) }); n != 0 {
					t.Errorf("%v allocations a step", n)
				}
				if n := b.in.Running() + b.in.Waiting(); n != 48*8 {
					t.Errorf("%d requests are here, want %d", n, 48*8)
				}
			})
		}
	}
}

// A step without changes costs O(ranks), whatever the batch.
func BenchmarkDecodeStep(b *testing.B) {
	for _, ranks := range []int{8, 64, 256} {
		for _, batch := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("ranks=%d/batch=%d", ranks, batch), func(b *testing.B) {
				bed := newBed(b, "v4-flash", "supernode8912", cost.Decode, cost.Layout{DP: ranks, EP: ranks})
				bed.input = func(n uint64) int32 { return 200 }
				bed.output = func(n uint64) int32 { return 1 << 30 }
				bed.fill(b, batch)
				for range 10 {
					bed.step(b)
				}
				b.ReportAllocs()
				for b.Loop() {
					bed.step(b)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(ranks), "ns/rank-step")
			})
		}
	}
}

// What a request costs beside the steps that it shares: joining, crossing breaks,
// ending, and the next one in its place.
func BenchmarkTurnover(b *testing.B) {
	for _, batch := range []int{16, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			bed := newBed(b, "v4-flash", "supernode8912", cost.Decode, cost.Layout{DP: 8, EP: 8})
			bed.input = func(n uint64) int32 { return int32(1 + n*104729%600) }
			bed.output = func(n uint64) int32 { return int32(2 + n*7919%60) }
			bed.fill(b, batch)
			for range 300 {
				bed.step(b)
			}
			b.ReportAllocs()
			before := bed.next
			for b.Loop() {
				bed.step(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(1, bed.next-before)), "ns/request")
		})
	}
}
