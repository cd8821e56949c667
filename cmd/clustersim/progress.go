package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/sweep"
)

const (
	progressAfter = time.Second            // what is shorter shows nothing
	progressEvery = 200 * time.Millisecond // the line is drawn again
)

// progress is one line on a terminal that is drawn over itself.
type progress struct {
	out     io.Writer
	started time.Time
	drawn   time.Time
	width   int // of the line that stands there
}

// terminal is the writer when a person looks at it, otherwise nil.
func terminal(w io.Writer) io.Writer {
	if p, is := w.(*printable); is {
		w = p.to
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

func (p *progress) show(s *metrics.Snapshot, speed float64, now time.Time) {
	if now.Sub(p.started) < progressAfter || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	p.write(progressLine(s, speed, now.Sub(p.started), columns(p.out)))
}

func (p *progress) clear() {
	if p.width > 0 {
		p.write("")
		fmt.Fprint(p.out, "\r")
	}
}

// write draws the line over the last one, cut where it would wrap: what has wrapped cannot
// be drawn over.
func (p *progress) write(line string) {
	room := columns(p.out) - 1 // a full line wraps on some terminals
	line = cut(escaped(line), room)
	width := utf8.RuneCountInString(line)
	fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", max(0, min(p.width, room)-width)))
	p.width = width
}

// columns is the width of a terminal, 80 where it does not say.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// cut shortens a line to a number of characters.
func cut(line string, to int) string {
	if utf8.RuneCountInString(line) <= to {
		return line
	}
	return string([]rune(line)[:max(0, to-1)]) + "…"
}

// meter draws how much is done before what is said of it, as far as there is room beside.
func meter(f float64, text string, columns int) string {
	cells := min(20, columns-utf8.RuneCountInString(text)-2)
	if cells < 5 {
		return text
	}
	full := int(math.Round(f * float64(cells)))
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full) + " " + text
}

// done is how much of the run is over, 0 when its length is not known.
func done(s *metrics.Snapshot) float64 {
	switch {
	case s.Target > 0:
		return min(1, float64(s.Measured)/float64(s.Target))
	case s.TargetTime > 0:
		return min(1, float64(s.Now)/float64(s.TargetTime))
	}
	return 0
}

func progressLine(s *metrics.Snapshot, speed float64, wall time.Duration, columns int) string {
	var b strings.Builder
	f := done(s)
	counted := s.Target > 0 || s.TargetTime > 0
	if counted {
		fmt.Fprintf(&b, "%3.0f %%  ", 100*f)
	}
	fmt.Fprintf(&b, "simulated %.1f s  ", s.Now.Seconds())
	if s.Target > 0 {
		fmt.Fprintf(&b, "measured %d/%d  ", s.Measured, s.Target)
	} else {
		fmt.Fprintf(&b, "completed %d  ", s.Requests.Completed)
	}
	fmt.Fprintf(&b, "%.3g× real time", speed)
	if f > 0 {
		left := time.Duration(float64(wall) * (1 - f) / f)
		fmt.Fprintf(&b, "  %s left", left.Round(time.Second))
	}
	if !counted {
		return b.String()
	}
	return meter(f, b.String(), columns)
}

// sweepBar draws how far a sweep has come.
type sweepBar struct {
	live    // its lock: points begin and end on goroutines of their own
	tell    func(advance)
	points  []sweep.Point
	before  int // finished when the sweep was resumed
	ended   int // since
	failed  int
	last    time.Time // when a point has ended, or the first was begun
	running []int
}

// newSweepBar draws to a terminal, or nowhere.
func newSweepBar(w io.Writer) *sweepBar {
	b := &sweepBar{tell: func(advance) {}}
	b.start(w, b.text)
	return b
}

// count says what there is to do.
func (b *sweepBar) count(points []sweep.Point, finished int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.points, b.before = points, finished
	b.line.started = time.Now()
	b.last = b.line.started
	b.moved()
}

func (b *sweepBar) begin(id int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = append(b.running, id)
	b.moved()
	if now := time.Now(); b.line.out != nil && now.Sub(b.line.drawn) >= progressEvery {
		b.draw(now)
	}
}

func (b *sweepBar) end(o *sweep.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = slices.DeleteFunc(b.running, func(id int) bool { return id == o.ID })
	b.ended++
	if o.Err != nil {
		b.failed++
	}
	b.last = time.Now()
	b.moved()
}

// moved tells how many points are where; the lock is held.
func (b *sweepBar) moved() {
	finished := b.before + b.ended - b.failed
	b.tell(advance{
		ratio: float64(b.before+b.ended) / float64(max(1, len(b.points))),
		points: map[string]int{
			"finished": finished, "failed": b.failed, "running": len(b.running),
			"waiting": len(b.points) - finished - b.failed - len(b.running),
		},
	})
}

func (b *sweepBar) text(now time.Time, columns int) string {
	total := len(b.points)
	if total == 0 {
		return "reading the grid"
	}
	done := b.before + b.ended
	var t strings.Builder
	fmt.Fprintf(&t, "%d/%d points", done, total)
	if b.failed > 0 {
		fmt.Fprintf(&t, ", %d failed", b.failed)
	}
	if b.ended > 0 {
		each := b.last.Sub(b.line.started) / time.Duration(b.ended)
		left := max(0, each*time.Duration(total-done)-now.Sub(b.last))
		fmt.Fprintf(&t, "  %s left", left.Round(time.Second))
	}
	// What is in work may be cut, the bar not: it gets its room first.
	head := meter(float64(done)/float64(total), t.String(), columns/2)
	for i, id := range b.running {
		if i == 0 {
			head += "  now"
		}
		head += fmt.Sprintf(" #%d", id)
		for _, set := range b.points[id].Set {
			head += " " + set.Path[strings.LastIndexByte(set.Path, '.')+1:] + "=" + set.Value
		}
	}
	return head
}
