package scenario

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The longest think time keeps every client's turns within the clock, and is refused with
// its place when it is passed.
func TestLongestThink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Workload{
			Requests:    rapid.Int64Range(-5, math.MaxInt64).Draw(t, "requests"),
			Concurrency: rapid.IntRange(0, 1<<40).Draw(t, "clients"),
		}
		limit := int64(w.longestThink())
		turns := max(0, w.Requests) / int64(max(1, w.Concurrency))
		if limit < 0 || turns < math.MaxInt32<<16 && float64(limit)*float64(turns+2) > math.MaxInt64/2 {
			t.Fatalf("%d requests of %d clients may think %d ns", w.Requests, w.Concurrency, limit)
		}
	})
	const text = "version: 1\nmodel: m\ntopology: t\nworkload:\n  concurrency: 2\n  requests: 6\n  think_time: "
	if _, err := Read("s.yaml", []byte(text+"100000h\n")); err != nil {
		t.Error(err)
	}
	_, err := Read("s.yaml", []byte(text+"300000h\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "s.yaml:7:15: workload.think_time: must be between 0 and 106751h0m0s") {
		t.Errorf("got %v", err)
	}
}
