package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/clustersim/clustersim/sim/typeset"
)

// terminalOf opens a terminal of so many columns: what a process writes to tty is read
// from screen.
func terminalOf(t *testing.T, columns uint16) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal can be opened here: %v", err)
	}
	control := func(request uintptr, argument unsafe.Pointer) {
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, screen.Fd(), request, uintptr(argument)); e != 0 {
			t.Fatal(e)
		}
	}
	var number, unlocked uint32
	control(syscall.TIOCGPTN, unsafe.Pointer(&number))
	control(syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked))
	size := [4]uint16{24, columns}
	control(syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Skipf("no terminal can be opened here: %v", err)
	}
	return screen, tty
}

// watched starts a command and gives what it has drawn on a terminal by its end, and after
// how long the first of it.
func watched(t *testing.T, c *exec.Cmd, screen, tty *os.File) (drawn string, first time.Duration) {
	t.Helper()
	started := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	defer screen.Close()
	var text bytes.Buffer
	buffer := make([]byte, 1<<16)
	for {
		n, err := screen.Read(buffer) // fails once nobody has the terminal open
		if n > 0 && first == 0 {
			first = time.Since(started)
		}
		text.Write(buffer[:n])
		if err != nil {
			return text.String(), first
		}
	}
}

// fitting are the lines that were drawn over each other, none of which wraps.
func fitting(t *testing.T, drawn string, columns uint16) []string {
	t.Helper()
	lines := strings.FieldsFunc(drawn, func(r rune) bool { return r == '\r' || r == '\n' })
	for _, line := range lines {
		if utf8.RuneCountInString(line) >= int(columns) {
			t.Errorf("%d columns: %q would wrap", columns, line)
		}
	}
	return lines
}

// Every command that takes more than a second says what it is at, on a line that fits.
func TestProgressOnATerminal(t *testing.T) {
	path, err := exec.LookPath("clustersim")
	if err != nil {
		t.Fatal(err)
	}
	system := []string{"--model", "llama-3.1-8b", "--topo", "hgx-h100:8", "--mode", "aggregated", "--set", "deployment.serve.tp=1"}
	for want, args := range map[string][]string{
		"simulated ":        append(system, "--set", "deployment.serve.instances=8", "--rate", "20", "--requests", "2000000"),
		"searching layouts": {"plan", "--model", "v4", "--topo", "supernode8912", "--set", "workload.input_tokens=100000"},
		"runs":              {"validate", "./cases.yaml"},
	} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			const columns = 60
			screen, tty := terminalOf(t, columns)
			ctx, cancel := context.WithTimeout(t.Context(), 4*progressAfter)
			defer cancel()
			c := exec.CommandContext(ctx, path, args...)
			c.Dir, c.Stderr = t.TempDir(), tty
			if err := os.WriteFile(filepath.Join(c.Dir, "cases.yaml"), []byte(strings.ReplaceAll(slowCases, "100000", "5000000")), 0o600); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			drawn, _ := watched(t, c, screen, tty)
			_ = c.Wait() // it was stopped, unless it was quick
			if fitting(t, drawn, columns); !strings.Contains(drawn, want) && time.Since(begun) > 2*progressAfter {
				t.Errorf("%q is not shown: %q", want, drawn)
			}
		})
	}
}

// On a terminal a sweep shows one line from the first second on, which never wraps at its
// width, says how many points are done, what is left and what is in work, and is gone at
// the end.
func TestSweepOnATerminal(t *testing.T) {
	path, err := exec.LookPath("clustersim")
	if err != nil {
		t.Fatal(err)
	}
	for _, columns := range []uint16{80, 48, 20} {
		screen, tty := terminalOf(t, columns)
		c := exec.Command(path, "sweep", "--model", "llama-3.1-8b", "--topo", "hgx-h100:8", "--mode", "aggregated", "--requests", "12000",
			"--set", "deployment.serve.tp=1", "--set", "workload.rate=20,21,22,23", "--workers", "1", "--output", "csv")
		var stdout bytes.Buffer
		c.Stdout, c.Stderr = &stdout, tty
		drawn, first := watched(t, c, screen, tty)
		if err := c.Wait(); err != nil || strings.Count(stdout.String(), "\n") != 5 {
			t.Errorf("%d columns: %v\n%s", columns, err, &stdout)
		}
		if strings.Contains(drawn, "\n") {
			t.Errorf("%d columns: more than a line: %q", columns, drawn)
		}
		lines := fitting(t, drawn, columns)
		if last := lines[max(0, len(lines)-1):]; strings.TrimSpace(strings.Join(last, "")) != "" {
			t.Errorf("%d columns: not cleared: %q", columns, last)
		}
		want := []string{"0/4 points"}
		if columns == 80 {
			want = append(want, " left", "now #0 tp=1 rate=20")
		}
		for _, w := range want {
			if !strings.Contains(drawn, w) {
				t.Errorf("%d columns: %q is never shown: %q", columns, w, drawn)
			}
		}
		if !regexp.MustCompile(`[123]/4 points`).MatchString(drawn) { // two may end between two drawings
			t.Errorf("%d columns: no point that is done is shown: %q", columns, drawn)
		}
		if first > 5*time.Second { // the process's start on a busy machine included
			t.Errorf("%d columns: the first line after %v", columns, first)
		}
	}
}

// What is printed fits a terminal, table by table; to a pipe it is the same whatever
// terminal there is.
func TestOutputFitsATerminal(t *testing.T) {
	system := " --model llama-3.1-8b --topo hgx-h100:8"
	for _, args := range []string{
		"run" + system + " --rate 5 --requests 50", "plan" + system + " --all", "plan --model v4 --topo supernode8912", "topo show supernode8912", "topo list",
		"sweep" + system + " --rate 5 --requests 20 --set seed=1,2 --set workload.input_tokens=100,200", "chip show h100", "chip list", "model list", "model show v4",
		"explain --model v4 --topo supernode8912 --batch 8 --context 16384", "validate ascend --limit 2", "router list", "sweep --help",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			const columns = 80
			screen, tty := terminalOf(t, columns)
			c := exec.Command("clustersim", strings.Fields(args)...)
			c.Stdout = tty
			drawn, _ := watched(t, c, screen, tty)
			if err := c.Wait(); err != nil || drawn == "" {
				t.Fatalf("%v: %s", err, drawn)
			}
			example := false // commands to copy are not broken
			for line := range strings.Lines(drawn) {
				line = strings.TrimRight(line, "\r\n")
				example = strings.HasPrefix(line, "Examples:") || example && !strings.HasSuffix(line, ":")
				if n := utf8.RuneCountInString(line); n > columns && !example {
					t.Errorf("%d of %d columns: %s", n, columns, line)
				}
			}
			if strings.Contains(args, "--help") {
				return
			}
			piped := exec.Command("clustersim", strings.Fields(args)...)
			piped.Env = append(os.Environ(), "COLUMNS=200")
			out, err := piped.Output()
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(out)) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > typeset.Default {
					t.Errorf("piped, %d columns: %s", n, line)
				}
			}
		})
	}
}
