package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

// Whatever a command makes of it, output that did not arrive is a failure.
func TestLostOutput(t *testing.T) {
	for _, line := range []string{
		"--help", "--version", "completion bash",
		"model list", "model show v4", "model show v4 --output json", "topo list", "topo show nvl72", "chip list", "chip show h100",
		"explain --model v3 --topo nvl72", "trace inspect sample", "trace generate --rate 3 --requests 5", "trace convert sample -",
		"plan --model llama-3.1-8b --topo hgx-h100:8", "sweep --model llama-3.1-8b --topo hgx-h100:8 --rate 2 --requests 5",
		"run --model llama-3.1-8b --topo hgx-h100:8 --rate 2 --requests 5", "--model llama-3.1-8b --topo hgx-h100:8 --rate 2 --print-scenario",
	} {
		var stderr bytes.Buffer
		if code := run(strings.Fields(line), strings.NewReader(""), full{}, &stderr); code != exitFailure || !strings.Contains(stderr.String(), "standard output: no room") {
			t.Errorf("%s: exit %d, stderr %q", line, code, stderr.String())
		}
	}
}

// What could not be printed is stored all the same.
func TestLostOutputIsStored(t *testing.T) {
	dir := t.TempDir()
	line := "--model llama-3.1-8b --topo hgx-h100:8 --mode aggregated --rate 2 --requests 5 --out " + filepath.Join(dir, "out") +
		" --requests-out " + filepath.Join(dir, "rows.csv")
	var stderr bytes.Buffer
	if code := run(strings.Fields(line), nil, full{}, &stderr); code != exitFailure || !strings.Contains(stderr.String(), "standard output: no room") {
		t.Errorf("exit %d, stderr %q", code, stderr.String())
	}
	stored, err := os.ReadFile(filepath.Join(dir, "out", "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseResult("result.json", stored); err != nil {
		t.Error(err)
	}
	if rows, err := os.ReadFile(filepath.Join(dir, "rows.csv")); err != nil || bytes.Count(rows, []byte("\n")) < 6 {
		t.Errorf("rows %q: %v", rows, err)
	}
}

// A file that has appeared since it was looked at stays, and so does what was written.
func TestAFileThatAppearsStays(t *testing.T) {
	dir := t.TempDir()
	o, name := &outputs{}, filepath.Join(dir, "a")
	if err := o.check("--out", name); err != nil {
		t.Fatal(err)
	}
	p, err := o.create(name, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	p.WriteString("mine")
	if err := os.WriteFile(name, []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.commit(); err == nil || !strings.Contains(err.Error(), "what was to be written is in "+p.Name()) {
		t.Errorf("got %v", err)
	}
	theirs, _ := os.ReadFile(name)
	mine, _ := os.ReadFile(p.Name())
	if string(theirs) != "theirs" || string(mine) != "mine" {
		t.Errorf("%q and %q", theirs, mine)
	}
}
