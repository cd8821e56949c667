package validate

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clustersim/clustersim/sim/golden"
)

// gateCases are the shipped cases that the gate holds: each chip, family of models,
// engine and kind of layout that ships, at a load that runs in a blink.
var gateCases = []string{
	"ds-profile-prefill", "ds-profile-decode", "sgl-h100-prefill/4096", "sgl-h100-decode-mtpsim-4k", "sgl-gb200p1-decode-2k",
	"vllm-wideep-h200", "ant-h20-prefill",
	"cm384-prefill-eplb", "cm384-decode/1024x1024", "cann-v4-flash-950dt/1536", "cann-v4-pro-950dt/128", "cann-v4-flash-a3",
	"ix-glm5-b200-nvfp4-tp4/c8", "ix-glm5-mi355x-fp8-tp4/c8", "ix-qwen35-mi355x-fp8-tp2/c8", "ix-kimi-k25-b200-int4-tp8/c16",
	"ix-minimax-m25-h100-fp8-tp8/c8", "ix-minimax-m25-b200-nvfp4-tp1/c16", "ix-v4pro-gb200-8p8d-tp/c1", "ix-r1-gb200-4p32d-ep8/c8",
	"trtperf-gpt-oss-20b-b200-tp1/8192x1024", "trtperf-llama-3.1-70b-rtx-pro-6000-tp1pp2/32768x1024",
	"mooncake-pd/2048", "dstack-pd-1p1d/c32-2048x128", "dstack-405b-mi300x-4-amd/2048x2048-b4", "infersim-qwen3-8b-h20-decode",
}

// gateRows are rows in the format of each reader.
func gateRows(t *testing.T) []*Set {
	t.Helper()
	llama := with(local, "model_path", "meta-llama/Llama-3.1-8B-Instruct", "tp_size", "1", "silicon_data_source", "source_file=local/x; silicon_concurrency=8", "batch_size", "8")
	sets := []*Set{}
	for _, f := range []struct{ name, data string }{
		{"inferencex.csv", csvOf(inferenceXColumns, with(h200, "conc", "8"),
			with(h200, "hardware", "b200", "framework", "sglang", "precision", "fp4", "conc", "16"),
			with(h200, "hardware", "mi300x", "framework", "sglang", "conc", "4"),
			with(h200, "hardware", "b300", "framework", "trt", "precision", "fp4", "spec", "mtp", "decode_dp_attn", "True", "conc", "16"),
			with(gb200, "hardware", "gb300", "framework", "dynamo-trt", "prefill_workers", "1", "num_prefill_gpu", "4",
				"decode_tp", "16", "decode_ep", "16", "num_decode_gpu", "16", "gpus_best", "20", "conc", "32"))},
		{"silicon.csv", csvOf(siliconColumns, with(llama, "id", "llama"), with(kimi, "id", "kimi"))},
		{"splitwise.csv", strings.Join(splitwiseColumns, ",") + "\nllama2-70b,a100-80gb,512,4,128,800,55,7900,4\nllama2-70b,h100-80gb,1024,1,128,150,37,4900,8\n"},
	} {
		set, err := Read(f.name, []byte(f.data), ReadOptions{})
		if err != nil || len(set.Skipped) > 0 {
			t.Fatalf("%s: %v, skipped %+v", f.name, err, set)
		}
		sets = append(sets, set)
	}
	var log bytes.Buffer
	for i := range 24 {
		at := 1000 + 0.2*float64(i)
		fmt.Fprintf(&log, `{"request_id": "r%d", "input_toks": %d, "output_toks": %d, "arrival_time": %.3f, "queued_ts": %.3f, "first_token_ts": %.3f, "last_token_ts": %.3f}`+"\n",
			i, 300+150*(i%5), 40+20*(i%3), at, at, at+0.1, at+2)
	}
	file := func(data string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(data)} }
	set, err := ReadReplay("replay", fstest.MapFS{replayMeta: file(replayMetaText), replayConfig: file(replayConfigText), replayRequests: file(log.String())}, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return append(sets, set)
}

// TestGate holds predictions still: a change of a constant, a law or a policy that
// moves one is found here, and is told to those who use the numbers. The golden is
// exact on amd64. Elsewhere the compiler may fuse a multiplication and an addition,
// which moves the last bits: there 1e-9 is allowed.
func TestGate(t *testing.T) {
	got := gate(t)
	data := golden.Read(t, "testdata/gate.golden", []byte(strings.Join(got, "\n")+"\n"))
	want := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	was := map[string]string{}
	for _, line := range want {
		was[line[:strings.LastIndexByte(line, ' ')]] = line[strings.LastIndexByte(line, ' ')+1:]
	}
	var moved []string
	for _, line := range got {
		name, now := line[:strings.LastIndexByte(line, ' ')], line[strings.LastIndexByte(line, ' ')+1:]
		before, known := was[name]
		delete(was, name)
		switch a, b := number(t, before), number(t, now); {
		case !known:
			moved = append(moved, name+": is new")
		case a != b && (runtime.GOARCH == "amd64" || math.Abs(b/a-1) > 1e-9):
			moved = append(moved, fmt.Sprintf("%s: was %s, is %s (%+.3g %%)", name, before, now, 100*(b/a-1)))
		}
	}
	for name := range was {
		moved = append(moved, name+": is gone")
	}
	slices.Sort(moved)
	if len(moved) > 0 {
		t.Errorf("%d of %d predictions moved:\n%s\nIf they should, name what moved and why under \"Changed results\" in CHANGELOG.md, and run: make golden",
			len(moved), len(got), strings.Join(moved, "\n"))
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	if text == "" {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// gate predicts the gate's cases: one line a figure, at full precision.
func gate(t *testing.T) []string {
	t.Helper()
	sets := gateRows(t)
	found := map[string]bool{}
	for _, name := range ShippedNames() {
		set, _ := shipped(t, name)
		set.Cases = slices.DeleteFunc(set.Cases, func(c Case) bool { return !slices.Contains(gateCases, c.ID) })
		for _, c := range set.Cases {
			found[c.ID] = true
		}
		set.Skipped = nil
		sets = append(sets, set)
	}
	for _, id := range gateCases {
		if !found[id] {
			t.Errorf("no shipped case is %q", id)
		}
	}
	r, err := Run(t.Context(), sets, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Skipped {
		t.Errorf("%s cannot be run: %s", s.ID, s.Why)
	}
	if len(r.Rows) < 40 || len(r.Summary.Hardware) < 12 || len(r.Summary.Family) < 9 || len(r.Summary.Mode) != 2 || len(r.Summary.Regime) != 3 {
		t.Errorf("the gate has %d rows, %d chips, %d families, modes %v, regimes %v", len(r.Rows), len(r.Summary.Hardware), len(r.Summary.Family), r.Summary.Mode, r.Summary.Regime)
	}
	lines := make([]string, len(r.Rows))
	for i, row := range r.Rows {
		lines[i] = fmt.Sprintf("%s %s %s", row.ID, row.Metric, strconv.FormatFloat(row.Predicted, 'g', -1, 64))
	}
	return lines
}
