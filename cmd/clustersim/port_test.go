package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// served is a run with a metrics port.
type served struct {
	cmd    *exec.Cmd
	addr   string
	stdout bytes.Buffer
	stderr chan string
}

func serve(t *testing.T, args ...string) *served {
	t.Helper()
	return serving(t, exec.Command("clustersim", append(args, "--metrics-addr", ":0")...))
}

// serving starts a command that has been given a port.
func serving(t *testing.T, c *exec.Cmd) *served {
	t.Helper()
	s := &served{cmd: c, stderr: make(chan string, 1)}
	s.cmd.Stdout = &s.stdout
	errs, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	lines := bufio.NewReader(errs)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	s.addr = strings.TrimSuffix(strings.TrimPrefix(first, "metrics at http://"), "/metrics\n")
	go func() {
		rest, _ := io.ReadAll(lines)
		s.stderr <- string(rest)
	}()
	return s
}

// small is a run that takes about a second.
var small = []string{
	"--model", "llama-3.1-8b", "--topo", "hgx-h100:8", "--mode", "aggregated", "--set", "deployment.serve.tp=1",
	"--set", "deployment.serve.instances=8", "--rate", "20", "--requests", "200", "--speed", "10", "--output", "json",
}

// clients are what may be at the other end of the port. Each is begun again and again
// until the run ends.
var clients = map[string]func(net.Conn){
	"silent":    func(net.Conn) {},
	"half":      func(c net.Conn) { io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n") },
	"slow read": func(c net.Conn) { io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") },
	"pipelining": func(c net.Conn) {
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		io.WriteString(c, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 3000))
	},
	"noise": func(c net.Conn) { io.WriteString(c, strings.Repeat("\x00\xff", 100_000)) },
}

// No client has a say in the result: it is that of a run without a port, to the byte,
// the exit code too, and the program ends.
func TestClientsChangeNothing(t *testing.T) {
	want := text(t, strings.Join(small[:len(small)-4], " ")+" --output json", "")
	for name, do := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			s := serve(t, append(small, "--out", dir)...)
			go func() {
				for { // until the port is gone
					c, err := net.Dial("tcp", s.addr)
					if err != nil {
						return
					}
					do(c)
					t.Cleanup(func() { c.Close() })
					time.Sleep(20 * time.Millisecond)
				}
			}()
			rest := <-s.stderr
			if err := s.cmd.Wait(); err != nil || s.stdout.String() != want {
				t.Errorf("%v, %d bytes of %d: %s", err, s.stdout.Len(), len(want), rest)
			}
			stored, err := os.ReadFile(filepath.Join(dir, "result.json"))
			if err != nil || string(stored) != want {
				t.Errorf("stored %d bytes of %d: %v", len(stored), len(want), err)
			}
		})
	}
}

// The port answers during the layout search, and a port alone is this machine's.
func TestPortIsUpDuringTheSearch(t *testing.T) {
	s := serve(t, "--model", "v4", "--topo", "supernode8912")
	if host, _, err := net.SplitHostPort(s.addr); err != nil || host != "127.0.0.1" {
		t.Errorf("a port alone listens at %s (%v)", s.addr, err)
	}
	reply, err := http.Get("http://" + s.addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	if body := get(t, "http://"+s.addr+"/metrics"); !strings.Contains(body, "clustersim_progress_ratio 0\n") || strings.Contains(body, "vllm:") {
		t.Errorf("the search has metrics of a run, or none: %s", body)
	}
	s.cmd.Process.Signal(os.Interrupt)
	if rest := <-s.stderr; !strings.Contains(rest, "interrupted before there was a result") {
		t.Errorf("it was no search: %s", rest)
	}
}

// Every command that takes a while has a port, which says from the start how much is done.
func TestPortsOfCommands(t *testing.T) {
	system := []string{"--model", "v4", "--topo", "supernode8912"}
	for name, args := range map[string][]string{
		"plan":             append([]string{"plan"}, system...),
		"sweep":            append([]string{"sweep", "--set", "seed=1,2,3"}, system...),
		"validate":         {"validate"},
		"calibrate":        {"calibrate", "--kernels", "-", "--chip", "h100"},
		"calibrate engine": {"calibrate", "engine", "--engine", "vllm", "./cases.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := exec.Command("clustersim", append(args, "--metrics-addr", ":0")...)
			c.Dir = t.TempDir()
			if err := os.WriteFile(filepath.Join(c.Dir, "cases.yaml"), []byte(slowCases), 0o600); err != nil {
				t.Fatal(err)
			}
			stdin, err := c.StdinPipe() // it stays open
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			s := serving(t, c)
			body := get(t, "http://"+s.addr+"/metrics")
			if !strings.Contains(body, "clustersim_progress_ratio 0\n") {
				t.Errorf("got %q", body)
			}
			c.Process.Kill()
			<-s.stderr
			c.Wait()
		})
	}
}

