package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
)

func get(t *testing.T, url string) string {
	t.Helper()
	reply, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", url, reply.Status, err, body)
	}
	return string(body)
}

func TestEndpoint(t *testing.T) {
	w, err := newObserver(t.Context(), observing{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + w.addr.String()
	if got := get(t, base+"/metrics"); !strings.HasSuffix(got, "\nclustersim_progress_ratio 0\n") || strings.Count(got, "\n") != 3 {
		t.Errorf("before the first snapshot: %s", got)
	}
	w.begin("m", nil)
	if w.observe(snapshot(3e9)) {
		t.Error("stopped")
	}
	if got := get(t, base+"/metrics"); !strings.Contains(got, "clustersim_simulated_seconds_total 3\n") ||
		!strings.Contains(got, `vllm:num_requests_running{instance="0",model_name="m",pool="prefill"} 1`) {
		t.Errorf("got %s", got)
	}
	if got := get(t, base+"/healthz"); got != "ok\n" {
		t.Errorf("healthz: %q", got)
	}
	if got := get(t, base+"/"); !strings.Contains(got, "/metrics") {
		t.Errorf("root: %q", got)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(base + "/healthz"); err == nil {
		t.Error("still serving after close")
	}
}

// Scrapes and snapshots from two goroutines: for the race detector.
func TestScrapeDuringTheRun(t *testing.T) {
	w, err := newObserver(t.Context(), observing{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for i := range 200 {
			w.observe(snapshot(des.Time(i)))
		}
	})
	for range 20 {
		get(t, "http://"+w.addr.String()+"/metrics")
	}
	group.Wait()
	if err := w.close(); err != nil {
		t.Error(err)
	}
}

func TestEndpointErrors(t *testing.T) {
	first, err := newObserver(t.Context(), observing{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	_, err = newObserver(t.Context(), observing{Addr: first.addr.String()})
	var e exit
	if !errors.As(err, &e) || e.code != 1 || !strings.Contains(err.Error(), "--metrics-addr "+first.addr.String()) ||
		!strings.Contains(err.Error(), "address already in use") {
		t.Errorf("address in use: %v", err)
	}
	for _, c := range []struct {
		o    observing
		want string
	}{
		{observing{Addr: "9464"}, "HOST:PORT"}, {observing{Addr: "[::1"}, "HOST:PORT"}, {observing{Addr: ":99999"}, "HOST:PORT"},
		{observing{Speed: -1}, "--speed"}, {observing{Speed: math.NaN()}, "--speed"}, {observing{Speed: math.Inf(1)}, "--speed"},
	} {
		if _, err := newObserver(t.Context(), c.o); err == nil || errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want a usage error with %q", c.o, err, c.want)
		}
	}
}

func TestPacing(t *testing.T) {
	w, err := newObserver(t.Context(), observing{Speed: 20})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.interval(); got != des.FromSeconds(20*pacingTick.Seconds()) {
		t.Errorf("interval %d", got)
	}
	started := time.Now()
	for i := range 5 {
		w.observe(snapshot(5e9 + des.Time(i)*1e9)) // a run need not start at 0
	}
	if took := time.Since(started); took < 200*time.Millisecond {
		t.Errorf("4 s at speed 20 took %v of wall time", took)
	}
	if unpaced := (&observer{}).interval(); unpaced != 0 {
		t.Errorf("unpaced interval %d", unpaced)
	}
}

func TestInterruptEndsPacing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w, err := newObserver(ctx, observing{Speed: 1e-3})
	if err != nil {
		t.Fatal(err)
	}
	if w.observe(snapshot(0)) {
		t.Error("stopped before the interrupt")
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if !w.observe(snapshot(3600e9)) { // due in 41 days
		t.Error("did not stop")
	}
}

func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		s    metrics.Snapshot
		want string
	}{
		{metrics.Snapshot{Now: 30e9, Target: 1000, Measured: 250},
			"█████░░░░░░░░░░░░░░░  25 %  simulated 30.0 s  measured 250/1000  3× real time  30s left"},
		{metrics.Snapshot{Now: 90e9, TargetTime: 100e9, Requests: metrics.Counts{Completed: 7}},
			"██████████████████░░  90 %  simulated 90.0 s  completed 7  3× real time  1s left"},
		{metrics.Snapshot{Now: 1e9}, "simulated 1.0 s  completed 0  3× real time"},
		{metrics.Snapshot{Target: 10, Measured: 12},
			"████████████████████ 100 %  simulated 0.0 s  measured 12/10  3× real time  0s left"},
	} {
		if got := progressLine(&c.s, 3, 10*time.Second, 120); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestProgressIsSilentAtFirstAndCleansUp(t *testing.T) {
	var out bytes.Buffer
	at := time.Unix(1000, 0)
	p := &progress{out: &out, started: at}
	s := &metrics.Snapshot{Now: 1e9, Target: 10, Measured: 5}
	p.show(s, 1, at.Add(progressAfter-1))
	p.clear()
	if out.Len() != 0 {
		t.Fatalf("a short run shows %q", out.String())
	}
	p.show(s, 1, at.Add(progressAfter))
	once := out.Len()
	p.show(s, 1, at.Add(progressAfter+progressEvery-1))
	if once == 0 || out.Len() != once {
		t.Errorf("drawn at once again, or never: %q", out.String())
	}
	p.clear()
	text := out.String()
	last := text[strings.LastIndex(strings.TrimSuffix(text, "\r"), "\r"):]
	if strings.TrimSpace(last) != "" || !strings.HasSuffix(text, "\r") {
		t.Errorf("not cleared: %q", last)
	}
	if terminal(&out) != nil {
		t.Error("a buffer is no terminal")
	}
}
