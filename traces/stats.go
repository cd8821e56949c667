package traces

import (
	"errors"
	"io"
	"math"

	"github.com/clustersim/clustersim/sim/des"
)

// Stats is what one pass over a source measures. Memory grows with distinct
// lengths, prefix blocks and sessions only.
type Stats struct {
	Requests int64   `json:"requests"`
	SpanS    float64 `json:"span_s"`         // from the first arrival to the last
	Rate     float64 `json:"requests_per_s"` // gaps over span
	// CV is the coefficient of variation of gaps between arrivals: 0 even, 1 Poisson.
	CV float64 `json:"cv_interarrival"`
	// Burstiness is (CV−1)/(CV+1), from −1 even over 0 Poisson to 1 (Goh and Barabási 2008).
	Burstiness float64 `json:"burstiness"`
	// PeakRate is that of the fullest of the stretches of PeakWindowS seconds from the first arrival on.
	PeakRate    float64     `json:"peak_requests_per_s"`
	PeakWindowS float64     `json:"peak_window_s"`
	Input       Lengths     `json:"input_tokens"`
	Output      Lengths     `json:"output_tokens"`
	Sessions    int64       `json:"sessions"` // distinct ones, 0 when none is recorded
	Prefix      PrefixStats `json:"prefix"`
}

// Lengths are statistics of token counts. Percentile p is the smallest length
// that at least a share p of requests does not exceed.
type Lengths struct {
	Total int64   `json:"total"`
	Mean  float64 `json:"mean"`
	P50   int32   `json:"p50"`
	P90   int32   `json:"p90"`
	P99   int32   `json:"p99"`
	Max   int32   `json:"max"`
}

// PrefixStats count prefix blocks as a cache would that never forgets.
type PrefixStats struct {
	BlockTokens int     `json:"block_tokens"`
	Blocks      int64   `json:"blocks"`
	Unique      int64   `json:"unique"`
	HitRate     float64 `json:"hit_rate"` // (Blocks − Unique) / Blocks
}

// peakWindow is the stretch over which the peak rate is taken.
const peakWindow = des.Time(10e9)

// Measure reads a source to its end. tick, if not nil, is called after each request.
func Measure(s Source, tick func(Request)) (Stats, error) {
	m := meter{seen: map[uint64]struct{}{}, sessions: map[uint64]struct{}{}}
	for {
		r, err := s.Next()
		if errors.Is(err, io.EOF) {
			return m.stats(s.BlockTokens()), nil
		}
		if err != nil {
			return Stats{}, err
		}
		m.add(&r)
		if tick != nil {
			tick(r)
		}
	}
}

type meter struct {
	requests, blocks       int64
	first, last            des.Time
	meanGap, squares       float64 // Welford's running mean and sum of squared deviations
	window, count, fullest int64
	input, output          histogram
	seen, sessions         map[uint64]struct{}
}

func (m *meter) add(r *Request) {
	if m.requests == 0 {
		m.first = r.Arrival
	} else {
		gap := float64(r.Arrival - m.last)
		delta := gap - m.meanGap
		m.meanGap += delta / float64(m.requests)
		m.squares += delta * (gap - m.meanGap)
	}
	m.last = r.Arrival
	m.requests++
	if w := int64((r.Arrival - m.first) / peakWindow); w != m.window {
		m.window, m.count = w, 0
	}
	m.count++
	m.fullest = max(m.fullest, m.count)
	m.input.add(r.InputTokens)
	m.output.add(r.OutputTokens)
	m.blocks += int64(len(r.Prefix))
	for _, id := range r.Prefix {
		m.seen[id] = struct{}{}
	}
	if r.Session != 0 {
		m.sessions[r.Session] = struct{}{}
	}
}

func (m *meter) stats(block int) Stats {
	s := Stats{Requests: m.requests, SpanS: (m.last - m.first).Seconds(), PeakWindowS: peakWindow.Seconds(),
		PeakRate: float64(m.fullest) / peakWindow.Seconds(),
		Input:    m.input.lengths(), Output: m.output.lengths(), Sessions: int64(len(m.sessions)),
		Prefix: PrefixStats{BlockTokens: block, Blocks: m.blocks, Unique: int64(len(m.seen))}}
	if m.meanGap > 0 {
		s.Rate = 1e9 / m.meanGap
		s.CV = math.Sqrt(m.squares/float64(m.requests-1)) / m.meanGap
		s.Burstiness = (s.CV - 1) / (s.CV + 1)
	}
	if m.blocks > 0 {
		s.Prefix.HitRate = float64(m.blocks-s.Prefix.Unique) / float64(m.blocks)
	}
	return s
}

// histogram counts every length exactly, in pages made when first touched: a
// megabyte for prompts up to 128K tokens, however many requests.
type histogram struct {
	pages [MaxTokens>>pageBits + 1]*[1 << pageBits]int64
	count int64
	total int64
}

const pageBits = 12

func (h *histogram) add(n int32) {
	page := &h.pages[n>>pageBits]
	if *page == nil {
		*page = new([1 << pageBits]int64)
	}
	(*page)[n&(1<<pageBits-1)]++
	h.count++
	h.total += int64(n)
}

func (h *histogram) lengths() Lengths {
	if h.count == 0 {
		return Lengths{}
	}
	return Lengths{Total: h.total, Mean: float64(h.total) / float64(h.count),
		P50: h.percentile(50), P90: h.percentile(90), P99: h.percentile(99), Max: h.percentile(100)}
}

func (h *histogram) percentile(p int64) int32 {
	below, want := int64(0), (h.count*p+99)/100
	for i, page := range h.pages {
		if page == nil {
			continue
		}
		for j, n := range page {
			if below += n; n > 0 && below >= want {
				return int32(i<<pageBits | j)
			}
		}
	}
	return 0
}
