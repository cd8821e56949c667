package traces

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"github.com/clustersim/clustersim/sim/des"
)

// Drawer gives the lengths of a workload's requests by number, in any order,
// without arrivals: request i of the Source that Generate makes has the lengths
// of Draw(i).
type Drawer struct {
	input, output Dist
	lengths       des.Key // draws of request number i, or of turn number i
	inFlight      des.Key
	prompts       des.Key // lengths of what requests in flight had said
	sessions      *sessionPlan
}

// Draw indices of one owner.
const (
	drawInput = iota
	drawOutput
	drawOutputSecond
	drawAge
)

// Drawer resolves the workload and returns its lengths.
func (w Workload) Drawer() (Drawer, error) {
	w, err := w.Resolve()
	if err != nil {
		return Drawer{}, err
	}
	d := Drawer{input: w.Input, output: w.Output,
		lengths: des.NewKey(w.Seed, "lengths"), inFlight: des.NewKey(w.Seed, "in flight"), prompts: des.NewKey(w.Seed, "prompts in flight")}
	if w.Sessions != nil {
		d.sessions = newSessionPlan(w)
	}
	return d, nil
}

// Draw is the prompt and output length of request number i.
func (d Drawer) Draw(number int64) (input, output int32) {
	if d.sessions != nil {
		return d.sessions.draw(&d, number)
	}
	return d.turnInput(number), d.turnOutput(number)
}

func (d Drawer) turnInput(number int64) int32 {
	return d.input.Tokens(d.lengths.Uniform(uint64(number), drawInput))
}

func (d Drawer) turnOutput(number int64) int32 {
	return d.output.Tokens(d.lengths.Uniform(uint64(number), drawOutput))
}

// LengthBiased draws in-flight request number i of a stationary system in which
// every token takes the same time: its output is found with probability in
// proportion to its length (Dist.Biased), and its age, the tokens generated so
// far, is uniform in [0, output). The prompt is drawn as for any request, since
// it does not depend on the output. The numbers are apart from those of Draw.
func (d Drawer) LengthBiased(number int64) (input, output, age int32) {
	n := uint64(number)
	output = d.output.Biased(d.inFlight.Uniform(n, drawOutput), d.inFlight.Uniform(n, drawOutputSecond))
	age = int32(d.inFlight.Uniform(n, drawAge) * float64(output))
	d.lengths = d.prompts
	input, _ = d.Draw(number)
	return input, output, age
}

// generator is the Source of a Workload.
type generator struct {
	drawer   Drawer
	rng      *rand.Rand
	renewal  renewal
	arrivals Arrivals
	gap      float64 // mean, ns
	at       float64 // ns
	next     int64
	requests int64
	end      des.Time
	walk     *sessionWalk
}

// Generate is the open-loop source of a workload: arrivals come from a stream of
// their own, lengths are owned by the request's number, so that changing one
// leaves the other as it was.
func Generate(w Workload) (Source, error) {
	w, err := w.Resolve()
	if err != nil {
		return nil, err
	}
	drawer, err := w.Drawer()
	if err != nil {
		return nil, err
	}
	g := &generator{drawer: drawer, rng: des.Stream(w.Seed, "arrivals"), arrivals: w.Arrivals,
		gap: 1e9 / w.Rate, requests: math.MaxInt64, end: des.Never}
	if w.Requests > 0 {
		g.requests = w.Requests
	}
	if w.Duration > 0 {
		g.end = des.Time(w.Duration)
	}
	if w.Arrivals.kind == gamma {
		g.renewal = newRenewal(false, 1/(w.Arrivals.arg*w.Arrivals.arg))
	}
	if drawer.sessions != nil {
		g.walk = newSessionWalk(drawer)
	}
	return g, nil
}

