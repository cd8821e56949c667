package sim

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/slo"
)

// summary is what a result needs beside the recorder: the hardware that was
// deployed and what is still under way.
type summary struct {
	Now      des.Time
	Pools    []deployed // in the recorder's order
	Tiers    []string
	SLO      slo.Limits
	InFlight int64 // requests that the engine holds, measured or not
	// Unfinished are measured requests among them: their latencies are missing.
	Unfinished      int64
	KVBytesPerToken float64
}

// deployed is one pool's hardware.
type deployed struct {
	Name             string
	Chip             string
	Chips            int     // packages in all instances
	ChipsPerInstance int     // packages in one
	TDP              float64 // W of a package, 0 when not published
	KVCapacity       int64   // bytes, all instances, of one chip of each rank
	Held             *result.KVPool
	KVParts          float64 // chips of a rank that hold different parts of the cache (the others hold copies)
}

// idlePower and busyPower are a chip's draw as shares of its TDP with nothing to do
// and when bound by GEMMs or HBM. The first is an assumption, the second the median
// of GEMM power on GB200 over its limit (NVIDIA AIConfigurator's kernel tables).
const (
	idlePower = 0.20
	busyPower = 0.97
)

// physics is how far above 1 a utilisation may be by rounding alone.
const physics = 1 + 1e-9

// summarise fills a result's figures from what was recorded. It fails when requests
// are not conserved or a utilisation is above 1, neither of which a run may reach.
func summarise(rec *metrics.Recorder, s *summary, out *result.Result) error {
	m := rec.Summary(s.Now)
	out.SimulatedS = s.Now.Seconds()
	out.Requests = result.Requests{
		Initial: m.Requests.Initial, Arrived: m.Requests.Arrived, Completed: m.Requests.Completed,
		Rejected: m.Requests.Rejected, Lost: m.Requests.Lost, InFlight: s.InFlight, Measured: m.Measured,
	}
	out.Throughput = throughput(&m.Window, s.chips())
	out.Latency = latency(&m, s.Unfinished > 0)
	out.Goodput = goodput(&m, out.Throughput.RequestsPerS, s.SLO)
	out.Causes = causes(&m)
	out.KV = s.kv(&m)
	use := rec.Use(&m.Window)
	out.Utilisation = s.utilisation(&use)
	out.Energy = s.energy(&m.Window)
	out.Warnings = append(out.Warnings, s.warnings(out, &m, &use)...)
	return s.check(&m, &out.Utilisation)
}

func (s *summary) chips() int {
	n := 0
	for i := range s.Pools {
		n += s.Pools[i].Chips
	}
	return n
}

func throughput(w *metrics.Window, chips int) result.Throughput {
	seconds := (w.End - w.Start).Seconds()
	if seconds <= 0 {
		return result.Throughput{}
	}
	t := result.Throughput{
		InputTokensPerS:  float64(w.PromptTokens) / seconds,
		OutputTokensPerS: float64(w.GenerationTokens) / seconds,
		RequestsPerS:     float64(w.Completed) / seconds,
	}
	if chips > 0 {
		t.OutputTokensPerSPerChip = t.OutputTokensPerS / float64(chips)
	}
	return t
}

func latency(m *metrics.Summary, censored bool) result.Latency {
	l := result.Latency{TTFT: milliseconds(m.TTFT), TPOT: milliseconds(m.TPOT), ITL: milliseconds(m.ITL), E2E: milliseconds(m.E2E)}
	l.E2E.MaxAtLeast = m.Cut > 0
	l.TTFT.Censored, l.TPOT.Censored, l.E2E.Censored = censored, censored, censored
	return l
}

func milliseconds(q metrics.Quantiles) result.Distribution {
	return result.Distribution{
		Mean: q.Mean / 1e6, P50: q.P50 / 1e6, P90: q.P90 / 1e6, P95: q.P95 / 1e6, P99: q.P99 / 1e6, Max: q.Max / 1e6,
	}
}

