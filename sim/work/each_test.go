package work

import (
	"context"
	"sync/atomic"
	"testing"
)

// Every piece is done once whatever the number of workers, and told of once.
func TestEach(t *testing.T) {
	for _, workers := range []int{0, 1, 3, 100} {
		var runs [20]atomic.Int32
		told := 0
		Each(t.Context(), len(runs), workers, func(i int) { runs[i].Add(1) }, func(int) { told++ })
		for i := range runs {
			if n := runs[i].Load(); n != 1 {
				t.Errorf("%d workers: piece %d was done %d times", workers, i, n)
			}
		}
		if told != len(runs) {
			t.Errorf("%d workers: told of %d pieces", workers, told)
		}
	}
	Each(t.Context(), 0, 2, func(int) { t.Error("there is nothing to do") }, nil)
}

// After the context has ended at most what was begun is done, and nobody is told.
func TestEachEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	did, told := 0, 0
	Each(ctx, 1000, 1, func(i int) {
		if did++; i == 4 {
			cancel()
		}
	}, func(int) { told++ })
	if did < 5 || did > 6 || told != 4 {
		t.Errorf("%d done, told of %d", did, told)
	}
}
