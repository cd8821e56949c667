package validate

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
)

const (
	replayMetaText   = `{"model": "meta-llama/Llama-3.1-8B", "vllm_version": "0.19.0", "engine_kwargs": {"tensor_parallel_size": 1, "data_parallel_size": 1, "max_num_seqs": 8, "max_num_batched_tokens": 2048, "dtype": "bfloat16", "kv_cache_dtype": "auto"}}`
	replayConfigText = `{"nodes": [{"instances": [{"hardware": "RTXPRO6000", "num_npus": 1}]}]}`
)

// logOf writes the log that a run would leave if it were what is predicted: engine
// and client clocks apart, and the engine looks at its socket late.
func logOf(t *testing.T, ahead float64) (fstest.MapFS, *result.Result) {
	t.Helper()
	var log bytes.Buffer
	trace := "{\"clustersim_trace\":1}\n"
	for i := range 12 {
		trace += fmt.Sprintf("{\"arrival_s\":%.3f,\"input_tokens\":%d,\"output_tokens\":%d}\n", 0.25*float64(i), 200+400*(i%3), 1+10*i)
	}
	s, err := plant.Read("s", []byte("version: 1\nmodel: llama-3.1-8b\ntopology: rtx-pro-6000\ntrace: {file: '-'}\ndeployment: {serve: {instances: 1, tp: 1, max_tokens: 2048, max_sequences: 8}, precision: {weights: bf16}, engine: vllm}\nseed: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := sim.Run(t.Context(), s, sim.Options{Stdin: strings.NewReader(trace), OnRequest: func(c *metrics.Completion) {
		at := 1e9 + c.Arrival.Seconds()
		queued := at + ahead
		if c.Number > 0 {
			queued += 0.01
		}
		fmt.Fprintf(&log, `{"request_id": "r%d", "input_toks": %d, "output_toks": %d, "arrival_time": %.9f, "queued_ts": %.9f, "scheduled_ts": 0, "first_token_ts": %.9f, "last_token_ts": %.9f}`+"\n",
			c.Number, c.InputTokens, c.OutputTokens, at, queued, ahead+1e9+c.FirstToken.Seconds(), ahead+1e9+c.Finish.Seconds())
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{replayMeta: file(replayMetaText), replayConfig: file(replayConfigText), replayRequests: {Data: log.Bytes()}}, r
}

// A log of the predicted run itself is predicted exactly, whatever its clocks say
// and however late the engine looked: the reader takes arrivals, lengths and latencies
// as they are.
func TestReplayOfThePrediction(t *testing.T) {
	dir, want := logOf(t, -1234.5)
	set, err := ReadReplay("runs/own", dir, ReadOptions{})
	if err != nil || len(set.Cases) != 1 {
		t.Fatalf("%v, %+v", err, set)
	}
	c := set.Cases[0]
	if c.ID != "own" || c.Hardware != "rtx-pro-6000" || c.Model != "llama-3.1-8b" || c.Engine != "vllm" || c.Scenario.Deployment.Serve.MaxSequences != 8 {
		t.Errorf("%+v", c)
	}
	r, err := Run(t.Context(), []*Set{set}, Options{})
	if err != nil || len(r.Rows) != 12 || len(r.Distributions) != 3 {
		t.Fatalf("%v, %+v", err, r)
	}
	for _, row := range r.Rows {
		if math.Abs(row.Error) > 1e-4 {
			t.Errorf("%s: measured %v, predicted %v", row.Metric, row.Measured, row.Predicted)
		}
	}
	if got := r.Rows[0]; got.Metric != "ttft_ms_mean" || math.Abs(got.Predicted/want.Latency.TTFT.Mean-1) > 1e-4 {
		t.Errorf("%+v, want %v", got, want.Latency.TTFT.Mean)
	}
	for _, d := range r.Distributions {
		// One of 12 requests has one token and no TPOT. Equal values may fall to either side.
		if n := map[string]int{"tpot_ms": 11}[d.Metric]; n != 0 && d.N != n || d.Wasserstein > 1e-4 || d.MedianAPE > 1e-4 || d.RankCorrelation < 0.95 {
			t.Errorf("%+v", d)
		}
	}
	// Twice as slow a measurement: every figure is half of it.
	for i := range c.Replay.Served {
		c.Replay.Served[i].E2E *= 2
	}
	r, err = Run(t.Context(), []*Set{set}, Options{})
	if d := r.Distributions[2]; err != nil || d.Metric != "e2e_ms" || math.Abs(d.Wasserstein-0.5) > 1e-3 || math.Abs(d.MedianAPE-0.5) > 1e-3 || d.KS == 0 {
		t.Errorf("%v, %+v", err, d)
	}
}

func TestReplayFaults(t *testing.T) {
	dir, _ := logOf(t, 7)
	for _, x := range []struct{ file, from, to, want string }{
		{replayRequests, `"input_toks": 200`, `"input_toks": 0`, "runs/own/requests.jsonl:1:1: input_toks: must be from 1"},
		{replayRequests, `"last_token_ts": `, `"last_token_ts": -`, "last_token_ts: must not be before"},
		{replayRequests, `"first_token_ts"`, `"first"`, "first_token_ts: must be after queued_ts"},
		{replayRequests, `{"request_id"`, `{request_id`, "requests.jsonl:1:1"},
		{replayRequests, `"arrival_time": `, `"arrival_time": 9`, "requests.jsonl:1:1: arrival_time: must be above 0 and at most 4294967296 seconds, got 9"},
		{replayRequests, `"last_token_ts": `, `"last_token_ts": 9`, "last_token_ts: must be at most 4294967296 seconds"},
		{replayConfig, `"nodes"`, `nodes`, "runs/own/config.json"},
	} {
		text := strings.Replace(string(dir[x.file].Data), x.from, x.to, 1)
		broken := fstest.MapFS{replayMeta: dir[replayMeta], replayConfig: dir[replayConfig], replayRequests: dir[replayRequests], x.file: {Data: []byte(text)}}
		if _, err := ReadReplay("runs/own", broken, ReadOptions{}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v\nwant %q", x.to, err, x.want)
		}
	}
	for _, x := range []struct{ file, from, to, want string }{
		{replayConfig, "RTXPRO6000", "GT9000", "no topology is named"},
		{replayMeta, "Llama-3.1-8B", "Llama-9", "unknown model"},
		{replayMeta, "bfloat16", "int3", "precision unknown"},
	} {
		text := strings.Replace(string(dir[x.file].Data), x.from, x.to, 1)
		other := fstest.MapFS{replayMeta: dir[replayMeta], replayConfig: dir[replayConfig], replayRequests: dir[replayRequests], x.file: {Data: []byte(text)}}
		set, err := ReadReplay("runs/own", other, ReadOptions{})
		if err != nil || len(set.Skipped) != 1 || !strings.Contains(set.Skipped[0].Why, x.want) {
			t.Errorf("%s: %v, %+v", x.to, err, set)
		}
	}
	if _, err := ReadReplay("none", fstest.MapFS{}, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "a replayed run has meta.json") {
		t.Errorf("an empty folder: %v", err)
	}
}

// The distances against their definitions by brute force.
func TestDistancesAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "n")
		list := rapid.SliceOfN(rapid.Float64Range(1, 9).AsAny(), n, n)
		whole := rapid.Bool().Draw(t, "ties")
		draw := func(name string) []float64 {
			out := make([]float64, n)
			for i, v := range list.Draw(t, name) {
				if out[i] = v.(float64); whole {
					out[i] = math.Floor(out[i])
				}
			}
			return out
		}
		a, b := draw("a"), draw("b")
		r := &Replay{Served: make([]Served, n)}
		predicted := make([]Served, n)
		for i := range a {
			r.Served[i], predicted[i] = Served{TTFT: a[i], E2E: a[i], TPOT: math.NaN()}, Served{TTFT: b[i], E2E: b[i], TPOT: 1}
		}
		got := r.compare("x", predicted)
		if len(got) != 2 || got[0].N != n {
			t.Fatalf("%+v", got)
		}
		below := func(v []float64, x float64) (share float64) {
			for _, y := range v {
				if y <= x {
					share += 1 / float64(n)
				}
			}
			return share
		}
		ks := 0.0
		for _, x := range append(append([]float64{}, a...), b...) {
			ks = max(ks, math.Abs(below(a, x)-below(b, x)))
		}
		if math.Abs(got[0].KS-ks) > 1e-12 {
			t.Fatalf("KS %v, want %v of %v and %v", got[0].KS, ks, a, b)
		}
		// W1 is the area between the two cumulative distributions.
		area, step := 0.0, 1e-3
		for x := 0.0; x < 10; x += step {
			area += step * math.Abs(below(a, x)-below(b, x))
		}
		mean := 0.0
		for _, v := range a {
			mean += v / float64(n)
		}
		if math.Abs(got[0].Wasserstein-area/mean) > 2e-3*10 {
			t.Fatalf("Wasserstein %v, want %v", got[0].Wasserstein, area/mean)
		}
		if c := got[0].RankCorrelation; !(c >= -1-1e-9 && c <= 1+1e-9) {
			t.Fatalf("rank correlation %v", c)
		}
		// It sees ranks alone.
		for i := range predicted {
			predicted[i].TTFT = math.Exp(predicted[i].TTFT)
		}
		if again := r.compare("x", predicted)[0].RankCorrelation; math.Abs(again-got[0].RankCorrelation) > 1e-9 {
			t.Fatalf("rank correlation %v, of exponentials %v", got[0].RankCorrelation, again)
		}
	})
}

// The published runs read, every request of them, and whoever was slow is predicted
// slow.
func TestPublishedReplays(t *testing.T) {
	root := os.Getenv("CLUSTERSIM_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	for _, name := range []string{"RTXPRO6000_Llama-3.1-8B", "RTXPRO6000_Qwen3-32B"} {
		dir := filepath.Join(root, "validation", "vllm_runs", name)
		if _, err := os.Stat(dir); err != nil {
			t.Skipf("no measurements at %s; set CLUSTERSIM_SHARED to their folder", root)
		}
		set, err := ReadReplay(dir, os.DirFS(dir), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), []*Set{set}, Options{})
		if err != nil || len(r.Rows) != 12 {
			t.Fatalf("%v, %+v", err, r)
		}
		for _, d := range r.Distributions {
			if d.N != 300 || d.RankCorrelation < 0.9 {
				t.Errorf("%+v", d)
			}
		}
	}
}