// goodput judges the measured requests; one that was rejected or lost did not meet
// its SLO. Its rate is that share of the window's completions.
func goodput(m *metrics.Summary, requestsPerS float64, promised slo.Limits) result.Goodput {
	g := result.Goodput{SLO: result.SLO{Limits: promised}}
	if judged := m.Measured + m.Refused + m.Requests.Lost; judged > 0 {
		g.Fraction = float64(m.Good) / float64(judged)
	}
	g.RequestsPerS = g.Fraction * requestsPerS
	return g
}

func causes(m *metrics.Summary) result.Causes {
	var all metrics.Ledger
	for i := range m.Window.Ledgers {
		all.Add(&m.Window.Ledgers[i])
	}
	var c result.Causes
	c.Prefill, c.NS.Prefill = phase(&all, metrics.Prefill)
	c.Decode, c.NS.Decode = phase(&all, metrics.Decode)
	c.Request = spans(m.Spans)
	return c
}

// phase is one phase's time of a ledger, and its causes as fractions of their sum.
func phase(l *metrics.Ledger, p metrics.Phase) (s result.Shares, ns result.PhaseNS) {
	ns = result.PhaseNS{Causes: l.Causes[p], Tau: l.Tau[p], Hidden: l.Hidden[p]}
	var total int64
	for _, t := range ns.Causes {
		total += t
	}
	for c, t := range ns.Causes {
		if total > 0 {
			s[c] = float64(t) / float64(total)
		}
	}
	return s, ns
}

func spans(s metrics.Spans) result.RequestSpans {
	total := s.Queue + s.Prefill + s.KVTransfer + s.Decode + s.Preempted
	if total <= 0 {
		return result.RequestSpans{}
	}
	return result.RequestSpans{
		Queue: s.Queue / total, Prefill: s.Prefill / total, KVTransfer: s.KVTransfer / total,
		Decode: s.Decode / total, Preempted: s.Preempted / total,
	}
}

// kv is of the pool that decodes: the only one, or the one that is not prefill. A
// byte of cache counts once, however many chips of a rank keep a copy of it.
func (s *summary) kv(m *metrics.Summary) result.KV {
	k := result.KV{BytesPerToken: s.KVBytesPerToken, Preemptions: m.Preemptions}
	for i := range s.Pools {
		if held := s.Pools[i].Held; held != nil {
			if k.Pools == nil {
				k.Pools = map[string]*result.KVPool{}
			}
			k.Pools[s.Pools[i].Name] = held
		}
		if s.Pools[i].Name != metrics.PhaseNames[metrics.Prefill] {
			k.CapacityBytes += int64(float64(s.Pools[i].KVCapacity) * s.Pools[i].KVParts)
			k.PeakBytes += int64(float64(m.KVPeak[i]) * s.Pools[i].KVParts)
		}
	}
	if m.PrefixQueries > 0 {
		k.PrefixHitRate = float64(m.PrefixHits) / float64(m.PrefixQueries)
	}
	return k
}

// chipSeconds is the time that a pool's ledger covers times the packages of an
// instance.
func (p *deployed) chipSeconds(l *metrics.Ledger) float64 {
	return l.Seconds() * float64(p.ChipsPerInstance)
}

// utilisation puts names to what was used.
func (s *summary) utilisation(use *metrics.Use) result.Utilisation {
	u := result.Utilisation{MFU: use.MFU, MBU: use.MBU, Pools: map[string]result.PoolUse{}, Links: map[string]result.LinkUse{}}
	for i, p := range use.Pools {
		u.Pools[s.Pools[i].Name] = result.PoolUse(p)
	}
	for i, l := range use.Links {
		u.Links[s.Tiers[i]] = result.LinkUse{Mean: l.Mean, Busiest: l.Busiest}
	}
	return u
}

func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// energy is P = TDP · (idlePower + (busyPower − idlePower) · u), where u is the share
// of a pool's time that is bound by compute or HBM. It is of the chips alone and
// takes communication and waiting as idle, so it errs low. Nil when a chip's power
// is not published.
func (s *summary) energy(w *metrics.Window) *result.Energy {
	var e result.Energy
	for i := range s.Pools {
		p, l := &s.Pools[i], &w.Ledgers[i]
		if p.TDP <= 0 {
			return nil
		}
		var busy int64
		for phase := range metrics.NumPhases {
			for _, c := range [...]cause.Cause{cause.Compute, cause.HBMWeights, cause.HBMKV, cause.HBMAct} {
				busy += l.Causes[phase][c]
			}
		}
		u := ratio(float64(busy)/1e9*float64(p.ChipsPerInstance), p.chipSeconds(l))
		e.WattsMean += p.TDP * float64(p.Chips) * (idlePower + (busyPower-idlePower)*u)
	}
	if len(s.Pools) == 0 {
		return nil
	}
	e.JoulesPerOutputToken = ratio(e.WattsMean*(w.End-w.Start).Seconds(), float64(w.GenerationTokens))
	return &e
}

