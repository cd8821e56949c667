package traces

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/spec"
)

// archive packs name, text pairs.
func archive(t testing.TB, members ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: members[i], Mode: 0o644, Size: int64(len(members[i+1])), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const (
	bursty  = "0,2,3,Gamma,0.1111111111111111,9\n600,0,0,,0,0\n1200,1,0.5,Weibull,2.1,1\n"
	steady  = "0,1,0.5,Gamma,4,0.25\n600,4,0.5,Gamma,4,0.06\n"
	lengths = `{"0": {"input_tokens": "{10: 0.25, 20: 0.75}", "output_tokens": "{7: 1}", "reason_ratio": "{0.5: 1}"},
 "600": {"input_tokens": "{}", "output_tokens": "{}"}, "1200": {"input_tokens": "{0: 1}", "output_tokens": "{9: 1.0}"}}`
)

func two(t testing.TB) string {
	return archive(t, "data/chunk-0-trace.csv", bursty, "data/chunk-0-dataset.json", lengths,
		"data/chunk-1-trace.csv", steady, "data/chunk-1-dataset.json", lengths, "data/MISSING.txt", "")
}

// TestServeGenCounts: in each window the expected number of requests is
// rate × window, however bursty, and lengths follow the period's shares.
func TestServeGenCounts(t *testing.T) {
	const seeds = 300
	var counts [3]float64
	tens, first := 0.0, 0.0
	text := two(t)
	for seed := range uint64(seeds) {
		for _, r := range read(t, text, Options{Seed: seed}) {
			w := int(r.Arrival.Seconds() / 600)
			counts[w]++
			if w < 2 {
				first++
				if r.OutputTokens != 7 || r.InputTokens != 10 && r.InputTokens != 20 {
					t.Fatalf("%+v", r)
				}
				if r.InputTokens == 10 {
					tens++
				}
			} else if r.InputTokens != 1 || r.OutputTokens != 9 {
				t.Fatalf("after 1200 s: %+v", r)
			}
		}
	}
	near(t, "0–600 s", counts[0]/seeds, 600*(2+1), 0.02)
	near(t, "600–1200 s", counts[1]/seeds, 600*4, 0.01)
	near(t, "1200–1800 s", counts[2]/seeds, 600, 0.01)
	near(t, "share of 10", tens/first, 0.25, 0.01)
}

// TestServeGenWindowsAreStationary: with windows of a few gaps, starting each with a
// whole gap, or the next one where the last ended, would miss the rate by a third.
func TestServeGenWindowsAreStationary(t *testing.T) {
	var windows strings.Builder
	const n, seconds = 4000, 10
	for i := range n {
		fmt.Fprintf(&windows, "%d,1,3,%s\n", i*seconds, []string{"Gamma,0.1111111111111111,9", "Weibull,0.5,0.5"}[i%2])
	}
	text := archive(t, "chunk-0-trace.csv", windows.String(), "chunk-0-dataset.json", lengths)
	var counts [2]float64
	for seed := range uint64(5) {
		for _, r := range read(t, text, Options{Seed: seed}) {
			counts[int(r.Arrival.Seconds()/seconds)%2] += 1.0 / (5 * n / 2)
		}
	}
	near(t, "Gamma windows", counts[0], seconds, 0.06)
	near(t, "Weibull windows", counts[1], seconds, 0.06)
}

func TestServeGenIsOfItsSeed(t *testing.T) {
	text := two(t)
	a, b, c := read(t, text, Options{Seed: 1}), read(t, text, Options{Seed: 1}), read(t, text, Options{Seed: 2})
	if !equalRequests(a, b) {
		t.Error("one seed gives two traces")
	}
	if equalRequests(a, c) {
		t.Error("two seeds give one trace")
	}
}

// TestServeGenStart: windows before the start are passed over and the rest stay
// where they are, for windows that begin at the start.
func TestServeGenStart(t *testing.T) {
	late := read(t, two(t), Options{Seed: 1, Start: spec.Duration(1200e9)})
	if n := float64(len(late)); math.Abs(n-600) > 100 {
		t.Errorf("%v requests, want about 600", n)
	}
	if last := late[len(late)-1].Arrival.Seconds(); last > 600 {
		t.Errorf("last at %v s, want within 600", last)
	}
}

func TestServeGenLeavesOutClientsWithoutLengths(t *testing.T) {
	var warned string
	text := archive(t, "x/chunk-0-trace.csv", steady, "x/chunk-0-dataset.json", lengths, "x/chunk-7-trace.csv", "0,1,1,Gamma,1,1\n200,6,1,Gamma,1,1\n300,0,0,,0,0\n")
	got := read(t, text, Options{Seed: 1, Warn: func(s string) { warned = s }})
	if warned != "f: 1 of 2 clients have no dataset file and are left out, with 21.1 % of the requests: chunk-7" {
		t.Errorf("warned %q", warned)
	}
	// A client's draws are its own: the other one's absence changes none of them.
	alone := archive(t, "x/chunk-0-trace.csv", steady, "x/chunk-0-dataset.json", lengths)
	if !equalRequests(got, read(t, alone, Options{Seed: 1})) {
		t.Error("an absent client moved another's requests")
	}
}

func TestServeGenErrors(t *testing.T) {
	trace, dataset := "chunk-0-trace.csv", "chunk-0-dataset.json"
	for _, c := range []struct{ text, want string }{
		{archive(t, trace, "0,1,1,Gamma,1\n", dataset, lengths), "f: chunk-0-trace.csv:1: has 5 fields, want 6"},
		{archive(t, trace, "0,-1,1,Gamma,1,1\n", dataset, lengths), "chunk-0-trace.csv:1: rate_rps: must be from 0"},
		{archive(t, trace, "0,NaN,1,Gamma,1,1\n", dataset, lengths), "rate_rps: must be from 0"},
		{archive(t, trace, "0,1,1,Pareto,1,1\n", dataset, lengths), `pattern: must be Gamma or Weibull when the rate is not 0, got "Pareto"`},
		{archive(t, trace, "0,1,1,Weibull,0,1\n", dataset, lengths), "arg1: the shape must be from 0.05"},
		{archive(t, trace, steady+"600,1,1,Gamma,1,1\n", dataset, lengths), "chunk-0-trace.csv:3: start_s: must be over"},
		{archive(t, trace, "x,1,1,Gamma,1,1\n", dataset, lengths), "start_s: must be from 0"},
		{archive(t, trace, steady, dataset, "[]"), "chunk-0-dataset.json:1: must be a JSON object"},
		{archive(t, trace, steady, dataset, "{\n\"a\": {}}"), "chunk-0-dataset.json:2: the start of a period"},
		{archive(t, trace, steady, dataset, `{"0": {"input_tokens": "{1: 0.4}"}}`), "0: input_tokens: shares must sum to 1, got 0.4"},
		{archive(t, trace, steady, dataset, `{"0": {"input_tokens": "{-1: 1}"}}`), `length "-1" must be`},
		{archive(t, trace, steady, dataset, `{"0": {"input_tokens": "{1: 2}"}}`), "share of length 1 must be from 0 to 1"},
		{archive(t, trace, steady, dataset, `{"0": {"input_tokens": 3}}`), "input_tokens: must be a string"},
		{archive(t, trace, steady, dataset, `{"0": {"x": [}}`), "not valid JSON"},
		{archive(t, trace, steady), "f: has no requests: no client has both"},
		{archive(t, "README", "hi"), "f: has no requests"},
		{archive(t, trace, "0,0,0,,0,0\n", dataset, lengths), "f: has no requests"},
		{two(t)[:1000], "f: "},
	} {
		if err := drain(open(c.text, Options{})); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}
