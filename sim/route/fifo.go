package route

import "github.com/clustersim/clustersim/sim/des"

// fifo is a queue of requests with a time each; its storage is reused.
type fifo struct {
	items []timed
	head  int
}

type timed struct {
	request int32
	at      des.Time
}

func (f *fifo) empty() bool { return f.head == len(f.items) }

func (f *fifo) first() timed { return f.items[f.head] }

func (f *fifo) push(request int32, at des.Time) {
	if f.head > 64 && 2*f.head > len(f.items) {
		f.items = f.items[:copy(f.items, f.items[f.head:])]
		f.head = 0
	}
	f.items = append(f.items, timed{request, at})
}

func (f *fifo) pop() timed {
	f.head++
	return f.items[f.head-1]
}