func (s *summary) warnings(r *result.Result, m *metrics.Summary, use *metrics.Use) []string {
	var out []string
	switch {
	case r.Requests.Measured == 0:
		out = append(out, "no measured request finished: latencies are empty")
	case r.Requests.Measured < 100:
		out = append(out, fmt.Sprintf("p99 is taken over %d measured requests; below 100 it is near the maximum", r.Requests.Measured))
	}
	if text := roughly(m); text != "" {
		out = append(out, text)
	}
	if n := r.Requests.Rejected; n > 0 {
		out = append(out, fmt.Sprintf("%d of %d requests are longer than the KV cache of a rank: rejected", n, r.Requests.Arrived))
	}
	if s.Unfinished > 0 {
		out = append(out, fmt.Sprintf("%d measured requests were still in flight at the end: latencies are censored", s.Unfinished))
	}
	for i, l := range use.Links {
		if l.Over {
			out = append(out, fmt.Sprintf("steps and hand-over together send more over links of %s than these carry: neither slows the other down here", s.Tiers[i]))
		}
	}
	if r.Energy == nil {
		out = append(out, s.unpowered())
	} else {
		out = append(out, fmt.Sprintf("energy is of the chips alone: %g of TDP when idle (assumed), %g when bound by compute or HBM", idlePower, busyPower))
	}
	return out
}

// check holds a finished run to conservation and to physics.
func (s *summary) check(m *metrics.Summary, u *result.Utilisation) error {
	var errs []error
	if m.Requests.InFlight != s.InFlight {
		c := m.Requests
		errs = append(errs, fmt.Errorf("requests are not conserved: initial %d + arrived %d ≠ completed %d + rejected %d + lost %d + in flight %d",
			c.Initial, c.Arrived, c.Completed, c.Rejected, c.Lost, s.InFlight))
	}
	for i := range s.Pools {
		if p := u.Pools[s.Pools[i].Name]; p.MFU > physics || p.MBU > physics {
			errs = append(errs, fmt.Errorf("costs beat the chips' peaks in pool %s: MFU %.6g, MBU %.6g", s.Pools[i].Name, p.MFU, p.MBU))
		}
	}
	return errors.Join(errs...)
}

// unpowered says why no energy is given.
func (s *summary) unpowered() string {
	for i := range s.Pools {
		if p := &s.Pools[i]; p.TDP <= 0 {
			return fmt.Sprintf("no energy is given: no power of %s is published (chip.power sets one)", p.Chip)
		}
	}
	return "no energy is given: there are no pools"
}

// roughly says which 99th percentiles rest on too few requests, and how many would do.
func roughly(m *metrics.Summary) string {
	var rough []string
	needs := int64(0)
	for _, l := range []struct {
		name  string
		known metrics.Precision
	}{{"TTFT", m.KnownTTFT}, {"TPOT", m.KnownTPOT}, {"E2E", m.KnownE2E}} {
		if l.known.Needs > m.Measured {
			rough = append(rough, fmt.Sprintf("%s ± %.0f %%", l.name, math.Ceil(100*l.known.Error)))
			needs = max(needs, l.known.Needs)
		}
	}
	if len(rough) == 0 {
		return ""
	}
	round := math.Pow(10, math.Floor(math.Log10(float64(needs))))
	return fmt.Sprintf("p99 rests on %d requests, some of which wait for the same queue: %s (95 %%, by batch means); about %.0f requests would make that %.0f %%, or --seeds tells",
		m.Measured, strings.Join(rough, ", "), math.Ceil(float64(needs)/round)*round, 100*metrics.P99Error)
}
