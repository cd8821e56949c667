// Package work does independent pieces of work on several goroutines.
package work

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// Panic is what a piece of work panicked with: a broken invariant of the program, which
// costs that piece and no other.
type Panic struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (p *Panic) Error() string { return fmt.Sprintf("broken invariant: %v", p.Value) }

// Each does n pieces of work on up to workers goroutines (0: GOMAXPROCS), which take
// them in order. When the context ends, no further piece is begun. done is told after
// each piece, in the order in which they end and one at a time; nil for nobody.
//
// The pieces' errors come in the order of the pieces, nil where there is none: a piece
// that panics has a *Panic, as has one of which done panics.
func Each(ctx context.Context, n, workers int, do func(i int) error, done func(i int, err error)) []error {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	errs := make([]error, n)
	next := make(chan int)
	var wait sync.WaitGroup
	var telling sync.Mutex
	for range min(workers, n) {
		wait.Go(func() {
			for i := range next {
				errs[i] = guarded(func() error { return do(i) })
				if done == nil {
					continue
				}
				if err := guarded(func() error {
					telling.Lock()
					defer telling.Unlock()
					done(i, errs[i])
					return nil
				}); err != nil {
					errs[i] = err
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
	return errs
}

// guarded makes a panic an error, on the goroutine that panicked: no other can.
func guarded(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Panic{v, debug.Stack()}
		}
	}()
	return do()
}
