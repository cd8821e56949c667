package work

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

// Every piece is done once whatever the number of workers, and told of once.
func TestEach(t *testing.T) {
	for _, workers := range []int{0, 1, 3, 100} {
		var runs [20]atomic.Int32
		told := 0
		Each(t.Context(), len(runs), workers, func(i int) error { runs[i].Add(1); return nil }, func(int, error) { told++ })
		for i := range runs {
			if n := runs[i].Load(); n != 1 {
				t.Errorf("%d workers: piece %d was done %d times", workers, i, n)
			}
		}
		if told != len(runs) {
			t.Errorf("%d workers: told of %d pieces", workers, told)
		}
	}
	Each(t.Context(), 0, 2, func(int) error { t.Error("there is nothing to do"); return nil }, nil)
}

// After the context has ended only what was begun is done, and told of.
func TestEachEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	did, told := 0, 0
	Each(ctx, 1000, 1, func(i int) error {
		if did++; i == 4 {
			cancel()
		}
		return nil
	}, func(int, error) { told++ })
	if did < 5 || did > 6 || told != did {
		t.Errorf("%d done, told of %d", did, told)
	}
}

// A piece that panics, or fails, has its error in its place; the others are done.
func TestEachPanics(t *testing.T) {
	for _, workers := range []int{1, 3} {
		fault := errors.New("fault")
		var whole atomic.Int32
		told := map[int]error{}
		errs := Each(t.Context(), 10, workers, func(i int) error {
			switch i {
			case 3:
				panic("time goes back")
			case 5:
				return fault
			}
			whole.Add(1)
			return nil
		}, func(i int, err error) { told[i] = err })
		var p *Panic
		if !errors.As(errs[3], &p) || p.Value != "time goes back" || !strings.Contains(string(p.Stack), "TestEachPanics") ||
			p.Error() != "broken invariant: time goes back" {
			t.Errorf("%d workers: piece 3: %v", workers, errs[3])
		}
		for i, err := range errs {
			if (err != nil) != (i == 3 || i == 5) || !errors.Is(told[i], err) {
				t.Errorf("%d workers: piece %d: %v, told %v", workers, i, err, told[i])
			}
		}
		if len(told) != 10 || whole.Load() != 8 || !errors.Is(errs[5], fault) {
			t.Errorf("%d workers: told of %d, %d whole, %v", workers, len(told), whole.Load(), errs[5])
		}
	}
}

// Who is told may panic too: that is the piece's error, and the next one is told.
func TestDonePanics(t *testing.T) {
	told := 0
	errs := Each(t.Context(), 3, 2, func(int) error { return nil }, func(i int, _ error) {
		told++
		if i == 1 {
			panic("no ears")
		}
	})
	if told != 3 || errs[0] != nil || errs[2] != nil || !errors.As(errs[1], new(*Panic)) {
		t.Errorf("told of %d, errors %v", told, errs)
	}
}
