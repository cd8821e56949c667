package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/typeset"
)

// Text writes a page for a person, as wide as the writer is at most, no colours.
func Text(w io.Writer, r *result.Result) error {
	p := &page{columns: min(columns, typeset.Columns(w))}
	p.head(r)
	p.latency(r)
	p.rates(r)
	p.seeds(r.Seeds)
	p.causes(r)
	p.resources(r)
	if r.Deployment.Why != "" {
		p.list("why this layout", []string{r.Deployment.Why})
	}
	p.list("warnings", slices.DeleteFunc(slices.Clone(r.Warnings), func(w string) bool { return slices.Contains(r.Substituted, w) }))
	out := typeset.NewPage(w)
	_, err := io.WriteString(out, p.String())
	return errors.Join(err, out.Flush())
}

// page collects lines; nothing can fail until it is written.
type page struct {
	strings.Builder
	columns int
}

func (p *page) line(format string, args ...any) {
	p.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	p.WriteByte('\n')
}

// field writes a label and a text beside it, wrapped under itself.
func (p *page) field(label, format string, args ...any) {
	for i, line := range typeset.Wrap(fmt.Sprintf(format, args...), p.columns-labelWidth) {
		if i > 0 {
			label = ""
		}
		p.line("%-*s%s", labelWidth, label, line)
	}
}

// head says what was asked, what was deployed for it, and what came in.
func (p *page) head(r *result.Result) {
	d := &r.Deployment
	if r.Partial {
		p.line("PARTIAL: %s at %s of simulated time", cmp.Or(r.Reason, "interrupted"), seconds(r.SimulatedS))
	}
	s := r.Scenario
	if s == nil {
		s = &scenario.Scenario{}
	}
	what := fmt.Sprintf("%s on %s, %s: %s of %s chips (%s spare, %s unused)", s.Model, s.Topology, d.Mode,
		count(int64(d.Chips)), count(int64(d.TopologyChips)), count(int64(d.Spare)), count(int64(d.Unused)))
	p.line("%s", what)
	p.asked(s, &r.Workload, r.Substituted)
	for i := range d.Pools {
		p.pool(s, &d.Pools[i])
	}
	q := &r.Requests
	p.field("requests", "%s arrived, %s completed, %s measured; %s in flight at the start, %s at the end; %s rejected",
		count(q.Arrived), count(q.Completed), count(q.Measured), count(q.Initial), count(q.InFlight), count(q.Rejected))
	p.field("simulated", "%s, by clustersim %s", seconds(r.SimulatedS), r.Clustersim)
	if w := &r.Window; w.Of != "" {
		p.field("window", "%s to %s, %s", seconds(w.StartS), seconds(w.EndS), w.Of.Words())
	}
}

func (p *page) latency(r *result.Result) {
	p.line("")
	wide := min(11, (p.columns-labelWidth-len("  censored"))/6)
	p.line("%-*s%*s%*s%*s%*s%*s%*s", labelWidth, "latency [ms]", wide, "mean", wide, "p50", wide, "p90", wide, "p95", wide, "p99", wide, "max")
	rows := [...]struct {
		name string
		d    *result.Distribution
	}{
		{"TTFT", &r.Latency.TTFT}, {"TPOT", &r.Latency.TPOT}, {"ITL", &r.Latency.ITL}, {"E2E", &r.Latency.E2E},
	}
	for _, row := range rows {
		d, mark := row.d, ""
		if d.Censored {
			mark = "  censored"
		}
		if d.MaxAtLeast {
			mark = " at least"
		}
		p.line("  %-*s%*s%*s%*s%*s%*s%*s%s", labelWidth-2, row.name, wide, figure(d.Mean), wide, figure(d.P50), wide, figure(d.P90),
			wide, figure(d.P95), wide, figure(d.P99), wide, figure(d.Max), mark)
	}
}

func (p *page) rates(r *result.Result) {
	t, g := &r.Throughput, &r.Goodput
	p.line("")
	cached := ""
	if r.KV.PrefixHitRate > 0 {
		cached = " (prefix hits apart)"
	}
	p.field("throughput", "%s requests/s; tokens/s: %s in%s, %s out, %s out a chip",
		figure(t.RequestsPerS), si(t.InputTokensPerS), cached, si(t.OutputTokensPerS), figure(t.OutputTokensPerSPerChip))
	p.field("goodput", "%s of requests within %s: %s requests/s", percent(g.Fraction), g.SLO, figure(g.RequestsPerS))
	if c := r.Capacity; c != nil {
		p.field("capacity", "%s requests/s, %s output tokens/s a chip: the highest rate at which probe runs kept 90 %% of requests within the SLO", figure(c.RequestsPerS), figure(c.OutputTokensPerSPerChip))
	}
}

