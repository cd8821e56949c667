package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a folder on a disk of its own with so much room.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no rights to mount a small disk: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	return dir
}

// On a disk that the rows fill, the result is printed and stored all the same: rows
// that are not whole make room for it.
func TestRowsThatFillTheDiskCostNothingElse(t *testing.T) {
	dir := smallDisk(t, "128k")
	var stdout, stderr bytes.Buffer
	code := run([]string{
		"--model", "llama-3.1-8b", "--topo", "hgx-h100:8", "--mode", "aggregated", "--set", "deployment.serve.tp=1",
		"--set", "deployment.serve.instances=8", "--rate", "5", "--requests", "5000", "--output", "json",
		"--requests-out", filepath.Join(dir, "rows.csv"), "--out", filepath.Join(dir, "out"),
	}, nil, &stdout, &stderr)
	if code != exitFailure || !strings.Contains(stderr.String(), "rows.csv is not written: ") || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	stored, err := os.ReadFile(filepath.Join(dir, "out", "result.json"))
	if err != nil || !bytes.Equal(stored, stdout.Bytes()) {
		t.Errorf("stored %d bytes, printed %d: %v", len(stored), stdout.Len(), err)
	}
	if _, err := parseResult("stdout", stdout.Bytes()); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("beside the folder there is %v (%v)", left, err)
	}
}

// A disk that has filled since it was looked at tears no file: what was there stays as
// it was, and what is printed is whole.
func TestFullDiskTearsNothing(t *testing.T) {
	dir := smallDisk(t, "8k")
	out := outputs{force: true}
	name := filepath.Join(dir, "result.json")
	if err := os.WriteFile(name, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := out.write(name, make([]byte, 1<<20), 0o666); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v", err)
	}
	kept, err := os.ReadFile(name)
	left, _ := os.ReadDir(dir)
	if string(kept) != "before" || len(left) != 1 {
		t.Errorf("kept %q (%v), beside it %v", kept, err, left)
	}
}
