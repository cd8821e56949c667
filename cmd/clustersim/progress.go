package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/clustersim/clustersim/sim/metrics"
)

const (
	progressAfter = 2 * time.Second        // a shorter run shows nothing
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
	p.write(progressLine(s, speed, now.Sub(p.started)))
}

func (p *progress) clear() {
	if p.width > 0 {
		p.write("")
		fmt.Fprint(p.out, "\r")
	}
}

func (p *progress) write(line string) {
	width := utf8.RuneCountInString(line)
	fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-width)))
	p.width = width
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

func progressLine(s *metrics.Snapshot, speed float64, wall time.Duration) string {
	var b strings.Builder
	f := done(s)
	if s.Target > 0 || s.TargetTime > 0 {
		const cells = 20
		full := int(math.Round(f * cells))
		fmt.Fprintf(&b, "%s%s %3.0f %%  ", strings.Repeat("█", full), strings.Repeat("░", cells-full), 100*f)
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
	return b.String()
}
