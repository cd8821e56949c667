package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clustersim/clustersim/sim/sweep"
	"github.com/clustersim/clustersim/sim/work"
)

// signalled KILL|INT FILE LINES COMMAND… sends a signal to a command once a file has so
// many lines; with INT it must end with exit code 130. Its output goes to the files
// stdout and stderr.
func signalled(ts *testscript.TestScript, neg bool, args []string) {
	ends := map[string]int{"KILL": -1, "INT": exitInterrupted}
	signals := map[string]syscall.Signal{"KILL": syscall.SIGKILL, "INT": syscall.SIGINT}
	if neg || len(args) < 4 || ends[args[0]] == 0 {
		ts.Fatalf("usage: signalled KILL|INT FILE LINES COMMAND…")
	}
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	path, err := exec.LookPath(args[3])
	ts.Check(err)
	c := exec.Command(path, args[4:]...)
	c.Dir = ts.MkAbs(".")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	ts.Check(c.Start())
	for range 6000 {
		data, err := os.ReadFile(ts.MkAbs(args[1]))
		if err == nil && bytes.Count(data, []byte("\n")) >= want {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	ts.Check(c.Process.Signal(signals[args[0]]))
	var failure *exec.ExitError
	if err := c.Wait(); !errors.As(err, &failure) || failure.ExitCode() != ends[args[0]] {
		ts.Fatalf("the command ended with %v\n%s", err, &stderr)
	}
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), stdout.Bytes(), 0o666))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), stderr.Bytes(), 0o666))
}

// tear FILE BYTES cuts the end off a file, as a disk does that has lost the last writes.
func tear(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tear FILE BYTES")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-n))
}

// mounts reports whether a process can mount a file system of its own here.
func mounts() bool {
	return exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt").Run() == nil
}

// small-disk KIB FOLDER COMMAND… runs a command with a file system of that size at the
// folder, which must fail with exit code 1, and copies what it leaves there to
// FOLDER.left. Its output goes to the files stdout and stderr.
func onSmallDisk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: small-disk KIB FOLDER COMMAND…")
	}
	script := fmt.Sprintf(`mkdir -p %[2]s && mount -t tmpfs -o size=%[1]sk none %[2]s && { "$@"; code=$?; cp -r %[2]s %[2]s.left; exit $code; }`,
		args[0], args[1])
	c := exec.Command("unshare", append([]string{"-rm", "sh", "-c", script, "sh"}, args[2:]...)...)
	c.Dir = ts.MkAbs(".")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), stdout.Bytes(), 0o666))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), stderr.Bytes(), 0o666))
	ts.Logf("%s", stderr.String())
	check(ts, "1", err)
}

// A broken invariant of the program is never the user's fault: its exit code is that of
// a failure, beside points that the user got wrong too.
func TestSweepVerdict(t *testing.T) {
	wrong := sweep.Outcome{Err: errors.New("no layout fits")}
	broken := sweep.Outcome{Err: fmt.Errorf("layout: %w", &work.Panic{Value: "time goes back", Stack: []byte("goroutine 7")})}
	for _, c := range []struct {
		points []sweep.Outcome
		dir    string
		code   int
		says   string
	}{
		{nil, "", exitDone, ""},
		{[]sweep.Outcome{wrong}, "", exitUsage, "1 of 1 points failed"},
		{[]sweep.Outcome{broken, wrong}, "", exitFailure, "2 of 2 points failed, 1 of them by a broken invariant"},
		{[]sweep.Outcome{{}, broken}, "d", exitInterrupted, "1 of 2 points are missing; the same command with --resume goes on"},
	} {
		err := (&sweepFlags{dir: c.dir}).verdict(&sweep.Sweep{Points: c.points})
		code, text := exitDone, ""
		if err != nil {
			code, text = codeOf(err, io.Discard), err.Error()
		}
		if code != c.code || !strings.Contains(text, c.says) || (text == "") != (c.says == "") {
			t.Errorf("got %d %q, want %d %q", code, text, c.code, c.says)
		}
	}
	var stderr bytes.Buffer
	if code := codeOf(broken.Err, &stderr); code != exitFailure || stderr.String() != "goroutine 7" {
		t.Errorf("a broken invariant on a worker: exit %d, %q", code, &stderr)
	}
}

// At any width of a terminal the line fits, and says how much is done; where there is
// room, also what is left and what is in work.
func TestSweepBar(t *testing.T) {
	at := time.Unix(1000, 0)
	b := newSweepBar(nil)
	if got := b.text(at, 80); got != "reading the grid" {
		t.Errorf("at first: %q", got)
	}
	var points []sweep.Point
	for i := range 12 {
		points = append(points, sweep.Point{ID: i, Set: []sweep.Setting{{Path: "workload.rate", Value: strconv.Itoa(10 * i)}}})
	}
	b.count(points, 2)
	b.line.started, b.last = at, at
	b.begin(2)
	b.begin(3)
	if got, want := b.text(at.Add(time.Second), 80), "███░░░░░░░░░░░░░░░░░ 2/12 points  now #2 rate=20 #3 rate=30"; got != want {
		t.Errorf("at the start\n%q, want\n%q", got, want)
	}
	b.end(&sweep.Outcome{ID: 2})
	b.end(&sweep.Outcome{ID: 3, Err: errors.New("no layout fits")})
	b.begin(4)
	b.last = at.Add(10 * time.Second)
	// Two points took 10 s, eight are left: 40 s from then on, 33 s later 7.
	if got, want := b.text(at.Add(43*time.Second), 120), "███████░░░░░░░░░░░░░ 4/12 points, 1 failed  7s left  now #4 rate=40"; got != want {
		t.Errorf("later\n%q, want\n%q", got, want)
	}
	if got := b.text(at.Add(99*time.Second), 120); !strings.Contains(got, " 0s left") {
		t.Errorf("time left is negative: %q", got)
	}
	for id := 5; id < 12; id++ {
		b.begin(id)
	}
	for columns := 2; columns < 200; columns++ {
		if line := cut(b.text(at, columns), columns-1); utf8.RuneCountInString(line) >= columns {
			t.Errorf("%d columns: %q", columns, line)
		}
	}
	if line := cut(b.text(at, 80), 79); !strings.Contains(line, "4/12 points") || !strings.HasSuffix(line, "…") {
		t.Errorf("80 columns: %q", line)
	}
}
