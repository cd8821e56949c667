package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
)

// observing is how a run is watched while it goes.
type observing struct {
	Addr     string    // of the Prometheus endpoint; empty for none
	Speed    float64   // simulated seconds a wall second; 0 is as fast as possible
	Model    string    // label of the engine's metrics
	Tiers    []string  // the topology's tiers, innermost first
	Progress io.Writer // where the progress line goes; nil for none
}

// pacingTick is how much wall time passes between two observations of a paced run:
// short against a scrape interval, and against a person's patience after Ctrl-C.
const pacingTick = 50 * time.Millisecond

// The simulated seconds a wall second that a run can be paced to.
const slowest, fastest = 1e-6, 1e9

// shutdownGrace is how long a scrape that is under way may take at the end.
const shutdownGrace = 2 * time.Second

// observer is what the engine shows its snapshots to: it publishes them to the
// endpoint, paces simulated against wall time and draws the progress line. Wall
// time lives here and nowhere else.
type observer struct {
	ctx      context.Context
	speed    float64
	started  time.Time
	paceFrom time.Time // wall time of the first snapshot, and its simulated time
	paceSim  des.Time
	pacing   bool
	latest   atomic.Pointer[published]
	progress *progress
	server   *http.Server
	served   chan error
	addr     net.Addr // of the endpoint, nil without
}

// published is one snapshot with what only the wall clock knows.
type published struct {
	snapshot *metrics.Snapshot
	speed    float64 // simulated seconds a wall second since the start
}

// newObserver starts to watch; with an address it listens before it returns, so
// that one in use is an error before the run.
func newObserver(ctx context.Context, o observing) (*observer, error) {
	if o.Speed != 0 && !(o.Speed >= slowest && o.Speed <= fastest) {
		return nil, fmt.Errorf("--speed: must be 0 (as fast as possible) or from %g to %g, got %g", slowest, fastest, o.Speed)
	}
	w := &observer{ctx: ctx, speed: o.Speed, started: time.Now()}
	if o.Progress != nil {
		w.progress = &progress{out: o.Progress, started: w.started}
	}
	if o.Addr == "" {
		return w, nil
	}
	if _, err := net.ResolveTCPAddr("tcp", o.Addr); err != nil {
		return nil, fmt.Errorf("--metrics-addr: want HOST:PORT or :PORT: %w", err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(newExporter(o.Model, o.Tiers, w.latest.Load)); err != nil {
		return nil, failed(fmt.Errorf("metrics: %w", err))
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, failed(fmt.Errorf("--metrics-addr %s: %w", o.Addr, err))
	}
	w.addr = listener.Addr()
	w.server = &http.Server{Handler: endpoint(registry), ReadHeaderTimeout: shutdownGrace}
	w.served = make(chan error, 1)
	go func() { w.served <- w.server.Serve(listener) }()
	return w, nil
}

func endpoint(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "clustersim: a simulated cluster; metrics are at /metrics")
	})
	return mux
}

// interval is the simulated time after which the engine should show its state again:
// a tick of wall time when paced, otherwise none.
func (w *observer) interval() des.Time {
	return des.FromSeconds(w.speed * pacingTick.Seconds())
}

// observe takes a snapshot, which the engine must not touch again, and says whether
// the run should stop.
func (w *observer) observe(s *metrics.Snapshot) (stop bool) {
	w.pace(s.Now)
	now := time.Now()
	p := &published{snapshot: s}
	if wall := now.Sub(w.started).Seconds(); wall > 0 {
		p.speed = s.Now.Seconds() / wall
	}
	w.latest.Store(p)
	if w.progress != nil {
		w.progress.show(s, p.speed, now)
	}
	return w.ctx.Err() != nil
}

// pace sleeps until wall time has caught up with simulated time.
func (w *observer) pace(now des.Time) {
	if w.speed == 0 {
		return
	}
	if !w.pacing {
		w.pacing, w.paceFrom, w.paceSim = true, time.Now(), now
	}
	due := w.paceFrom.Add(time.Duration(float64(now-w.paceSim) / w.speed))
	ahead := time.Until(due)
	if ahead <= 0 {
		return
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.ctx.Done():
	}
}

// close clears the progress line and shuts the endpoint down; scrapes that are
// under way see the last snapshot.
func (w *observer) close() error {
	if w.progress != nil {
		w.progress.clear()
	}
	if w.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	err := w.server.Shutdown(ctx)
	if served := <-w.served; !errors.Is(served, http.ErrServerClosed) && err == nil {
		err = served
	}
	if err != nil {
		return failed(fmt.Errorf("metrics endpoint: %w", err))
	}
	return nil
}
