package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/report"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
)

func stored(t *testing.T) []byte {
	t.Helper()
	r := &result.Result{
		Version: result.Version, RunID: "id", Scenario: &scenario.Scenario{Version: 1, Model: "v4", Topology: "supernode8912", SLO: slo.Default()},
		Warnings: []string{"assumed"}, Latency: result.Latency{TTFT: result.Distribution{P99: 812.25}},
		Goodput: result.Goodput{SLO: result.SLO{Limits: slo.Default()}},
	}
	var out bytes.Buffer
	if err := report.JSON(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func runReport(t *testing.T, stdin []byte, args ...string) (string, error) {
	t.Helper()
	c := newReportCommand()
	var out bytes.Buffer
	c.SetIn(bytes.NewReader(stdin))
	c.SetOut(&out)
	c.SetErr(&out)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	err := c.Execute()
	return out.String(), err
}

func TestReportCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	if err := os.WriteFile(path, stored(t), 0o644); err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]string{
		"text": "812.2", "json": `"p99": 812.25`, "csv": "latency.ttft_ms.p99,812.25\n",
	} {
		if got, err := runReport(t, nil, path, "--output", format); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %v, %s", format, err, got)
		}
	}
	if got, err := runReport(t, stored(t), "-", "--output", "json"); err != nil || got != string(stored(t)) {
		t.Errorf("from standard input: %v, %s", err, got)
	}
}

func TestReportCommandErrors(t *testing.T) {
	good := string(stored(t))
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "standard input:1:1: unexpected end of JSON input"},
		"cut short":     {good[:len(good)/2], "unexpected end"},
		"no JSON":       {"{\n  \"version\": 1,\n  oops\n}", "standard input:3:3: invalid character 'o'"},
		"wrong type":    {"{\n\"version\": \"one\"}", "standard input:2:16:"},
		"no result":     {"{}", "it has no version"},
		"a sweep":       {`{"version": 1, "points": [{}, {}]}`, "points[0]: want either a result or an error"},
		"later version": {`{"version": 2}`, "version: want 1, got 2"},
		"unknown field": {`{"version": 1, "latencies": {}}`, `unknown field "latencies"`},
		"bad number":    {strings.Replace(good, "812.25", `"fast"`, 1), "ttft_ms.p99"},
		"bad unit":      {strings.Replace(good, `"2s/8K"`, `"2 parsecs"`, 1), "parsecs"},
	} {
		if out, err := runReport(t, []byte(c.text), "-"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q; printed %s", name, err, c.want, out)
		}
	}
	for want, args := range map[string][]string{
		"no such file":                    {"nowhere.json"},
		"did you mean \"json\"":           {"-", "--output", "jsn"},
		"want FILE.json|DIR, got nothing": {},
	} {
		if _, err := runReport(t, []byte(good), args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
}

func FuzzParseResult(f *testing.F) {
	f.Add([]byte(`{"version": 1}`))
	f.Add([]byte(`{"version": 1, "scenario": {"slo": {"ttft": "2s"}}, "latency": {"ttft_ms": {"p99": 1e3}}}`))
	f.Add([]byte("[\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseResult("fuzz", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz:") {
				t.Errorf("error without its file: %v", err)
			}
			return
		}
		for _, format := range report.Formats {
			var out bytes.Buffer
			if err := format.Write(&out, r); err != nil {
				t.Errorf("%s: %v", format.Name, err)
			}
		}
	})
}
