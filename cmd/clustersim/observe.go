package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
)

// observing is how a run is watched while it goes.
type observing struct {
	Addr     string    // of the Prometheus endpoint; empty for none
	Speed    float64   // simulated seconds a wall second; 0 is as fast as possible
	Progress io.Writer // where the progress line goes; nil for none
}

// pacingTick is how much wall time passes between two observations of a paced run:
// short against a scrape interval, and against a person's patience after Ctrl-C.
const pacingTick = 50 * time.Millisecond

// The simulated seconds a wall second that a run can be paced to.
const slowest, fastest = 1e-6, 1e9

// What a client of the endpoint may take: nobody holds a connection for nothing, all
// together no more than some, and a scrape that is under way at the end has a second.
const (
	headerTimeout  = 2 * time.Second
	requestTimeout = 5 * time.Second
	answerTimeout  = 10 * time.Second
	idleTimeout    = 30 * time.Second
	shutdownGrace  = time.Second
	maxConnections = 64
	maxHeader      = 1 << 14
)

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
	model    string   // label of the engine's metrics
	tiers    []string // the topology's, innermost first
	latest   atomic.Pointer[published]
	advanced atomic.Pointer[advance]
	progress *progress
	server   *http.Server
	served   chan error
	addr     net.Addr // of the endpoint, nil without
}

// published is one snapshot with what only the wall clock knows.
type published struct {
	snapshot *metrics.Snapshot
	speed    float64 // simulated seconds a wall second since the start
	model    string
	tiers    []string
}

// advance is how far a command has come.
type advance struct {
	ratio  float64        // of its work that is done
	points map[string]int // of a sweep, by state; nil of anything else
}

// advance publishes how far the command has come.
func (w *observer) advance(a advance) { w.advanced.Store(&a) }

// addMetricsFlag declares --metrics-addr.
func addMetricsFlag(c *cobra.Command, addr *string) {
	c.Flags().StringVar(addr, "metrics-addr", "", "serve Prometheus metrics at `ADDRESS` from the first second to the last: :9464 for this machine alone, 0.0.0.0:9464 for others too")
}

// watch is newObserver for a command: it says where the metrics are, and what it returns
// closes the endpoint when the result has been delivered.
func watch(c *cobra.Command, o observing) (w *observer, end func(), err error) {
	if w, err = newObserver(c.Context(), o); err != nil {
		return nil, nil, err
	}
	if w.addr != nil {
		fmt.Fprintf(c.ErrOrStderr(), "metrics at http://%s/metrics\n", w.addr)
	}
	return w, func() {
		if e := w.close(); e != nil {
			c.PrintErrln("warning: " + e.Error())
		}
	}, nil
}

// newObserver starts to watch; with an address it listens before it returns, so
// that one in use is an error before there is work.
func newObserver(ctx context.Context, o observing) (*observer, error) {
	if o.Speed != 0 && !(o.Speed >= slowest && o.Speed <= fastest) {
		return nil, fmt.Errorf("--speed: must be 0 (as fast as possible) or from %g to %g, got %g", slowest, fastest, o.Speed)
	}
	w := &observer{ctx: ctx, speed: o.Speed, started: time.Now()}
	w.advance(advance{})
	if o.Progress != nil {
		w.progress = &progress{out: o.Progress, started: w.started}
	}
	if o.Addr == "" {
		return w, nil
	}
	return w, w.listen(o.Addr)
}

// begin is when the run itself begins: what came before, such as a layout search, is
// no part of its speed.
func (w *observer) begin(model string, tiers []string) {
	w.model, w.tiers, w.started = model, tiers, time.Now()
	if w.progress != nil {
		w.progress.started = w.started
	}
}

// loopback is where a port alone listens: only whoever asks for more is open to others.
const loopback = "127.0.0.1"

func (w *observer) listen(addr string) error {
	if _, err := net.ResolveTCPAddr("tcp", addr); err != nil {
		return fmt.Errorf("--metrics-addr: want :PORT (this machine alone) or HOST:PORT: %w", err)
	}
	at := addr
	if at[0] == ':' {
		at = loopback + at
	}
	registry := prometheus.NewPedanticRegistry()
	exporter := newExporter(w.latest.Load)
	exporter.come = w.advanced.Load
	if err := registry.Register(exporter); err != nil {
		return failed(fmt.Errorf("metrics: %w", err))
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return failed(fmt.Errorf("--metrics-addr %s: %w", addr, err))
	}
	w.addr = listener.Addr()
	w.server = &http.Server{
		Handler: endpoint(registry), ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout,
		WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(io.Discard, "", 0), // a client's faults are its own
	}
	w.served = make(chan error, 1)
	go func() { w.served <- w.server.Serve(newLimited(listener, maxConnections)) }()
	return nil
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
	p := &published{snapshot: s, model: w.model, tiers: w.tiers}
	if wall := now.Sub(w.started).Seconds(); wall > 0 {
		p.speed = s.Now.Seconds() / wall
	}
	w.latest.Store(p)
	w.advance(advance{ratio: done(s)})
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

// end clears the progress line: what is printed next stands alone.
func (w *observer) end() {
	if w.progress != nil {
		w.progress.clear()
	}
}

// close shuts the endpoint down. Scrapes that are under way see the last snapshot;
// clients that do not end by then are cut off. What it returns is worth a warning: by
// now the result is where it belongs, and no client has a say in it.
func (w *observer) close() error {
	w.end()
	if w.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	err := w.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("a client was cut off")
	}
	err = errors.Join(err, w.server.Close())
	if served := <-w.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("metrics endpoint: %w", err)
	}
	return nil
}

// limited lets so many connections be open at a time; others wait to be accepted.
type limited struct {
	net.Listener
	room   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimited(l net.Listener, most int) *limited {
	return &limited{Listener: l, room: make(chan struct{}, most), closed: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &counted{Conn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// counted is a connection that leaves its room when it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
