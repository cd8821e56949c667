package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// traceCommand runs "clustersim trace" with the arguments.
func traceCommand(ctx context.Context, stdin string, args ...string) (stdout, stderr string, err error) {
	c := newTraceCommand()
	var out, errs bytes.Buffer
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetIn(strings.NewReader(stdin))
	c.SetOut(&out)
	c.SetErr(&errs)
	err = c.ExecuteContext(ctx)
	return out.String(), errs.String(), err
}

func mustTrace(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, _, err := traceCommand(t.Context(), stdin, args...)
	if err != nil {
		t.Fatal(args, err)
	}
	return out
}

// TestTraceGenerateConvertInspect: what is generated measures the same after being
// converted, compressed and read from standard input.
func TestTraceGenerateConvertInspect(t *testing.T) {
	dir := t.TempDir()
	plain := mustTrace(t, "", "generate", "--workload", "agent", "--rate", "5", "--duration", "1m", "--seed", "3")
	want := mustTrace(t, plain, "inspect", "-")
	for _, name := range []string{"a.jsonl.zst", "a.jsonl.gz", "a.jsonl"} {
		path := filepath.Join(dir, name)
		mustTrace(t, plain, "convert", "-", path)
		if got := mustTrace(t, "", "inspect", path); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if back := mustTrace(t, "", "convert", path, "-"); back != plain {
			t.Errorf("%s: differs after converting back", name)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 3 {
		t.Errorf("left in the folder: %v", left)
	}
}

func TestTraceInspectJSON(t *testing.T) {
	var got struct {
		Requests int `json:"requests"`
		Input    struct {
			Mean float64 `json:"mean"`
		} `json:"input_tokens"`
	}
	if err := json.Unmarshal([]byte(mustTrace(t, "", "inspect", "sample", "--trace-limit", "100", "--output", "json")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Requests != 100 || got.Input.Mean < 1000 {
		t.Errorf("%+v", got)
	}
}

func TestTraceErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.csv")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"none.csv", []string{"inspect", missing}},
		{"has no requests", []string{"inspect", "-"}},
		{`did you mean "json"`, []string{"inspect", "sample", "--output", "jsn"}},
		{"rate_scale", []string{"inspect", "sample", "--rate-scale", "0"}},
		{"never end", []string{"generate", "--rate", "1"}},
		{"rate: must be from", []string{"generate", "--requests", "1"}},
		{`did you mean "chat"`, []string{"generate", "--requests", "1", "--rate", "1", "--workload", "chta"}},
		{"14.97 times the mean", []string{"generate", "--input-tokens", "lognormal(mean=1,p99=100)"}},
		{"not a duration", []string{"inspect", "sample", "--start", "3"}},
		{"no such file", []string{"convert", "sample", filepath.Join(missing, "x", "out.jsonl")}},
	} {
		if _, _, err := traceCommand(t.Context(), "", c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}

// TestTraceFailureLeavesTheOldFile: a broken trace does not replace what was there.
func TestTraceFailureLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := "{\"arrival_s\":1,\"input_tokens\":1,\"output_tokens\":1}\n{"
	if _, _, err := traceCommand(t.Context(), broken, "convert", "-", path); err == nil {
		t.Fatal("a broken trace is converted")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "old" {
		t.Errorf("%q %v", text, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left in the folder: %v", left)
	}
}

func TestTraceStopsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := traceCommand(ctx, "", "generate", "--rate", "1", "--requests", "1000000000000")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}
