package slo

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/spec"
)

func limits(t testing.TB, text string) (l Limits) {
	t.Helper()
	if err := spec.Parse("slo", []byte(text), &l).Err(); err != nil {
		t.Fatal(err)
	}
	return l
}

// What is written is what is printed, in a file's form and in words.
func TestTextAndWords(t *testing.T) {
	for _, c := range []struct{ yaml, json, words string }{
		{"{ttft: 2s/8K, tpot: 50ms}", `{"ttft":"2s/8K","tpot":"50ms"}`, "TTFT 2s (in proportion beyond 8K prompt tokens) and TPOT 50ms"},
		{"{ttft: 2s, tpot: 50ms}", `{"ttft":"2s","tpot":"50ms"}`, "TTFT 2s and TPOT 50ms"},
		{"{ttft: 2s/8192}", `{"ttft":"2s/8K"}`, "TTFT 2s (in proportion beyond 8K prompt tokens)"},
		{"{ttft: 500ms / 4000}", `{"ttft":"500ms/4000"}`, "TTFT 500ms (in proportion beyond 4000 prompt tokens)"},
		{"{itl: 40ms, e2e: 1m}", `{"itl":"40ms","e2e":"1m0s"}`, "ITL 40ms and E2E 1m0s"},
		{"{ttft: 1s, tpot: 9ms, itl: 8ms, e2e: 7s}", `{"ttft":"1s","tpot":"9ms","itl":"8ms","e2e":"7s"}`, "TTFT 1s, TPOT 9ms, ITL 8ms and E2E 7s"},
		{"{}", "{}", "no limit"},
	} {
		l := limits(t, c.yaml)
		text, err := json.Marshal(l)
		if err != nil || string(text) != c.json || l.String() != c.words {
			t.Errorf("%s is printed as %s, said as %q (%v)", c.yaml, text, l, err)
		}
		var back Limits
		if err := json.Unmarshal(text, &back); err != nil || back != l {
			t.Errorf("%s reads back as %+v, want %+v (%v)", text, back, l, err)
		}
	}
	if l := limits(t, "{ttft: 2s/8K, tpot: 50ms}"); l != Default() {
		t.Errorf("the default is %+v, not %+v", Default(), l)
	}
}

func TestTTFTRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := TTFT{Limit: spec.Duration(rapid.Int64Range(1, 1e15).Draw(t, "ns")), Per: rapid.Int64Range(0, longest).Draw(t, "per")}
		var back TTFT
		if err := back.UnmarshalText([]byte(l.String())); err != nil || back != l {
			t.Fatalf("%+v is written %s and reads back as %+v (%v)", l, l, back, err)
		}
	})
}

func TestFaultyTTFTIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"2":                 "is not a duration",
		"2s/":               "such as 8K",
		"2s/0":              "such as 8K",
		"2s/-8K":            "such as 8K",
		"2s/8k":             "such as 8K",
		"2s/8Ki":            "such as 8K",
		"2s/8K/8K":          "such as 8K",
		"2s/1.5K":           "such as 8K",
		"2s/1048577K":       "at most 1073741824",
		"2s/99999999999999": "at most 1073741824",
		"-2s/8K":            "must not be negative",
		"/8K":               "2s/8K",
	} {
		before := Default().TTFT
		got := before
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || got != before {
			t.Errorf("%q gives %v and %v, want %q", text, got, err, want)
		}
	}
}

// A limit in proportion to the prompt is the wider one, equal up to the length it is in
// proportion to, and exactly m times as wide for m times that length.
func TestProportionalTTFT(t *testing.T) {
	scaled, written := limits(t, "{ttft: 2s/8K}"), limits(t, "{ttft: 2s}")
	rapid.Check(t, func(t *rapid.T) {
		had := Latency{Prompt: rapid.Int64Range(1, 1<<21).Draw(t, "prompt"), TTFT: float64(rapid.Int64Range(0, 600e9).Draw(t, "ttft"))}
		if written.Met(&had) && !scaled.Met(&had) {
			t.Fatalf("%+v is within 2s and not within 2s/8K", had)
		}
		if had.Prompt <= 8192 && written.Met(&had) != scaled.Met(&had) {
			t.Fatalf("%+v: the two differ for a short prompt", had)
		}
		m := rapid.Int64Range(1, 128).Draw(t, "m")
		at := Latency{Prompt: m * 8192, TTFT: float64(m * 2e9)}
		if !scaled.Met(&at) {
			t.Fatalf("%+v is not within 2s/8K", at)
		}
		if at.TTFT++; scaled.Met(&at) {
			t.Fatalf("%+v is within 2s/8K", at)
		}
	})
}

// Each limit is judged by itself: a request meets several when it meets each alone.
func TestLimitsAreIndependent(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.Int64Range(0, 100).Draw(t, "ns")) })
	rapid.Check(t, func(t *rapid.T) {
		limit := func(name string) spec.Duration { return spec.Duration(rapid.Int64Range(0, 100).Draw(t, name)) }
		l := Limits{TTFT: TTFT{Limit: limit("ttft")}, TPOT: limit("tpot"), ITL: limit("itl"), E2E: limit("e2e")}
		had := Latency{Prompt: 1, TTFT: draw.Draw(t, "had ttft"), TPOT: draw.Draw(t, "had tpot"), ITL: draw.Draw(t, "had itl"), E2E: draw.Draw(t, "had e2e")}
		each := true
		for _, alone := range []Limits{{TTFT: l.TTFT}, {TPOT: l.TPOT}, {ITL: l.ITL}, {E2E: l.E2E}} {
			each = each && alone.Met(&had)
		}
		if l.Met(&had) != each {
			t.Fatalf("%+v by %v: %v together, %v one by one", had, l, l.Met(&had), each)
		}
	})
}
