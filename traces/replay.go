package traces

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/clustersim/clustersim/sim/des"
)

// replay is the Source of a recorded trace: it checks each row and applies the
// options.
type replay struct {
	name   string
	format string
	rows   rows
	opts   Options
	first  Request // read ahead at opening, so that most faults show there
	row    Request // read last; it lives here so that a row allocates nothing
	primed bool
	last   des.Time
	given  int
	close  []func() error
}

func (r *replay) prime() error {
	first, err := r.read()
	if errors.Is(err, io.EOF) {
		if r.opts.Start > 0 {
			return fmt.Errorf("%s: has no requests at %s or within the duration behind it", r.name, r.opts.Start)
		}
		return fmt.Errorf("%s: has no requests", r.name)
	}
	r.first, r.primed = first, true
	return err
}

// Next is the next request that the options let through.
func (r *replay) Next() (Request, error) {
	if r.primed {
		r.primed = false
		r.given++
		return r.first, nil
	}
	if r.opts.Limit > 0 && r.given >= r.opts.Limit {
		return Request{}, io.EOF
	}
	q, err := r.read()
	if err == nil {
		r.given++
	}
	return q, err
}

func (r *replay) read() (Request, error) {
	q := &r.row
	for {
		if err := r.rows.read(q); err != nil {
			return Request{}, err
		}
		if err := r.check(q); err != nil {
			return Request{}, err
		}
		r.last = q.Arrival
		q.Arrival -= des.Time(r.opts.Start)
		if q.Arrival < 0 {
			continue
		}
		if r.opts.Duration > 0 && q.Arrival >= des.Time(r.opts.Duration) {
			return Request{}, io.EOF
		}
		err := r.scale(q)
		return r.row, err
	}
}

func (r *replay) scale(q *Request) error {
	if r.opts.RateScale == 1 {
		return nil
	}
	at := math.Round(float64(q.Arrival) / r.opts.RateScale)
	if at >= float64(maxTime) {
		return r.rows.field(colArrival, "divided by rate_scale %v it is past the clock's %d years", r.opts.RateScale, maxTime/nsPerYear)
	}
	q.Arrival = des.Time(at)
	return nil
}

const nsPerYear = 365 * 24 * 3600 * int64(1e9)

// check holds a row to what every trace must satisfy.
func (r *replay) check(q *Request) error {
	switch {
	case q.Arrival < 0:
		return r.rows.field(colArrival, "must not be negative, got %v s", q.Arrival.Seconds())
	case q.Arrival >= des.Time(maxTime):
		return r.rows.field(colArrival, "is past the clock's %d years", maxTime/nsPerYear)
	case q.Arrival < r.last:
		return r.rows.field(colArrival, "out of order: %v s is before the request above it, at %v s; sort the trace by arrival", q.Arrival.Seconds(), r.last.Seconds())
	case q.InputTokens < 1 || q.InputTokens > MaxTokens:
		return r.rows.field(colInput, "must be from 1 to %d tokens, got %d", MaxTokens, q.InputTokens)
	case q.OutputTokens < 1 || q.OutputTokens > MaxTokens:
		return r.rows.field(colOutput, "must be from 1 to %d tokens, got %d", MaxTokens, q.OutputTokens)
	}
	if n := len(q.Prefix); n > 0 {
		block := r.rows.blockTokens()
		if most := (int64(q.InputTokens) + int64(block) - 1) / int64(block); int64(n) > most {
			hint := ""
			if fits := int64(bailianFormat.block); block == mooncakeFormat.block && int64(n) <= (int64(q.InputTokens)+fits-1)/fits {
				hint = fmt.Sprintf("; ids of %d tokens and timestamps in seconds are those of --trace-format bailian", fits)
			}
			return r.rows.field(colPrefix, "has %d ids, but %d tokens are at most %d blocks of %d%s", n, q.InputTokens, most, block, hint)
		}
	}
	return nil
}

// BlockTokens is that of the format or of the file's header.
func (r *replay) BlockTokens() int { return r.rows.blockTokens() }

// Close closes the decompressor and the file.
func (r *replay) Close() error {
	var errs []error
	for i := len(r.close) - 1; i >= 0; i-- {
		errs = append(errs, r.close[i]())
	}
	r.close = nil
	return errors.Join(errs...)
}
