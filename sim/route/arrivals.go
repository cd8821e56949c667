package route

import (
	"errors"
	"io"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/traces"
)

// arrivals yields requests one by one: an open-loop source's in order, or a closed
// loop's as its clients become free.
type arrivals struct {
	source  traces.Source // open loop
	endless bool          // the loop's clients never stop
	next    traces.Request
	end     bool

	loop *traces.ClosedLoop // closed loop
	sent int64              // requests that clients have been given
	due  []des.Time         // heap: when clients send their next request

	frontEnd des.Time // from a request's arrival to its place in a queue
}

// start reads the first request, or lets every client send one at time 0.
func (a *arrivals) start() error {
	if a.loop == nil {
		return a.read()
	}
	for i := range int64(a.loop.Concurrency) {
		if a.endless || i < a.loop.Requests {
			a.push(0)
		}
	}
	return nil
}

func (a *arrivals) read() error {
	r, err := a.source.Next()
	if errors.Is(err, io.EOF) {
		a.end = true
		return nil
	}
	a.next = r
	return err
}

// at is when the next request reaches a queue, Never when there is none.
func (a *arrivals) at() des.Time {
	switch {
	case a.loop != nil && len(a.due) > 0:
		return a.due[0] + a.frontEnd
	case a.loop != nil || a.end:
		return des.Never
	}
	return a.next.Arrival + a.frontEnd
}

// take gives the next request to f and goes on to the one after it.
func (a *arrivals) take(number int64, f func(*traces.Request) error) error {
	if a.loop == nil {
		if err := f(&a.next); err != nil {
			return err
		}
		return a.read()
	}
	a.next = a.loop.Draw(number)
	a.next.Arrival = a.pop()
	return f(&a.next)
}

// freed lets the client of a finished request send its next one, when requests are
// left to send.
func (a *arrivals) freed(now des.Time) {
	if a.loop != nil && (a.endless || a.sent < a.loop.Requests) {
		a.push(now + a.loop.Think(a.sent))
	}
}

// over reports that no request will ever come again of its own.
func (a *arrivals) over() bool {
	return a.loop != nil && !a.endless && a.sent == a.loop.Requests || a.end
}

func (a *arrivals) push(t des.Time) {
	a.sent++
	a.due = append(a.due, t)
	for i := len(a.due) - 1; i > 0 && a.due[(i-1)/2] > a.due[i]; i = (i - 1) / 2 {
		a.due[i], a.due[(i-1)/2] = a.due[(i-1)/2], a.due[i]
	}
}

func (a *arrivals) pop() des.Time {
	first, last := a.due[0], len(a.due)-1
	a.due[0] = a.due[last]
	a.due = a.due[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c+1 < last && a.due[c+1] < a.due[c] {
			c++
		}
		if c >= last || a.due[i] <= a.due[c] {
			return first
		}
		a.due[i], a.due[c] = a.due[c], a.due[i]
		i = c
	}
}
