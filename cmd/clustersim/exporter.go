package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/metrics"
)

// everyInstance is the instance label of series that a pool's instances share.
const everyInstance = "all"

// exporter is a Prometheus collector over the latest snapshot. It holds no state of
// its own: a scrape reads one pointer, and the run never waits for it.
type exporter struct {
	latest func() *published
	come   func() *advance

	running, waiting, kvUsage    *prometheus.Desc
	ttft, itl, tpot, e2e         *prometheus.Desc
	queries, hits                *prometheus.Desc
	prompt, generation           *prometheus.Desc
	simulated, speed, events     *prometheus.Desc
	requests, causeSeconds, link *prometheus.Desc
	mfu, mbu, busy               *prometheus.Desc
	progress, points             *prometheus.Desc
}

func newExporter(latest func() *published) *exporter {
	engine := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("vllm:"+name, help, []string{"model_name", "pool", "instance"}, nil)
	}
	own := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("clustersim_"+name, help, labels, nil)
	}
	return &exporter{
		latest:       latest,
		come:         func() *advance { return nil },
		running:      engine("num_requests_running", "Requests in the running batch."),
		waiting:      engine("num_requests_waiting", "Requests waiting to be processed."),
		kvUsage:      engine("kv_cache_usage_perc", "KV cache in use; 1 is all of it."),
		ttft:         engine("time_to_first_token_seconds", "Time from arrival to first token of completed requests."),
		itl:          engine("inter_token_latency_seconds", "Gaps between output events."),
		tpot:         engine("request_time_per_output_token_seconds", "Mean time per output token after the first, by request."),
		e2e:          engine("e2e_request_latency_seconds", "Time from arrival to last token."),
		queries:      engine("prefix_cache_queries", "Prompt blocks looked up in the prefix cache."),
		hits:         engine("prefix_cache_hits", "Prompt blocks found in the prefix cache."),
		prompt:       engine("prompt_tokens_total", "Prompt tokens processed."),
		generation:   engine("generation_tokens_total", "Output tokens emitted."),
		simulated:    own("simulated_seconds_total", "Simulated time since the start of the run; other rates divided by this one's are per simulated second."),
		speed:        own("speed_ratio", "Simulated seconds per wall second since the start of the run."),
		events:       own("events_total", "Events processed."),
		requests:     own("requests", "Requests by state; initial, arrived, completed, rejected and lost add up over the run.", "state"),
		causeSeconds: own("cause_seconds_total", "Time of instances by phase and cause.", "phase", "cause"),
		link:         own("link_utilisation_ratio", "Bytes over what the chips' links of a tier can carry when all do; the mean since the last observation.", "tier"),
		mfu:          own("pool_mfu_ratio", "Model FLOPs of a pool over its chips' peak, since the last observation.", "pool"),
		mbu:          own("pool_mbu_ratio", "Compulsory HBM bytes of a pool over its chips' bandwidth, since the last observation.", "pool"),
		busy:         own("pool_busy_ratio", "Share of the time of a pool's instances that is in steps, since the last observation.", "pool"),
		progress:     own("progress_ratio", "Share of the command's work that is done."),
		points:       own("sweep_points", "Points of the sweep by state: finished, failed, running or waiting.", "state"),
	}
}

// Describe lists every metric.
func (e *exporter) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{
		e.running, e.waiting, e.kvUsage, e.ttft, e.itl, e.tpot, e.e2e, e.queries, e.hits, e.prompt, e.generation,
		e.simulated, e.speed, e.events, e.requests, e.causeSeconds, e.link, e.mfu, e.mbu, e.busy,
		e.progress, e.points,
	} {
		out <- d
	}
}

