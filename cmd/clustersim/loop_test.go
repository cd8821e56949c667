package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// resultOf runs a command line and gives what its JSON says under a key.
func resultOf(t *testing.T, key string, args ...string) any {
	t.Helper()
	var out, said bytes.Buffer
	if code := run(append(args, "--output", "json"), strings.NewReader(""), &out, &said); code != exitDone {
		t.Fatalf("%v: exit %d, %s", args, code, &said)
	}
	var r map[string]any
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r[key]
}

// Requests that all arrive at once are those of a recorded trace whose timestamps are
// all zero.
func TestBurstIsATraceAtZero(t *testing.T) {
	file := filepath.Join(t.TempDir(), "at-zero.jsonl")
	text := "{\"clustersim_trace\":1}\n" + strings.Repeat("{\"arrival_s\":0,\"input_tokens\":900,\"output_tokens\":20}\n", 40)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	common := []string{"--model", "qwen3-8b", "--topo", "hgx-h100:1", "--mode", "aggregated", "--set", "deployment.serve.instances=1"}
	burst := append([]string{"--arrivals", "burst", "--requests", "40", "--input-tokens", "900", "--output-tokens", "20"}, common...)
	for _, key := range []string{"latency", "throughput", "requests", "simulated_s"} {
		got, want := resultOf(t, key, burst...), resultOf(t, key, append([]string{"--trace", file}, common...)...)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s of a burst is %v, of the trace %v", key, got, want)
		}
	}
}

// A flag of one kind of loop replaces what a file says of the other.
func TestFlagsReplaceTheLoop(t *testing.T) {
	for _, c := range []struct{ workload, flags, want, never string }{
		{"rate: 2, arrivals: constant", "--concurrency 8", "concurrency: 8", "rate:"},
		{"rate: 2, duration: 10s", "--concurrency 8 --requests 20", "concurrency: 8", "duration:"},
		{"rate: 2", "--think-time 1s --concurrency 3", "think_time: 1s", "rate:"},
		{"concurrency: 4, think_time: 1s", "--rate 3 --requests 20", "rate: 3", "concurrency:"},
		{"concurrency: 4, think_time: 1s", "--arrivals constant --requests 20", "arrivals: constant", "think_time:"},
		{"concurrency: 4", "--think-time 1s", "think_time: 1s", "rate:"},
		{"rate: 2", "--arrivals burst", "arrivals: burst", "rate:"},
		{"arrivals: burst", "--rate 2", "rate: 2", "burst"},
		{"rate: 2, requests: 30", "--concurrency 8", "requests: 30", "rate:"},
		{"rate: 2", "--set workload.rate=null --concurrency 2", "concurrency: 2", "rate:"},
		{"rate: 2, requests: 30", "--set workload.requests= --set workload.arrivals=constant", "arrivals: constant", "requests: 30"},
	} {
		file := filepath.Join(t.TempDir(), "s.yaml")
		text := "version: 1\nmodel: qwen3-8b\ntopology: hgx-h100:1\nworkload: {profile: chat, " + c.workload + "}\n" +
			"deployment: {mode: aggregated, serve: {instances: 1}}\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var out, said bytes.Buffer
		args := append([]string{file, "--print-scenario"}, strings.Fields(c.flags)...)
		code := run(args, strings.NewReader(""), &out, &said)
		if got := out.String(); code != exitDone || !strings.Contains(got, c.want) || strings.Contains(got, c.never) {
			t.Errorf("%s, %s: exit %d\n%s%s", c.workload, c.flags, code, got, &said)
		}
	}
	for flags, want := range map[string]string{
		"--rate 2 --concurrency 3":                         "a closed loop has no rate",
		"--arrivals burst --rate 2":                        "all arrive at once have no rate",
		"--arrivals burst --duration 5s":                   "given by their number",
		"--arrivals burst --find-capacity":                 "have no rate",
		"--arrivals burst --set workload.start=stationary": "find an empty system",
	} {
		var out, said bytes.Buffer
		args := append([]string{"--model", "qwen3-8b", "--topo", "hgx-h100:1"}, strings.Fields(flags)...)
		if code := run(args, strings.NewReader(""), &out, &said); code != exitUsage || !strings.Contains(said.String(), want) {
			t.Errorf("%s: exit %d, %s", flags, code, &said)
		}
	}
}

// A trace that is cut by time runs as the file does that holds the same requests alone,
// with arrivals counted from the cut; the parts are the whole.
func TestTraceIsCutByTime(t *testing.T) {
	part := filepath.Join(t.TempDir(), "part.jsonl")
	var out, said bytes.Buffer
	if code := run([]string{"trace", "convert", "sample", part, "--start", "20s", "--duration", "15s"}, strings.NewReader(""), &out, &said); code != exitDone {
		t.Fatalf("exit %d, %s", code, &said)
	}
	common := []string{"--model", "qwen3-8b", "--topo", "hgx-h100:2", "--tp", "1", "--pp", "1", "--set", "deployment.serve.instances=2"}
	cut := func(flags ...string) []string {
		return append(append([]string{"--trace", "sample"}, flags...), common...)
	}
	for _, key := range []string{"latency", "throughput", "requests", "simulated_s"} {
		got := resultOf(t, key, cut("--trace-from", "20s", "--trace-to", "35s")...)
		if want := resultOf(t, key, append([]string{"--trace", part}, common...)...); !reflect.DeepEqual(got, want) {
			t.Errorf("%s of the cut is %v, of the part's file %v", key, got, want)
		}
	}
	arrived := func(flags ...string) float64 {
		return resultOf(t, "requests", cut(flags...)...).(map[string]any)["arrived"].(float64)
	}
	whole, before, after := arrived(), arrived("--trace-to", "30s"), arrived("--trace-from", "30s")
	if whole != before+after || before == 0 || after == 0 {
		t.Errorf("%g requests are %g before the cut and %g after it", whole, before, after)
	}
	if scaled := arrived("--trace-to", "30s", "--rate-scale", "2"); scaled != before {
		t.Errorf("at twice the rate %g requests are in the recorded 30 s, %g at the recorded one", scaled, before)
	}
	for flags, want := range map[string]string{
		"--trace-from 30s --trace-to 20s": "must be later than from (30s)",
		"--trace-from 1h":                 "has no requests at 1h",
		"--trace-from=-1s":                "must not be negative",
		"--trace-from x":                  "trace.from",
	} {
		var out, said bytes.Buffer
		if code := run(cut(strings.Fields(flags)...), strings.NewReader(""), &out, &said); code != exitUsage || !strings.Contains(said.String(), want) {
			t.Errorf("%s: exit %d, %s", flags, code, &said)
		}
	}
}
