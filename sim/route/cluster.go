package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/net"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/traces"
)

// Config is a cluster and what is asked of it. All of it is fixed for the run.
type Config struct {
	Seed  uint64
	Pools []Pool // one that serves (aggregated), or prefill and decode
	// Policy picks ranks in both pools, by a router of its own in each; Weight is that of a
	// policy that has one.
	Policy   *policy.Policy
	Weight   float64
	Handover Handover // from prefill to decode; unused when aggregated
	Drafting serve.Drafting

	Source   traces.Source      // open loop, or
	Loop     *traces.ClosedLoop // closed loop
	FrontEnd des.Time           // from arrival to queue: HTTP, tokenisation

	// RejectTooLong counts a request that no rank can hold as rejected, unless most
	// are; otherwise one ends the run with a TooLongError.
	RejectTooLong bool

	// Measured requests are the first Measure ones after the warm-up, or those that
	// arrive in the first MeasureUntil after it; all when both are 0. The run ends when all of them have
	// finished; when requests end before that, it ends with the last.
	Measure      int64
	MeasureUntil des.Time
	// Cut ends the run already when all but this share of the measured requests
	// have finished, and the others have been in flight for longer than the 99th
	// percentile of E2E: that percentile and those below it are exact then.
	Cut float64
	// Lives is how many mean lives (from a request to its client's next) a closed loop's
	// window lasts at least. Its clients go on until it has, and Measure requests have
	// ended in it. With 0 the loop ends when its requests do and is measured whole.
	Lives float64
	// Whole has an open loop measured whole, whether its queue grows or not.
	Whole bool
	// Spare are the requests beyond twice those in the queue that may join it when all to be
	// measured have arrived: others wait outside of the cluster.
	Spare   int64
	Initial []Initial // decoding at the end of the warm-up
	// Warmup lets prompts queue before anything counts; then the measured window opens. What
	// a prefill pool finishes too early to be under way then is among Initial already and ends
	// there, and Initial starts to decode at its end. Where one pool does both it does so at once.
	Warmup des.Time

	// MostTime and MostEvents stop a run that would not end: it is partial. 0 is none.
	MostTime   des.Time
	MostEvents int64

	Observe         func(*metrics.Snapshot) (stop bool)
	ObserveEvents   int64
	ObserveInterval des.Time
	OnRequest       func(*metrics.Completion)
}

// Pool is a number of equal instances.
type Pool struct {
	Name      string
	Spec      *serve.Spec
	Instances int
}

// Initial is a request that is decoding when the run starts: Age tokens of its
// answer are out.
type Initial struct{ Input, Output, Age int32 }

// Handover is the way of a request's cache from a prefill to a decode instance.
type Handover struct {
	Latency des.Time // before the first byte moves: the engine's software and the wire
	// Rate bounds one transfer, Egress and Ingress what leaves a prefill rank and
	// what reaches a decode rank, bytes a second.
	Rate, Egress, Ingress float64
	Tier                  int // of the topology that it crosses
}

// Cluster is the state of a run.
type Cluster struct {
	cfg      Config
	recorder *metrics.Recorder
	table    serve.Table
	pools    []pool
	clock    *des.Winner
	now      des.Time
	events   int64
	stopped  bool
	reason   string // of that

	arrivals arrivals
	number   uint64 // of the next request
	rejected uint64 // requests that no rank can hold
	longest  int64  // tokens of the longest request that has arrived, answer included
	measured int64  // measured requests that have arrived
	finished int64  // of these, finished
	closed   bool   // the last arrival of an open loop has come
	most     int64  // requests that may queue from then on, 0 for no limit
	atMost   int64  // as many queue, or fewer
	line     Queue
	window   Window
	steady   steady
	lastIn   des.Time // arrival of the last measured request
	cutAt    des.Time // no look at what a cut would leave out before then

	waiting fifo   // prefilled, for a place to decode
	moving  agenda // handed over, before their first byte moves
	net     *net.Net
	moved   float64 // bytes over it that have been booked
	done    []int32

	completed metrics.Completion // the last; OnRequest sees it until it returns
	z         des.Key            // normal draws for drafting, by request number
}

// NewCluster builds an idle cluster. The recorder's pools are the config's.
func NewCluster(cfg Config, recorder *metrics.Recorder) *Cluster {
	c := &Cluster{cfg: cfg, recorder: recorder, z: des.NewKey(cfg.Seed, "drafting")}
	c.arrivals = arrivals{source: cfg.Source, loop: cfg.Loop, endless: c.steadily(), frontEnd: cfg.FrontEnd}
	c.pools = make([]pool, len(cfg.Pools))
	entities := 0
	for i, p := range cfg.Pools {
		q := &c.pools[i]
		q.Pool, q.first = p, entities
		board := serve.NewBoard(p.Instances, p.Spec.Ranks)
		shared := serve.Shared{Table: &c.table, Board: board, Recorder: recorder, KVBytes: &q.kvBytes}
		for id := range p.Instances {
			q.instances = append(q.instances, serve.New(p.Spec, shared, id))
		}
		q.open(board, &cfg)
		entities += p.Instances
	}
	c.clock = des.NewWinner(2*entities + 4)
	if len(c.pools) == 2 {
		c.net = net.New(c.ports())
	}
	return c
}

