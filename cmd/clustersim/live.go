package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// live is a progress line that is drawn several times a second until it is closed: what it
// tells of may take minutes in which nothing ends. Without a terminal it draws nothing.
type live struct {
	mu      sync.Mutex // held while the text is made, of what others write
	line    progress
	text    func(now time.Time, columns int) string
	closing chan struct{}
	closed  sync.WaitGroup
}

// start begins to draw, to a terminal or nowhere.
func (l *live) start(w io.Writer, text func(now time.Time, columns int) string) {
	l.line, l.text, l.closing = progress{out: w, started: time.Now()}, text, make(chan struct{})
	if w == nil {
		return
	}
	l.closed.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				l.mu.Lock()
				l.draw(now)
				l.mu.Unlock()
			case <-l.closing:
				return
			}
		}
	})
}

// draw is called with the lock held.
func (l *live) draw(now time.Time) {
	if l.line.out == nil {
		return
	}
	l.line.drawn = now
	if text := l.text(now, columns(l.line.out)); text != "" {
		l.line.write(text)
	}
}

// note lets something else be written where the line stands.
func (l *live) note(write func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line.clear()
	write()
}

// close takes the line away; it may be called twice.
func (l *live) close() {
	l.mu.Lock()
	select {
	case <-l.closing:
	default:
		close(l.closing)
	}
	l.mu.Unlock()
	l.closed.Wait()
	l.line.clear()
}

// phases tells what a search is at, and since when.
type phases struct {
	live
	said string
}

// newPhases begins with what is said first, and shows it when it takes longer than a
// moment.
func newPhases(c *cobra.Command, first string) *phases {
	p := &phases{said: first}
	p.start(terminal(c.ErrOrStderr()), func(now time.Time, _ int) string {
		since := now.Sub(p.line.started)
		if since < progressAfter {
			return ""
		}
		return fmt.Sprintf("%s  (%s)", p.said, since.Round(time.Second))
	})
	return p
}

// say is what the search is at from now on.
func (p *phases) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = text
}

// runBar tells how many of a known number of runs (or what else) are done.
type runBar struct {
	live
	what        string
	tell        func(advance)
	done, total int
}

// newRunBar draws to the command's terminal, and tells the observer.
func newRunBar(c *cobra.Command, what string, w *observer) *runBar {
	b := &runBar{what: what, tell: w.advance}
	b.start(terminal(c.ErrOrStderr()), b.state)
	return b
}

func (b *runBar) show(done, total int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done, b.total = done, total
	b.tell(advance{ratio: float64(done) / float64(max(1, total))})
}

func (b *runBar) state(now time.Time, columns int) string {
	since := now.Sub(b.line.started)
	switch {
	case since < progressAfter:
		return ""
	case b.done == 0:
		return fmt.Sprintf("%s  (%s)", b.what, since.Round(time.Second))
	}
	left := time.Duration(float64(since) * float64(b.total-b.done) / float64(b.done))
	text := fmt.Sprintf("%d/%d %s  %s left", b.done, b.total, b.what, left.Round(time.Second))
	return meter(float64(b.done)/float64(b.total), text, columns)
}
