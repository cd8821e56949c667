//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is the program at work.
type process struct {
	*exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr bytes.Buffer
	ended          chan error
}

func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("clustersim", args...), ended: make(chan error, 1)}
	p.Dir, p.Stdout, p.Stderr = dir, &p.stdout, &p.stderr
	var err error
	if p.stdin, err = p.StdinPipe(); err != nil { // it stays open
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() { p.Process.Kill() })
	return p
}

// end waits for the process, and gives its exit code, or the signal that ended it as a
// negative number.
func (p *process) end(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.ended:
		var failure *exec.ExitError
		if err != nil && !errors.As(err, &failure) {
			t.Fatal(err)
		}
		if status := p.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			return -int(status.Signal())
		}
		return p.ProcessState.ExitCode()
	case <-time.After(10 * time.Second):
		t.Fatal("does not end")
	}
	return 0
}

// settled is when a command has come to where it waits.
const settled = 500 * time.Millisecond

// The first signal ends whatever is being read, parsed or planned, on the spot.
func TestFirstSignalEndsReading(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Skip(err)
	}
	system := []string{"--model", "llama-3.1-8b", "--topo", "hgx-h100:8"}
	for name, args := range map[string][]string{
		"a trace on standard input":    append(system, "--trace", "-"),
		"a scenario on standard input": {"-"},
		"a scenario in a pipe":         {"./fifo"},
		"a model in a pipe":            {"model", "show", "./fifo"},
		"a result on standard input":   {"report", "-"},
		"a trace to inspect":           {"trace", "inspect", "-"},
		"a trace in a pipe to inspect": {"trace", "inspect", "fifo"},
		"a trace to convert":           {"trace", "convert", "-", "out.jsonl"},
		"timings on standard input":    {"calibrate", "--kernels", "-", "--chip", "h100"},
		"a search before a run":        {"--model", "v4", "--topo", "supernode8912"},
	} {
		for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(name+"/"+sent.String(), func(t *testing.T) {
				t.Parallel()
				p := start(t, dir, args...)
				time.Sleep(settled)
				p.Process.Signal(sent)
				if code := p.end(t); code != exitInterrupted || p.stdout.Len() > 0 || !strings.Contains(p.stderr.String(), "interrupted before there was a result") {
					t.Errorf("ends with %d: %s%s", code, p.stdout.String(), p.stderr.String())
				}
				if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 {
					t.Errorf("leaves %v", left)
				}
			})
		}
	}
}

// A second signal ends the program though it has something to keep.
func TestSecondSignalEndsTheProgram(t *testing.T) {
	// Nobody reads the other end of the pipe, so that the partial result cannot be printed.
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	p := &process{Cmd: exec.Command("clustersim", manySeeds...), ended: make(chan error, 1)}
	p.Stdout, p.Stderr = writer, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() { p.Process.Kill() })
	time.Sleep(6 * settled)
	p.Process.Signal(os.Interrupt)
	time.Sleep(2 * settled)
	select {
	case <-p.ended:
		t.Skip("it had not come to where it keeps something")
	default:
	}
	p.Process.Signal(os.Interrupt)
	if code := p.end(t); code != -int(syscall.SIGINT) {
		t.Errorf("ends with %d: %s", code, p.stderr.String())
	}
}

// manySeeds is a sweep that takes long.
var manySeeds = []string{
	"sweep", "--model", "llama-3.1-8b", "--topo", "hgx-h100:8", "--mode", "aggregated", "--rate", "5", "--requests", "20",
	"--set", "seed=" + strings.Repeat("1,", 400) + "1", "--output", "json",
}

// patiently does something that depends on how far a program has come with ever more
// time for it, until it is right.
func patiently(t *testing.T, right func(t *testing.T, wait time.Duration) bool) {
	t.Helper()
	for wait := 2 * settled; !right(t, wait); wait *= 2 {
		if wait > 32*settled {
			t.Fatalf("not right after %v", wait)
		}
	}
}

// The first signal keeps what there is: a sweep's points that have finished.
func TestFirstSignalKeepsPoints(t *testing.T) {
	patiently(t, func(t *testing.T, wait time.Duration) bool {
		p := start(t, t.TempDir(), manySeeds...)
		time.Sleep(wait)
		p.Process.Signal(os.Interrupt)
		if code := p.end(t); code != exitInterrupted {
			t.Fatalf("ends with %d: %s", code, p.stderr.String())
		}
		var grid struct {
			Points []struct{ Result json.RawMessage }
		}
		return json.Unmarshal(p.stdout.Bytes(), &grid) == nil && len(grid.Points) > 0 && grid.Points[0].Result != nil
	})
}

// A run that waits for requests on standard input keeps what it has simulated of those
// that came.
func TestFirstSignalKeepsARunOfAStalledTrace(t *testing.T) {
	patiently(t, func(t *testing.T, wait time.Duration) bool {
		p := start(t, t.TempDir(), "--model", "llama-3.1-8b", "--topo", "hgx-h100:8", "--mode", "aggregated", "--set", "deployment.serve.tp=1",
			"--set", "deployment.serve.instances=8", "--trace", "-", "--output", "json")
		for i := range 20_000 {
			fmt.Fprintf(p.stdin, `{"arrival_s": %g, "input_tokens": 500, "output_tokens": 20}`+"\n", float64(i)/10)
		}
		time.Sleep(wait)
		p.Process.Signal(os.Interrupt)
		if code := p.end(t); code != exitInterrupted {
			t.Fatalf("ends with %d: %s", code, p.stderr.String())
		}
		r, err := parseResult("stdout", p.stdout.Bytes())
		return err == nil && r.Partial && r.Requests.Completed >= 19_000
	})
}