// ports are the capacities of the links of the hand-over: an egress for every
// prefill rank, then an ingress for every decode rank.
func (c *Cluster) ports() []float64 {
	from, to := &c.pools[0], &c.pools[1]
	ports := make([]float64, 0, from.Instances*from.Spec.Ranks+to.Instances*to.Spec.Ranks)
	for range from.Instances * from.Spec.Ranks {
		ports = append(ports, c.cfg.Handover.Egress)
	}
	for range to.Instances * to.Spec.Ranks {
		ports = append(ports, c.cfg.Handover.Ingress)
	}
	return ports
}

// The entities of the clock, lowest first at equal times: ends of steps, transfers,
// arrivals, starts of steps, the observer, the end of the warm-up. A step that starts at a moment sees all
// that happened at it.
func (c *Cluster) instances() int {
	last := &c.pools[len(c.pools)-1]
	return last.first + last.Instances
}
func (c *Cluster) transferEntity() int { return c.instances() }
func (c *Cluster) arrivalEntity() int  { return c.instances() + 1 }
func (c *Cluster) startEntity() int    { return c.instances() + 2 }
func (c *Cluster) observeEntity() int  { return 2*c.instances() + 2 }
func (c *Cluster) warmupEntity() int   { return 2*c.instances() + 3 }

// Run lets the cluster run until every measured request has finished, the context
// ends or the observer stops it; the last two leave the run partial.
func (c *Cluster) Run(ctx context.Context) (partial bool, err error) {
	if err := c.arrivals.start(); err != nil {
		return false, err
	}
	if c.cfg.Warmup > 0 {
		c.clock.Set(c.warmupEntity(), c.cfg.Warmup)
	}
	if c.cfg.Warmup == 0 || len(c.pools) == 1 {
		c.begin()
	}
	c.clock.Set(c.arrivalEntity(), c.arrivals.at())
	if c.cfg.Observe != nil && c.cfg.ObserveInterval > 0 {
		c.clock.Set(c.observeEntity(), c.cfg.ObserveInterval)
	}
	if ctx.Err() != nil {
		c.stop(Interrupted)
	}
	for !c.over() {
		entity, t := c.clock.Next()
		if t == des.Never {
			if n := c.table.InFlight(); n > 0 {
				c.stop("nothing happens any more within the clock's 292 years, with %d requests in flight", n)
			}
			break
		}
		if t < c.now {
			panic(c.broken(fmt.Sprintf("time goes back to %d", t)))
		}
		if c.beyond(t) {
			break
		}
		c.now = t
		if err := c.act(entity); err != nil {
			if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
				return false, err
			}
			c.stop(Interrupted) // while it waited for a request
		}
		c.events++
		if c.cfg.Observe != nil && c.events%max(1, c.cfg.ObserveEvents) == 0 {
			c.observe()
		}
		if c.events&1023 == 0 && ctx.Err() != nil {
			c.stop(Interrupted)
		}
	}
	c.end()
	return c.stopped, nil
}

// Interrupted is the reason of a run that its caller ended.
const Interrupted = "interrupted"

// beyond stops a run whose next event lies beyond what it may take.
func (c *Cluster) beyond(next des.Time) bool {
	switch most := c.cfg.MostTime; {
	case most > 0 && next > most:
		c.now = most
		c.stop("the limit of %v of simulated time is reached", time.Duration(most))
	case c.cfg.MostEvents > 0 && c.events >= c.cfg.MostEvents:
		c.stop("the limit of %d events is reached", c.events)
	}
	return c.stopped
}

func (c *Cluster) act(entity int) error {
	switch {
	case entity < c.transferEntity():
		c.finishStep(entity)
	case entity == c.transferEntity():
		c.transfer()
	case entity == c.arrivalEntity():
		return c.arrive()
	case entity < c.observeEntity():
		c.startStep(entity - c.startEntity())
	case entity == c.warmupEntity():
		c.clock.Set(entity, des.Never)
		c.bookIdle()
		c.recorder.OpenWindow(c.now)
		c.recorder.Restart()
		c.line.Before = c.queued()
		if len(c.pools) == 2 {
			c.begin()
		}
	default:
		c.observe()
		c.clock.Set(entity, c.now+c.cfg.ObserveInterval)
	}
	return nil
}