// Next draws the next request; it allocates nothing.
func (g *generator) Next() (Request, error) {
	if g.next >= g.requests {
		return Request{}, io.EOF
	}
	at := g.arrive()
	if at >= maxTime {
		return Request{}, fmt.Errorf("workload: request %d would arrive after %d years, past the clock", g.next, maxTime/(365*24*3600*1e9))
	}
	if des.Time(at) >= g.end {
		g.requests = g.next
		return Request{}, io.EOF
	}
	r := Request{Arrival: des.Time(at)}
	if g.walk != nil {
		g.walk.step(g.next, &r)
	} else {
		r.InputTokens, r.OutputTokens = g.drawer.Draw(g.next)
	}
	g.next++
	return r, nil
}

// maxTime leaves the clock room behind the last arrival.
const maxTime = int64(1) << 62

// arrive is the arrival of the next request in nanoseconds.
func (g *generator) arrive() int64 {
	switch g.arrivals.kind {
	case evenly:
		g.at = float64(g.next) * g.gap
	case burst:
		if g.arrivals.arg > 0 {
			g.at = float64(g.next/int64(g.arrivals.arg)) * g.arrivals.arg * g.gap
		}
	case gamma:
		if g.next == 0 {
			g.at = g.renewal.residual(g.rng) * g.gap
		} else {
			g.at += g.renewal.gap(g.rng) * g.gap
		}
	default:
		g.at += g.rng.ExpFloat64() * g.gap
	}
	if g.at >= float64(maxTime) {
		return maxTime
	}
	return int64(math.Round(g.at))
}

// BlockTokens is that of the workload's sessions.
func (g *generator) BlockTokens() int {
	if g.drawer.sessions == nil {
		return 0
	}
	return g.drawer.sessions.blockTokens
}

// Close has nothing to release.
func (g *generator) Close() error { return nil }

// ClosedLoop is a fixed number of clients, each of which sends its next request
// when its last one has ended and the think time is over.
type ClosedLoop struct {
	Concurrency   int
	Requests      int64
	Input, Output Dist
	ThinkTime     Dist // milliseconds; unset for none
	Seed          uint64

	keys closedLoopKeys
}

// closedLoopKeys are the random keys of a seed, derived at the first draw.
type closedLoopKeys struct {
	derived        bool
	seed           uint64
	lengths, think des.Key
}

func (c *ClosedLoop) keysOf() *closedLoopKeys {
	if !c.keys.derived || c.keys.seed != c.Seed {
		c.keys = closedLoopKeys{true, c.Seed, des.NewKey(c.Seed, "lengths"), des.NewKey(c.Seed, "think")}
	}
	return &c.keys
}

// Validate reports every fault of the description.
func (c *ClosedLoop) Validate() error {
	w := Workload{Rate: 1, Requests: c.Requests, Input: c.Input, Output: c.Output}
	_, err := w.Resolve()
	if err == nil && (c.Concurrency < 1 || c.Requests < 1) {
		err = fmt.Errorf("closed loop: concurrency and requests must be at least 1, got %d and %d", c.Concurrency, c.Requests)
	}
	return err
}

// Draw gives request number i, whoever sends it; Arrival is left for the caller.
// Numbers and seeds give the lengths that Generate gives.
func (c *ClosedLoop) Draw(number int64) Request {
	key := c.keysOf().lengths
	return Request{
		InputTokens:  c.Input.Tokens(key.Uniform(uint64(number), drawInput)),
		OutputTokens: c.Output.Tokens(key.Uniform(uint64(number), drawOutput)),
	}
}

// MeanThink is the mean of Think in nanoseconds.
func (c *ClosedLoop) MeanThink() float64 {
	if c.ThinkTime.IsZero() {
		return 0
	}
	return 1e6 * c.ThinkTime.Mean()
}

// Think is how long the client waits before it sends request number i.
func (c *ClosedLoop) Think(number int64) des.Time {
	if c.ThinkTime.IsZero() {
		return 0
	}
	u := c.keysOf().think.Uniform(uint64(number), 0)
	return des.FromSeconds(c.ThinkTime.Quantile(u) / 1e3)
}
