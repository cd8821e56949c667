package main

import (
	"bytes"
	"errors"
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