// over reports that the run has what it was for.
func (c *Cluster) over() bool {
	if c.stopped {
		return true
	}
	if c.steadily() {
		return c.loopMeasured()
	}
	if c.arrivals.over() && c.table.InFlight() == 0 {
		return c.arrivals.at() == des.Never
	}
	return c.enough() && (c.finished == c.measured || c.cut())
}

// cut ends the run early, as Config.Cut says, and books what it cuts off.
func (c *Cluster) cut() bool {
	left := c.measured - c.finished
	if c.cfg.Cut == 0 || float64(left) > c.cfg.Cut*float64(c.measured) || c.now < c.cutAt {
		return false
	}
	if p99 := c.recorder.E2EP99(); c.now-c.lastIn <= p99 {
		c.cutAt = c.lastIn + p99 + 1
		return false
	}
	decoding, all := c.table.Decoding(nil)
	if !all {
		c.cutAt = c.now + 1_000_000_000
		return false
	}
	slices.SortFunc(decoding, func(a, b int32) int { return cmp.Compare(c.table.At(a).Number, c.table.At(b).Number) })
	p := c.serving()
	for _, h := range decoding {
		r := c.table.At(h)
		tokens, steps, at := p.instances[r.Instance].Emitted(h)
		r.Cut(at)
		done := c.completion(r, at)
		done.OutputTokens, done.Gaps = tokens, steps
		c.recorder.Cut(&done)
	}
	c.finished = c.measured
	return true
}

// enough reports that every request to be measured has arrived.
func (c *Cluster) enough() bool {
	switch {
	case c.cfg.Measure > 0:
		return c.measured >= c.cfg.Measure
	case c.cfg.MeasureUntil > 0:
		return c.arrivals.at() >= c.cfg.Warmup+c.cfg.MeasureUntil+c.cfg.FrontEnd
	}
	return false
}

// end books what is still open and checks that no request was lost or made up.
func (c *Cluster) end() {
	c.settleWindow()
	c.bookIdle()
	counts := c.recorder.Requests()
	counts.InFlight = c.table.InFlight()
	if counts.Initial+counts.Arrived != counts.Completed+counts.Rejected+counts.Lost+counts.InFlight {
		panic(c.broken(fmt.Sprintf("requests are not conserved: %+v", counts)))
	}
}

func (c *Cluster) bookIdle() {
	for i := range c.pools {
		for _, in := range c.pools[i].instances {
			in.BookIdle(c.now)
		}
	}
	c.bookMoved()
}

// bookMoved books the bytes of caches that have been handed over since it last did.
func (c *Cluster) bookMoved() {
	if c.net == nil {
		return
	}
	moved := c.net.Moved(c.now)
	c.recorder.Moved(0, 1, c.cfg.Handover.Tier, moved-c.moved)
	c.moved = moved
}

// Now is the simulated time.
func (c *Cluster) Now() des.Time { return c.now }

// InFlight is the number of requests that have not finished.
func (c *Cluster) InFlight() int64 { return c.table.InFlight() }

func (c *Cluster) broken(what string) string {
	return fmt.Sprintf("route: %s (seed %d, time %d ns, event %d)", what, c.cfg.Seed, c.now, c.events)
}

// serving is the pool that decodes, prefilling the one that takes arrivals; they are
// the same when aggregated.
func (c *Cluster) serving() *pool    { return &c.pools[len(c.pools)-1] }
func (c *Cluster) prefilling() *pool { return &c.pools[0] }

func (c *Cluster) observe() {
	var s metrics.Snapshot
	c.bookMoved()
	c.recorder.Fill(&s)
	s.Now, s.Events, s.Target, s.TargetTime = c.now, c.events, c.cfg.Measure, c.cfg.MeasureUntil
	if c.steadily() {
		s.Target = max(s.Target, int64(c.cfg.Lives*float64(c.cfg.Loop.Concurrency)))
	}
	s.AllArrived = c.closed
	s.Requests.InFlight = c.table.InFlight()
	for i := range c.pools {
		p := &c.pools[i]
		for _, in := range p.instances {
			s.Instances = append(s.Instances, metrics.Instance{
				Pool: i, Running: in.Running(), Waiting: in.Waiting(),
				KVUsed: in.KV(), KVCapacity: p.Spec.Memory.Free * int64(p.Spec.Ranks),
			})
		}
	}
	if c.cfg.Observe(&s) {
		c.stop(Interrupted)
	}
}

// Unfinished is the number of measured requests that have not finished.
func (c *Cluster) Unfinished() int64 { return c.measured - c.finished }

// Longest is the tokens of the longest request that has arrived, answer included.
func (c *Cluster) Longest() int64 { return c.longest }
