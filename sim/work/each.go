// Package work does independent pieces of work on several goroutines.
package work

import (
	"context"
	"runtime"
	"sync"
)

// Each does n pieces of work on up to workers goroutines (0: GOMAXPROCS), which take
// them in order. When the context ends, no further piece is begun. done is told after
// each piece, in the order in which they end and one at a time, until the context
// ends; nil for nobody.
func Each(ctx context.Context, n, workers int, do func(i int), done func(i int)) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	next := make(chan int)
	var wait sync.WaitGroup
	var telling sync.Mutex
	for range min(workers, n) {
		wait.Go(func() {
			for i := range next {
				do(i)
				if done != nil && ctx.Err() == nil {
					telling.Lock()
					done(i)
					telling.Unlock()
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wait.Wait()
}
