package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/golden"
)

// TestREADME runs the README's console blocks for real and compares standard output
// to the letter: results are deterministic. A line that is only … stands for any
// number of lines. It runs when CLUSTERSIM_README is set, as CI does; with -update it
// writes what the blocks print (CLUSTERSIM_README=1 make golden).
func TestREADME(t *testing.T) {
	if os.Getenv("CLUSTERSIM_README") == "" {
		t.Skip("CLUSTERSIM_README is not set: the README's blocks take a minute")
	}
	const readme = "../../README.md"
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "clustersim"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var fresh strings.Builder
	parts := strings.Split(string(text), "```console\n")
	fresh.WriteString(parts[0])
	for i, part := range parts[1:] {
		block, rest, closed := strings.Cut(part, "\n```")
		if !closed {
			t.Fatalf("block %d is not closed", i+1)
		}
		fresh.WriteString("```console\n" + runBlock(t, dir, block) + "\n```" + rest)
	}
	if golden.Updating() {
		if err := os.WriteFile(readme, []byte(fresh.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// runBlock runs a block's commands and returns the block with their output.
func runBlock(t *testing.T, dir, block string) string {
	var out []string
	lines := strings.Split(block, "\n")
	for i := 0; i < len(lines); {
		command, is := strings.CutPrefix(lines[i], "$ ")
		if !is {
			t.Fatalf("a block starts with %q, not with a command", lines[i])
		}
		out = append(out, lines[i])
		i++
		for strings.HasSuffix(command, `\`) {
			command += "\n" + lines[i]
			out = append(out, lines[i])
			i++
		}
		start := i
		for i < len(lines) && !strings.HasPrefix(lines[i], "$ ") {
			i++
		}
		want := lines[start:i]
		got := runCommand(t, dir, command)
		if !golden.Updating() && !matches(want, got) {
			t.Errorf("$ %s\nprints\n%s\nthe README says\n%s", command, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		out = append(out, shown(want, got)...)
	}
	return strings.Join(out, "\n")
}

func runCommand(t *testing.T, dir, command string) []string {
	t.Helper()
	command = strings.ReplaceAll(command, "go run ./cmd/clustersim", "clustersim")
	c := exec.Command("bash", "-c", command)
	c.Dir = dir
	c.Env = append(os.Environ(), fmt.Sprintf("PATH=%s:%s", dir, os.Getenv("PATH")))
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("$ %s: %v\n%s", command, err, stderr.String())
	}
	lines := strings.Split(strings.TrimRight(stdout.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// matches compares with … standing for any number of lines.
func matches(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0 || len(got) == 1 && got[0] == ""
	}
	if want[0] == "…" {
		for i := range len(got) + 1 {
			if matches(want[1:], got[i:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && strings.TrimRight(want[0], " ") == got[0] && matches(want[1:], got[1:])
}

// shown is the new output, cut where the old one was: as many lines before a … as
// the old one had, and as many behind it. A … alone is output that was never shown.
func shown(want, got []string) []string {
	if len(want) == 1 && want[0] == "…" {
		return got
	}
	for i, line := range want {
		if line == "…" {
			head, tail := want[:i], want[i+1:]
			if len(head)+len(tail) > len(got) {
				return got
			}
			return append(append(append([]string{}, got[:len(head)]...), "…"), got[len(got)-len(tail):]...)
		}
	}
	if len(got) == 1 && got[0] == "" {
		return nil
	}
	return got
}

// The README's table of accuracy is part of VALIDATION.md's, row by row.
func TestAccuracyStandsInValidation(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	validation, err := os.ReadFile("../../VALIDATION.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(readme)) {
		if !strings.HasPrefix(line, "| aggregated / ") && !strings.HasPrefix(line, "| disaggregated / ") {
			continue
		}
		if rows++; !strings.Contains(string(validation), line) {
			t.Errorf("not in VALIDATION.md: %s", line)
		}
	}
	if rows == 0 {
		t.Error("the README has no table of accuracy")
	}
}
