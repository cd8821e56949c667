// Package slo is the latency that is promised to a request: how it is written, how it
// is put in words, and whether a request had it.
//
// A promise has up to four limits, and a limit that is absent is not judged:
//
//	TTFT  first token − arrival
//	TPOT  (last token − first token) / (output tokens − 1)
//	ITL   the mean gap between a request's output events: TPOT where every event is
//	      one token, longer where drafts let several tokens come at once
//	E2E   last token − arrival
//
// A limit is judged as it is written: `2s` is two seconds for every prompt. A TTFT may
// also be written in proportion to the prompt, `2s/8K`: two seconds for prompts of up
// to 8,192 tokens, and beyond as much longer as the prompt is.
//
// ITL is judged by a request's mean gap and not by its longest: the engine knows when
// a sequence began and ended and in how many steps, and books gaps of all sequences
// together. A single stall within a long answer is seen in the ITL percentiles of the
// result, and not here.
package slo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// Limits are the latency promised to one request. What a user gives of them is all that
// is judged; Default stands in only where nothing is given.
type Limits struct {
	TTFT TTFT          `yaml:"ttft,omitempty" json:"ttft,omitzero"`
	TPOT spec.Duration `yaml:"tpot,omitempty" json:"tpot,omitzero"`
	ITL  spec.Duration `yaml:"itl,omitempty" json:"itl,omitzero"`
	E2E  spec.Duration `yaml:"e2e,omitempty" json:"e2e,omitzero"`
}

// Names are the limits' names as they are written, in the order of Limits.
func Names() []string { return []string{"ttft", "tpot", "itl", "e2e"} }

// Default is what is promised where nothing is said.
func Default() Limits {
	return Limits{TTFT: TTFT{Limit: 2_000_000_000, Per: 8192}, TPOT: 50_000_000}
}

// Latency is what one request had, in nanoseconds. TPOT and ITL are 0 when it has one
// token.
type Latency struct {
	Prompt               int64 // tokens
	TTFT, TPOT, ITL, E2E float64
}

// Met reports whether a request had what was promised.
func (l *Limits) Met(had *Latency) bool {
	return (l.TTFT.Limit == 0 || had.TTFT <= float64(l.TTFT.Limit)*l.TTFT.Factor(float64(had.Prompt))) &&
		within(had.TPOT, l.TPOT) && within(had.ITL, l.ITL) && within(had.E2E, l.E2E)
}

func within(ns float64, limit spec.Duration) bool { return limit == 0 || ns <= float64(limit) }

// BoundsWait reports whether a request that waits ever longer breaks the promise at last.
// Without that every rate is within the limits, also one at which queues only grow.
func (l *Limits) BoundsWait() bool { return l.TTFT.Limit > 0 || l.E2E > 0 }

// String is the promise in words, for reports.
func (l Limits) String() string {
	var parts []string
	if l.TTFT.Limit > 0 {
		text := "TTFT " + l.TTFT.Limit.String()
		if l.TTFT.Per > 0 {
			text += " (in proportion beyond " + tokens(l.TTFT.Per) + " prompt tokens)"
		}
		parts = append(parts, text)
	}
	for _, x := range []struct {
		name  string
		limit spec.Duration
	}{{"TPOT ", l.TPOT}, {"ITL ", l.ITL}, {"E2E ", l.E2E}} {
		if x.limit > 0 {
			parts = append(parts, x.name+x.limit.String())
		}
	}
	switch n := len(parts); n {
	case 0:
		return "no limit"
	case 1:
		return parts[0]
	default:
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
}

// TTFT is a limit on the time to the first token.
type TTFT struct {
	Limit spec.Duration
	// Per is the prompt length in tokens beyond which the limit grows in proportion to
	// the prompt; 0 keeps it the same for all.
	Per int64
}

// Factor is how many times Limit a prompt of so many tokens is given.
func (t TTFT) Factor(prompt float64) float64 {
	if t.Per == 0 {
		return 1
	}
	return max(1, prompt/float64(t.Per))
}

// IsZero reports that there is no limit.
func (t TTFT) IsZero() bool { return t == TTFT{} }

// longest prompt length that a limit may be written in proportion to.
const longest = 1 << 30

const wantPer = "a prompt length in tokens such as 8K (8192) or 4096"

// UnmarshalText reads a duration, or one for prompts of a length: 2s, 2s/8K.
func (t *TTFT) UnmarshalText(text []byte) error {
	limit, per, scales := strings.Cut(string(text), "/")
	var out TTFT
	if err := out.Limit.UnmarshalText([]byte(limit)); err != nil {
		return fmt.Errorf("%w, or in proportion to long prompts, as 2s/8K", err)
	}
	if scales {
		per = strings.TrimSpace(per)
		digits, unit := strings.TrimSuffix(per, "K"), int64(1)
		if digits != per {
			unit = 1024
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 1 || n > longest/unit {
			return fmt.Errorf("%q: behind the / must stand %s, at most %d", text, wantPer, longest)
		}
		out.Per = n * unit
	}
	*t = out
	return nil
}

// MarshalText writes a form that reads back to the same limit.
func (t TTFT) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String is the limit as it is written.
func (t TTFT) String() string {
	if t.Per == 0 {
		return t.Limit.String()
	}
	return t.Limit.String() + "/" + tokens(t.Per)
}

// tokens writes whole multiples of 1,024 as such.
func tokens(n int64) string {
	if n%1024 == 0 {
		return strconv.FormatInt(n/1024, 10) + "K"
	}
	return strconv.FormatInt(n, 10)
}