// Collect reads how far the command has come and the latest snapshot; before the first
// there is nothing else.
func (e *exporter) Collect(out chan<- prometheus.Metric) {
	if come := e.come(); come != nil {
		out <- gauge(e.progress, come.ratio)
		for state, n := range come.points {
			out <- gauge(e.points, float64(n), state)
		}
	}
	p := e.latest()
	if p == nil {
		return
	}
	e.instances(out, p)
	e.pools(out, p)
	e.run(out, p)
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

// instances are numbered from 0 within their pool.
func (e *exporter) instances(out chan<- prometheus.Metric, p *published) {
	s := p.snapshot
	numbers := make([]int, len(s.Pools))
	for i := range s.Instances {
		in := &s.Instances[i]
		labels := []string{p.model, s.Pools[in.Pool], strconv.Itoa(numbers[in.Pool])}
		numbers[in.Pool]++
		usage := 0.0
		if in.KVCapacity > 0 {
			usage = float64(in.KVUsed) / float64(in.KVCapacity)
		}
		out <- gauge(e.running, float64(in.Running), labels...)
		out <- gauge(e.waiting, float64(in.Waiting), labels...)
		out <- gauge(e.kvUsage, usage, labels...)
	}
}

// pools are the series that belong to a whole pool: prompts to the first, which
// takes arrivals, output to the last, which decodes.
func (e *exporter) pools(out chan<- prometheus.Metric, p *published) {
	s := p.snapshot
	if len(s.Pools) == 0 {
		return
	}
	prompts := []string{p.model, s.Pools[0], everyInstance}
	output := []string{p.model, s.Pools[len(s.Pools)-1], everyInstance}
	out <- histogram(e.ttft, &s.TTFT, prompts...)
	out <- histogram(e.itl, &s.ITL, output...)
	out <- histogram(e.tpot, &s.TPOT, output...)
	out <- histogram(e.e2e, &s.E2E, output...)
	out <- counter(e.queries, float64(s.PrefixQueries), prompts...)
	out <- counter(e.hits, float64(s.PrefixHits), prompts...)
	out <- counter(e.prompt, float64(s.PromptTokens), prompts...)
	out <- counter(e.generation, float64(s.GenerationTokens), output...)
}

func histogram(d *prometheus.Desc, h *metrics.Histogram, labels ...string) prometheus.Metric {
	below := uint64(0)
	buckets := make(map[float64]uint64, len(h.Bounds))
	for i, bound := range h.Bounds {
		below += uint64(h.Counts[i])
		buckets[bound] = below
	}
	return prometheus.MustNewConstHistogram(d, uint64(h.Count), h.Sum, buckets, labels...)
}

func (e *exporter) run(out chan<- prometheus.Metric, p *published) {
	s := p.snapshot
	out <- counter(e.simulated, s.Now.Seconds())
	out <- gauge(e.speed, p.speed)
	out <- counter(e.events, float64(s.Events))
	c := &s.Requests
	for _, state := range [...]struct {
		name string
		n    int64
	}{
		{"initial", c.Initial}, {"arrived", c.Arrived}, {"completed", c.Completed},
		{"rejected", c.Rejected}, {"lost", c.Lost}, {"in_flight", c.InFlight}, {"measured", s.Measured},
	} {
		out <- gauge(e.requests, float64(state.n), state.name)
	}
	var all metrics.Ledger
	for i := range s.Ledgers {
		all.Add(&s.Ledgers[i])
	}
	for phase, name := range metrics.PhaseNames {
		for c, ns := range all.Causes[phase] {
			out <- counter(e.causeSeconds, float64(ns)/1e9, name, cause.Names[c])
		}
	}
	for i, u := range s.Use.Links {
		if i < len(p.tiers) {
			out <- gauge(e.link, u.Mean, p.tiers[i])
		}
	}
	for i, u := range s.Use.Pools {
		out <- gauge(e.mfu, u.MFU, s.Pools[i])
		out <- gauge(e.mbu, u.MBU, s.Pools[i])
		out <- gauge(e.busy, u.Busy, s.Pools[i])
	}
}