// seeds are the figures of several runs.
func (p *page) seeds(s *result.Seeds) {
	if s == nil {
		return
	}
	show := func(name string) string {
		f := s.Figures[name]
		return figure(f.Mean) + " ± " + figure(f.HalfWidth95)
	}
	p.line("")
	p.line("over %d seeds, the mean and half of its 95 %% interval; all else here is of the first seed", s.N)
	p.line("%-*s%18s%18s%18s", labelWidth, "latency [ms]", "mean", "p50", "p99")
	for _, l := range [...][2]string{{"TTFT", "ttft_ms_"}, {"TPOT", "tpot_ms_"}, {"ITL", "itl_ms_"}, {"E2E", "e2e_ms_"}} {
		p.line("  %-*s%18s%18s%18s", labelWidth-2, l[0], show(l[1]+"mean"), show(l[1]+"p50"), show(l[1]+"p99"))
	}
	good := s.Figures["goodput_fraction"]
	p.field("throughput", "%s requests/s, %s output tokens/s a chip; %s ± %s of requests within the SLO",
		show("requests_per_s"), show("output_tokens_per_s_per_chip"), percent(good.Mean), percent(good.HalfWidth95))
}

// delays says how much of the phases' time the topology's delays are, and of the latency
// of communication, the rest of which is software.
func (p *page) delays(r *result.Result) {
	var parts []string
	var tau, latency int64
	for _, x := range []struct {
		name string
		ns   *result.PhaseNS
	}{{"prefill", &r.Causes.NS.Prefill}, {"decode", &r.Causes.NS.Decode}} {
		if all := x.ns.Working(); all > 0 {
			parts = append(parts, percent(ratio(x.ns.Tau, all))+" of "+x.name)
		}
		tau, latency = tau+x.ns.Tau, latency+x.ns.Causes[cause.CommLatency]
	}
	if latency > 0 {
		p.field("link delays (τ)", "%s; of comm_latency %s, the rest is software", strings.Join(parts, ", "), percent(ratio(tau, latency)))
	}
}

// causes draws the two phases' causes side by side.
func (p *page) causes(r *result.Result) {
	cells := min(26, (p.columns-labelWidth-18)/2)
	prefill, decode := r.Causes.Prefill, r.Causes.Decode
	p.line("")
	p.line("%-*s%-*s  %s", labelWidth, "instances' time", cells+8, "prefill", "decode")
	for c := range cause.Count {
		if prefill[c] < 0.0005 && decode[c] < 0.0005 {
			continue
		}
		p.line("  %-*s%s %7s  %s %7s", labelWidth-2, cause.Names[c],
			bar(prefill[c], cells), percent(prefill[c]), bar(decode[c], cells), percent(decode[c]))
	}
	p.line("")
	p.delays(r)
	p.field("bottleneck", "%s", r.Bound().Sentence)
	s := &r.Causes.Request
	p.field("request's time", "queue %s, prefill %s, KV transfer %s, decode %s, pre-empted %s",
		percent(s.Queue), percent(s.Prefill), percent(s.KVTransfer), percent(s.Decode), percent(s.Preempted))
}

func (p *page) resources(r *result.Result) {
	u, k := &r.Utilisation, &r.KV
	label := "utilisation"
	for i := range r.Deployment.Pools {
		name := r.Deployment.Pools[i].Name
		pool := u.Pools[name]
		p.field(label, "%s: MFU %s, MBU %s, busy %s", name, percent(pool.MFU), percent(pool.MBU), percent(pool.Busy))
		label = ""
	}
	if len(r.Deployment.Pools) > 1 {
		p.field("", "all: MFU %s, MBU %s", percent(u.MFU), percent(u.MBU))
	}
	links := make([]string, 0, len(u.Links))
	for _, tier := range slices.Sorted(maps.Keys(u.Links)) {
		links = append(links, fmt.Sprintf("%s %s, busiest %s", tier, percent(u.Links[tier].Mean), percent(u.Links[tier].Busiest)))
	}
	if len(links) > 0 {
		p.field("links", "%s", strings.Join(links, "; "))
	}
	p.field("KV cache", "peak %sB of %sB (%s), %sB a token, prefix hits %s, %s pre-emptions",
		si(float64(k.PeakBytes)), si(float64(k.CapacityBytes)), percent(ratio(k.PeakBytes, k.CapacityBytes)),
		si(k.BytesPerToken), percent(k.PrefixHitRate), count(k.Preemptions))
	for _, name := range slices.Sorted(maps.Keys(k.Pools)) {
		p.field("  "+name, "%s", k.Pools[name].Text())
	}
	if e := r.Energy; e != nil {
		p.field("energy", "%s J an output token, %sW", figure(e.JoulesPerOutputToken), si(e.WattsMean))
	}
}

func (p *page) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	p.line("")
	p.line("%s", title)
	for _, item := range items {
		for i, line := range typeset.Wrap(item, p.columns-4) {
			lead := "  - "
			if i > 0 {
				lead = "    "
			}
			p.line("%s%s", lead, line)
		}
	}
}
