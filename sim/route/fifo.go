package route

import (
	"cmp"

	"github.com/clustersim/clustersim/sim/des"
)

// fifo is a queue of requests; its storage is reused.
type fifo struct {
	items []int32
	head  int
}

func (f *fifo) empty() bool { return f.head == len(f.items) }

func (f *fifo) len() int64 { return int64(len(f.items) - f.head) }

func (f *fifo) first() int32 { return f.items[f.head] }

func (f *fifo) push(request int32) {
	if f.head > 64 && 2*f.head > len(f.items) {
		f.items = f.items[:copy(f.items, f.items[f.head:])]
		f.head = 0
	}
	f.items = append(f.items, request)
}

func (f *fifo) pop() int32 {
	f.head++
	return f.items[f.head-1]
}

// timed is a request with the moment at which something happens to it.
type timed struct {
	request int32
	at      des.Time
	number  uint64 // of the request: decides between equal moments
}

func (a timed) before(b timed) bool {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.number, b.number)) < 0
}

// agenda is a heap of timed requests, the earliest first.
type agenda []timed

func (g agenda) empty() bool { return len(g) == 0 }

func (g agenda) first() timed { return g[0] }

func (g *agenda) push(x timed) {
	h := append(*g, x)
	i := len(h) - 1
	for ; i > 0 && x.before(h[(i-1)/2]); i = (i - 1) / 2 {
		h[i] = h[(i-1)/2]
	}
	h[i] = x
	*g = h
}

func (g *agenda) pop() timed {
	h := *g
	first, last := h[0], len(h)-1
	x := h[last]
	h = h[:last]
	*g = h
	i := 0
	for c := 1; c < last; c = 2*i + 1 {
		if c+1 < last && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(x) {
			break
		}
		h[i] = h[c]
		i = c
	}
	if last > 0 {
		h[i] = x
	}
	return first
}