// slowCases is a list of one deployment that takes a while.
const slowCases = `version: 1
cases:
- id: a
  source: made up
  scenario:
    model: llama-3.1-8b
    topology: hgx-h100:8
    workload: {profile: chat, rate: 10, requests: 100000}
    deployment: {mode: aggregated, engine: vllm, serve: {instances: 8, tp: 1}}
  measure: {tpot_ms_p50: 10, ttft_ms_p50: 50}
`

// A sweep's port counts its points, and what is scraped changes nothing.
func TestPortOfASweep(t *testing.T) {
	sweep := []string{"sweep", "--model", "llama-3.1-8b", "--topo", "hgx-h100:8", "--mode", "aggregated", "--set", "deployment.serve.tp=1",
		"--rate", "20", "--requests", "3000", "--set", "seed=1,2,3,4", "--workers", "1", "--output", "csv"}
	want := text(t, strings.Join(sweep, " "), "")
	s := serve(t, sweep...)
	states := regexp.MustCompile(`clustersim_sweep_points\{state="(\w+)"\} (\d+)`)
	silent, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	seen := map[string]bool{}
	for range 10_000 {
		reply, err := http.Get("http://" + s.addr + "/metrics")
		if err != nil {
			break // it has ended
		}
		body, _ := io.ReadAll(reply.Body)
		reply.Body.Close()
		sum := 0
		for _, m := range states.FindAllStringSubmatch(string(body), -1) {
			n, _ := strconv.Atoi(m[2])
			sum += n
			seen[m[1]] = seen[m[1]] || n > 0
		}
		if sum != 0 && sum != 4 {
			t.Errorf("%d points of 4: %s", sum, body)
		}
	}
	<-s.stderr
	if err := s.cmd.Wait(); err != nil || s.stdout.String() != want {
		t.Errorf("%v: %s, want %s", err, s.stdout.String(), want)
	}
	if !seen["running"] || !seen["waiting"] || !seen["finished"] || seen["failed"] {
		t.Errorf("points were %v", seen)
	}
}

// A connection that asks for nothing is closed, so that others get in.
func TestConnectionsAreBounded(t *testing.T) {
	w, err := newObserver(t.Context(), observing{Addr: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for range maxConnections {
		c, err := net.Dial("tcp", w.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	asked := time.Now()
	if got := get(t, "http://"+w.addr.String()+"/healthz"); got != "ok\n" {
		t.Errorf("got %q", got)
	}
	if took := time.Since(asked); took < headerTimeout/2 || took > 3*headerTimeout {
		t.Errorf("took %v: silent connections have %v", took, headerTimeout)
	}
}

// Clients that will not go are cut off; that is all there is to say.
func TestCloseCutsClientsOff(t *testing.T) {
	w, err := newObserver(t.Context(), observing{Addr: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", w.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begun := time.Now()
	if err := w.close(); err != nil && !strings.Contains(err.Error(), "a client was cut off") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begun); took > shutdownGrace+time.Second {
		t.Errorf("took %v", took)
	}
}
