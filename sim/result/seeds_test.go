package result

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// Five runs of 1 to 5: the mean is 3 and half of its interval t(0.975, 4)·√2.5/√5, with
// t from the tables.
func TestSeedsClosedForm(t *testing.T) {
	var runs []*Result
	for i := range 5 {
		runs = append(runs, &Result{Latency: Latency{TTFT: Distribution{P99: float64(1 + i)}}, Throughput: Throughput{RequestsPerS: 7}})
	}
	s := OverSeeds(runs)
	got := s.Figures["ttft_ms_p99"]
	if want := 2.776445 * math.Sqrt(2.5/5); s.N != 5 || got.Mean != 3 || math.Abs(got.HalfWidth95-want) > 1e-5 {
		t.Errorf("%d runs: %+v, want 3 ± %g", s.N, got, want)
	}
	if got := s.Figures["requests_per_s"]; got != (Interval{Mean: 7}) {
		t.Errorf("runs that agree: %+v", got)
	}
	if OverSeeds(runs[:1]) != nil || OverSeeds(nil) != nil {
		t.Error("one run has an interval")
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Seeds
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, s) {
		t.Errorf("%s reads back as %+v (%v)", text, back, err)
	}
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil || len(keys) != 1+len(Figures()) || keys["n"] != 5.0 {
		t.Errorf("%s: %v", text, err)
	}
}
