package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"clustersim": main})
}

// TestScripts runs the stories in testdata/script, each in a folder of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"interrupt":  interrupt,
			"signalled":  signalled,
			"tear":       tear,
			"small-disk": onSmallDisk,
		},
		Condition: func(cond string) (bool, error) {
			if cond != "mounts" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return mounts(), nil
		},
		RequireExplicitExec: true,
	})
}

// exits CODE COMMAND… runs a command that must end with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	check(ts, args[0], ts.Exec(args[1], args[2:]...))
}

// interrupt CODE PATTERN COMMAND… sends SIGINT to a command once a file of the pattern
// has something in it; its output goes to the files stdout and stderr.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupt CODE PATTERN COMMAND…")
	}
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	c := exec.Command(path, args[3:]...)
	c.Dir = ts.MkAbs(".")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	ts.Check(c.Start())
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range 3000 {
			if written(ts.MkAbs(args[1])) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		// The process may be gone already; then its exit code tells.
		_ = c.Process.Signal(os.Interrupt)
	}()
	err = c.Wait()
	<-sent
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), stdout.Bytes(), 0o666))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), stderr.Bytes(), 0o666))
	ts.Logf("%s", stderr.String())
	check(ts, args[0], err)
}

// written reports whether a file of the pattern has something in it.
func written(pattern string) bool {
	names, _ := filepath.Glob(pattern)
	return slices.ContainsFunc(names, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && info.Size() > 0
	})
}

func check(ts *testscript.TestScript, want string, err error) {
	code := 0
	var failure *exec.ExitError
	if errors.As(err, &failure) {
		code = failure.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}
