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

// An open loop that cannot end within its limits, or that is over before its first request,
// is refused at once, with what would do.
func TestLengthOfOpenLoops(t *testing.T) {
	for workload, want := range map[string]string{
		"{rate: 1e-6, requests: 31}":                              "",
		"{rate: 1e-6, requests: 32}":                              "workload.requests: 32 requests at 1e-06 a second take 8889 hours, but limits.simulated is 8760h0m0s: at most 31 requests",
		"{rate: 1e-6, requests: 32}, limits: {simulated: 10000h}": "",
		"{rate: 4, duration: 250ms}":                              "",
		"{rate: 4, duration: 1ns}":                                "workload.duration: 1ns at 4 requests a second is over before the first of them: must be at least 250ms, or give requests",
		"{rate: 4, duration: 2h}, limits: {simulated: 1h}":        "workload.duration: is 2h0m0s, but limits.simulated is 1h0m0s",
		"{rate: 4, requests: 9}, limits: {simulated: 200000h}":    "limits.simulated: must be above 0 and at most 175200h0m0s, got 200000h0m0s",
		"{rate: 4, requests: 9}, limits: {events: -1}":            "limits.events: must be above 0, got -1",
		"{rate: 4, requests: 9, window: half}":                    `workload.window: unknown window "half"`,
		"{arrivals: burst, requests: 9, window: steady}":          "workload.window: requests that all arrive at once have no steady state; leave it out",
	} {
		_, err := Read("s.yaml", []byte("{version: 1, model: m, topology: t, workload: "+workload+"}"))
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", workload, err, want)
		}
	}
}
