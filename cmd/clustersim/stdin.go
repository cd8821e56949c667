package main

import (
	"context"
	"io"
)

// interruptibleReader is a stream that may keep one waiting, such as a pipe. When the
// context ends, a read that waits for bytes returns with its error; the bytes that come
// for it then are lost.
type interruptibleReader struct {
	ctx     context.Context
	from    io.Reader
	asked   chan struct{}
	answers chan answer
	rest    []byte
	err     error
}

// answer is what a read gave.
type answer struct {
	data []byte
	err  error
}

func (r *interruptibleReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fill asks the goroutine that does the reading for the next bytes.
func (r *interruptibleReader) fill() error {
	if r.asked == nil {
		r.asked, r.answers = make(chan struct{}), make(chan answer)
		go r.serve()
	}
	for len(r.rest) == 0 && r.err == nil {
		select {
		case <-r.ctx.Done():
			return r.ctx.Err()
		case r.asked <- struct{}{}:
		}
		select {
		case <-r.ctx.Done():
			return r.ctx.Err()
		case a := <-r.answers:
			r.rest, r.err = a.data, a.err
		}
	}
	return nil
}

// serve reads when it is asked to; the bytes are the asker's until it asks again.
func (r *interruptibleReader) serve() {
	buffer := make([]byte, 1<<16)
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.asked:
		}
		n, err := r.from.Read(buffer)
		select {
		case <-r.ctx.Done():
			return
		case r.answers <- answer{buffer[:n], err}:
		}
		if err != nil {
			return
		}
	}
}
