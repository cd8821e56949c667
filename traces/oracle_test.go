package traces

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shared is the path of a real trace: in the folder that CLUSTERSIM_SHARED names,
// else beside the checkout. Without one the test is skipped.
func shared(t testing.TB, name string) string {
	t.Helper()
	root, given := os.LookupEnv("CLUSTERSIM_SHARED")
	if !given {
		dir, err := os.Getwd()
		for err == nil && dir != filepath.Dir(dir) {
			if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
				break
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(dir, "..", "shared")
	}
	path := filepath.Join(root, "traces", name)
	if _, err := os.Stat(path); err != nil {
		if given {
			t.Fatal(err)
		}
		t.Skipf("no real traces here (%s); set CLUSTERSIM_SHARED to test with them", name)
	}
	return path
}

// published are the figures that the traces' own documentation or other tools
// give (percentiles there are interpolated, so neighbouring lengths are allowed).
var published = []struct {
	file           string
	requests       int64
	span           float64
	inMean         float64
	in             [4]float64 // p50, p90, p99, max
	outMean        float64
	out            [4]float64
	hitRate        float64
	blocks, unique int64
}{
	{file: "azure2023_code.csv.zst", requests: 8819, span: 3435.9, inMean: 2047.8, in: [4]float64{1469, 5194, 7436, 7437}, outMean: 27.9, out: [4]float64{13, 55, 252, 1899}},
	{file: "azure2023_conv.csv.zst", requests: 19366, span: 3501.7, inMean: 1154.7, in: [4]float64{1020, 2735, 4142, 14050}, outMean: 211.1, out: [4]float64{129, 424, 601, 1000}},
	{file: "mooncake_conversation_trace.jsonl.zst", requests: 12031, span: 3537, inMean: 12035, in: [4]float64{6909, 27367, 85401, 126195}, outMean: 342.6, out: [4]float64{350, 597, 1120, 2000}, hitRate: 0.3664, blocks: 288500, unique: 182790},
}

func TestRealTracesAsPublished(t *testing.T) {
	for _, c := range published {
		src, err := Open(shared(t, c.file), Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Measure(src, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Requests != c.requests || math.Abs(s.SpanS-c.span) > 0.06 {
			t.Errorf("%s: %d requests in %v s, want %d in %v", c.file, s.Requests, s.SpanS, c.requests, c.span)
		}
		for _, l := range []struct {
			got  Lengths
			mean float64
			want [4]float64
		}{{s.Input, c.inMean, c.in}, {s.Output, c.outMean, c.out}} {
			got := [4]float64{float64(l.got.P50), float64(l.got.P90), float64(l.got.P99), float64(l.got.Max)}
			if math.Abs(l.got.Mean-l.mean) > 0.07 || got != l.want {
				t.Errorf("%s: mean %v, percentiles %v; want %v, %v", c.file, l.got.Mean, got, l.mean, l.want)
			}
		}
		if s.Prefix.Blocks != c.blocks || s.Prefix.Unique != c.unique || math.Abs(s.Prefix.HitRate-c.hitRate) > 5e-5 {
			t.Errorf("%s: prefixes %+v, want %v of %d blocks, %d unique", c.file, s.Prefix, c.hitRate, c.blocks, c.unique)
		}
	}
}

func TestRealRequestLists(t *testing.T) {
	for _, model := range []string{"llama-3.1-8b", "qwen3-30b-a3b", "qwen3-32b"} {
		src, err := Open(shared(t, "llmservingsim_sharegpt_"+model+".jsonl.zst"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Measure(src, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Requests != 300 || math.Abs(s.SpanS-29.1) > 0.05 || s.Prefix.BlockTokens != 16 {
			t.Errorf("%s: %+v", model, s)
		}
		if s.Prefix.HitRate < 0.076 || s.Prefix.HitRate > 0.081 {
			t.Errorf("%s: hit rate %v, want 0.077 to 0.080", model, s.Prefix.HitRate)
		}
	}
}

// TestRealIdsAreChained: in every trace an id always follows the same id.
func TestRealIdsAreChained(t *testing.T) {
	for _, file := range []string{"mooncake_conversation_trace.jsonl.zst", "llmservingsim_sharegpt_llama-3.1-8b.jsonl.zst"} {
		src, err := Open(shared(t, file), Options{})
		if err != nil {
			t.Fatal(err)
		}
		before := map[uint64]uint64{}
		for _, r := range readAll(t, src) {
			last := uint64(math.MaxUint64)
			for _, id := range r.Prefix {
				if p, ok := before[id]; ok && p != last {
					t.Fatalf("%s: id %d follows both %d and %d", file, id, p, last)
				}
				before[id], last = last, id
			}
		}
	}
}

func TestRealLengthsWithoutArrivalsAreRefused(t *testing.T) {
	_, err := Open(shared(t, "vidur_arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv.zst"), Options{})
	if err == nil || !strings.Contains(err.Error(), "has lengths of requests but no arrivals") {
		t.Error(err)
	}
}

// TestRealServeGen holds a day of deepseek-r1 to its published rates, and
// m-large's warning to the list of absent files.
func TestRealServeGen(t *testing.T) {
	src, err := Open(shared(t, "servegen_reason_deepseek-r1.tar.zst"), Options{Seed: 1, Warn: func(s string) { t.Error(s) }})
	if err != nil {
		t.Fatal(err)
	}
	perWindow := map[int]int{}
	s, err := Measure(src, func(r Request) { perWindow[int(r.Arrival.Seconds()/600)]++ })
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mean rate", float64(s.Requests)/86400, 16.0, 0.01)
	least, most := math.Inf(1), 0.0
	for _, n := range perWindow {
		least, most = min(least, float64(n)/600), max(most, float64(n)/600)
	}
	near(t, "least rate", least, 4.3, 0.15)
	near(t, "highest rate", most, 42.5, 0.15)
	var warned string
	src, err = Open(shared(t, "servegen_language_m-large.tar.zst"), Options{Seed: 1, Start: 3600e9, Limit: 1000, Warn: func(s string) { warned = s }})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(readAll(t, src)); n != 1000 {
		t.Errorf("%d requests, want 1000", n)
	}
	for _, want := range []string{"15 of 162 clients", "chunk-15,", "chunk-148"} {
		if !strings.Contains(warned, want) {
			t.Errorf("warning %q lacks %q", warned, want)
		}
	}
}

// TestRealTracesConvert: written in our own format and read back, nothing has changed.
func TestRealTracesConvert(t *testing.T) {
	for _, file := range []string{"azure2023_conv.csv.zst", "mooncake_conversation_trace.jsonl.zst", "llmservingsim_sharegpt_qwen3-32b.jsonl.zst"} {
		src, err := Open(shared(t, file), Options{})
		if err != nil {
			t.Fatal(err)
		}
		block := src.BlockTokens()
		want := readAll(t, src)
		var b bytes.Buffer
		if _, err := Write(&b, &listSource{requests: want, block: block}, nil); err != nil {
			t.Fatal(err)
		}
		back, err := Read("converted", io.NopCloser(&b), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, back); back.BlockTokens() != block || !equalRequests(got, want) {
			t.Errorf("%s: differs after converting", file)
		}
	}
}
