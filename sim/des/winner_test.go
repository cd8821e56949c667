package des

import (
	"container/heap"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// event is what an event queue of the textbook kind holds.
type event interface {
	when() Time
	who() int
}

type wake struct {
	at     Time
	entity int
	place  int
}

func (w *wake) when() Time { return w.at }
func (w *wake) who() int   { return w.entity }

// queue is the second implementation: container/heap over interface events, ordered by
// time and then entity.
type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].when() < q[j].when() || q[i].when() == q[j].when() && q[i].who() < q[j].who()
}
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].(*wake).place, q[j].(*wake).place = i, j
}
func (q *queue) Push(e any) { e.(*wake).place = len(*q); *q = append(*q, e.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func TestWinnerIsTheHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "entities")
		w, q, wakes := NewWinner(n), &queue{}, make([]*wake, n)
		for i := range wakes {
			wakes[i] = &wake{Never, i, 0}
			heap.Push(q, wakes[i])
		}
		at := rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, 1e12), rapid.Just(int64(Never)))
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				e, to := rapid.IntRange(0, n-1).Draw(t, "entity"), Time(at.Draw(t, "at"))
				w.Set(e, to)
				wakes[e].at = to
				heap.Fix(q, wakes[e].place)
				if w.At(e) != to {
					t.Fatalf("entity %d at %d, want %d", e, w.At(e), to)
				}
			},
			"take": func(t *rapid.T) {
				e, _ := w.Next()
				w.Set(e, Never)
				wakes[e].at = Never
				heap.Fix(q, wakes[e].place)
			},
			"": func(t *rapid.T) {
				e, when := w.Next()
				if first := (*q)[0]; e != first.who() || when != first.when() {
					t.Fatalf("next is %d at %d, the heap says %d at %d", e, when, first.who(), first.when())
				}
			},
		})
	})
}

func TestWinnerWithNothingToDo(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 1000} {
		if e, at := NewWinner(n).Next(); e != 0 || at != Never {
			t.Errorf("%d entities: %d at %d, want 0 at Never", n, e, at)
		}
	}
}

func TestWinnerDoesNotAllocate(t *testing.T) {
	step := holdWinner(1000)
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("%v allocations an event, want 0", got)
	}
}

// The hold model: the next entity acts and is scheduled again a random time later.
func holdWinner(n int) func() {
	w, key, number := NewWinner(n), Key(1), uint64(0)
	for e := range n {
		w.Set(e, Time(key.Uniform(uint64(e), 0)*1e6))
	}
	return func() {
		e, now := w.Next()
		number++
		w.Set(e, now+Time(key.Uniform(number, 1)*1e6))
	}
}

// holdHeap does the same as programs with container/heap usually do: pop, and push a new event.
func holdHeap(n int) func() {
	q, key, number := &queue{}, Key(1), uint64(0)
	for e := range n {
		heap.Push(q, &wake{Time(key.Uniform(uint64(e), 0) * 1e6), e, 0})
	}
	return func() {
		next := heap.Pop(q).(event)
		number++
		heap.Push(q, &wake{next.when() + Time(key.Uniform(number, 1)*1e6), next.who(), 0})
	}
}

func BenchmarkHold(b *testing.B) {
	for _, n := range []int{16, 1000, 15_488} {
		for _, c := range []struct {
			name string
			make func(int) func()
		}{{"winner", holdWinner}, {"container-heap", holdHeap}} {
			b.Run(fmt.Sprintf("queue=%s/entities=%d", c.name, n), func(b *testing.B) {
				step := c.make(n)
				b.ReportAllocs()
				for b.Loop() {
					step()
				}
			})
		}
	}
}
