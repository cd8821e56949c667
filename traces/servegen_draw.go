package traces

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sort"

	"github.com/clustersim/clustersim/sim/des"
)

// serveGenRows merges the clients' arrivals by a tournament.
type serveGenRows struct {
	name    string
	clients []clientCursor
	next    *des.Winner
	given   int64
}

// clientCursor draws one client's requests in order; its numbers come from
// streams of its own, so that leaving out a client moves no other.
type clientCursor struct {
	*serveGenClient
	rng     *rand.Rand
	lengths des.Key
	at      float64 // s, of the request that comes next
	window  int
	period  int
	drawn   uint64
}

func startServeGen(in *input, clients []*serveGenClient) *serveGenRows {
	s := &serveGenRows{name: in.name, clients: make([]clientCursor, len(clients)), next: des.NewWinner(len(clients))}
	for i, c := range clients {
		s.clients[i] = clientCursor{serveGenClient: c, rng: des.Stream(in.opts.Seed, "servegen arrivals "+c.name),
			lengths: des.NewKey(in.opts.Seed, "servegen lengths "+c.name), window: -1}
		s.clients[i].skipTo(float64(in.opts.Start) / 1e9)
		s.next.Set(i, s.clients[i].advance())
	}
	return s
}

// skipTo passes over the windows that end before a moment: their requests would
// be left out one by one. What follows is drawn from the streams' beginning, so it
// has the same statistics as in the whole trace, not the same requests.
func (c *clientCursor) skipTo(seconds float64) {
	c.window = sort.Search(len(c.windows), func(i int) bool { return c.windows[i].end > seconds }) - 1
	c.at = -1
}

// advance moves to the client's next request; Never when it has none.
func (c *clientCursor) advance() des.Time {
	if c.at >= 0 {
		w := &c.windows[c.window]
		if c.at += w.gaps.gap(c.rng) / w.rate; c.at < w.end {
			return des.FromSeconds(c.at)
		}
	}
	for c.window++; c.window < len(c.windows); c.window++ {
		w := &c.windows[c.window]
		if w.rate == 0 {
			continue
		}
		if c.at = w.start + w.gaps.residual(c.rng)/w.rate; c.at < w.end {
			return des.FromSeconds(c.at)
		}
	}
	return des.Never
}

// tables are the distributions of lengths at the client's present moment: those of
// the period it falls in, or the first when it is before all.
func (c *clientCursor) tables() *period {
	for c.period+1 < len(c.periods) && c.periods[c.period+1].start <= c.at {
		c.period++
	}
	return &c.periods[c.period]
}

func (s *serveGenRows) read(r *Request) error {
	i, at := s.next.Next()
	if at == des.Never {
		return io.EOF
	}
	c := &s.clients[i]
	p := c.tables()
	*r = Request{Arrival: at,
		InputTokens:  p.input.tokens(c.lengths.Uniform(c.drawn, drawInput)),
		OutputTokens: p.output.tokens(c.lengths.Uniform(c.drawn, drawOutput))}
	c.drawn++
	s.given++
	s.next.Set(i, c.advance())
	return nil
}

func (s *serveGenRows) blockTokens() int { return 0 }

func (s *serveGenRows) field(_ column, format string, args ...any) error {
	return fmt.Errorf("%s: request %d: %s", s.name, s.given, fmt.Sprintf(format, args...))
}
