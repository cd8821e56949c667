package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
)

// snapshot is a moment of a run with two pools.
func snapshot(now des.Time) *metrics.Snapshot {
	r := metrics.NewRecorder(metrics.Config{
		Pools: []string{"prefill", "decode"}, Expect: 100, Links: []float64{1e9, 1e9},
		Hardware: []metrics.Hardware{{Chips: 1, Peak: 4e12, HBM: 1e12}, {Chips: 1, Peak: 4e12, HBM: 1e12}},
	})
	step := &cost.Step{}
	step.Causes[cause.Compute], step.Causes[cause.HBMKV] = 2e9, 5e8
	step.LinkBytes[1], step.Flops, step.Bytes = 1e9, 1e12, 1e12
	r.Step(0, metrics.Prefill, step, 4096, 1)
	r.Step(1, metrics.Decode, step, 0, 7)
	r.Gaps(30e6, 7)
	r.Prefix(8, 2)
	r.Initial()
	for range 5 {
		r.Arrive()
	}
	r.Complete(&metrics.Completion{FirstToken: 7e7, Finish: 27e7, Prefill: 7e7, Decode: 20e7, InputTokens: 4096, OutputTokens: 11, Measured: true})
	s := &metrics.Snapshot{Now: now, Events: 1234, Instances: []metrics.Instance{
		{Pool: 0, Running: 1, Waiting: 4, KVUsed: 10, KVCapacity: 100},
		{Pool: 1, Running: 3, KVUsed: 75, KVCapacity: 100},
		{Pool: 1, Running: 2, KVUsed: 0, KVCapacity: 0},
	}}
	r.Fill(s)
	return s
}

func testExporter() *exporter {
	p := &published{snapshot: snapshot(12_500_000_000), speed: 60.5, model: "deepseek-v4-pro", tiers: []string{"board", "fabric"}}
	e := newExporter(func() *published { return p })
	e.come = func() *advance { return &advance{ratio: 0.25, points: map[string]int{"finished": 1, "waiting": 3}} }
	return e
}

// exposition is what a scrape of testExporter reads, by and large.
const exposition = `
# HELP clustersim_events_total Events processed.
# TYPE clustersim_events_total counter
clustersim_events_total 1234
# HELP clustersim_link_utilisation_ratio Bytes over what the chips' links of a tier can carry when all do; the mean since the last observation.
# TYPE clustersim_link_utilisation_ratio gauge
clustersim_link_utilisation_ratio{tier="board"} 0
clustersim_link_utilisation_ratio{tier="fabric"} 0.4
# HELP clustersim_pool_busy_ratio Share of the time of a pool's instances that is in steps, since the last observation.
# TYPE clustersim_pool_busy_ratio gauge
clustersim_pool_busy_ratio{pool="decode"} 1
clustersim_pool_busy_ratio{pool="prefill"} 1
# HELP clustersim_pool_mbu_ratio Compulsory HBM bytes of a pool over its chips' bandwidth, since the last observation.
# TYPE clustersim_pool_mbu_ratio gauge
clustersim_pool_mbu_ratio{pool="decode"} 0.4
clustersim_pool_mbu_ratio{pool="prefill"} 0.4
# HELP clustersim_pool_mfu_ratio Model FLOPs of a pool over its chips' peak, since the last observation.
# TYPE clustersim_pool_mfu_ratio gauge
clustersim_pool_mfu_ratio{pool="decode"} 0.1
clustersim_pool_mfu_ratio{pool="prefill"} 0.1
# HELP clustersim_progress_ratio Share of the command's work that is done.
# TYPE clustersim_progress_ratio gauge
clustersim_progress_ratio 0.25
# HELP clustersim_requests Requests by state; initial, arrived, completed, rejected and lost add up over the run.
# TYPE clustersim_requests gauge
clustersim_requests{state="arrived"} 5
clustersim_requests{state="completed"} 1
clustersim_requests{state="in_flight"} 5
clustersim_requests{state="initial"} 1
clustersim_requests{state="lost"} 0
clustersim_requests{state="measured"} 1
clustersim_requests{state="rejected"} 0
# HELP clustersim_simulated_seconds_total Simulated time since the start of the run; other rates divided by this one's are per simulated second.
# TYPE clustersim_simulated_seconds_total counter
clustersim_simulated_seconds_total 12.5
# HELP clustersim_speed_ratio Simulated seconds per wall second since the start of the run.
# TYPE clustersim_speed_ratio gauge
clustersim_speed_ratio 60.5
# HELP clustersim_sweep_points Points of the sweep by state: finished, failed, running or waiting.
# TYPE clustersim_sweep_points gauge
clustersim_sweep_points{state="finished"} 1
clustersim_sweep_points{state="waiting"} 3
# HELP vllm:generation_tokens_total Output tokens emitted.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{instance="all",model_name="deepseek-v4-pro",pool="decode"} 8
# HELP vllm:kv_cache_usage_perc KV cache in use; 1 is all of it.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{instance="0",model_name="deepseek-v4-pro",pool="decode"} 0.75
vllm:kv_cache_usage_perc{instance="1",model_name="deepseek-v4-pro",pool="decode"} 0
vllm:kv_cache_usage_perc{instance="0",model_name="deepseek-v4-pro",pool="prefill"} 0.1
# HELP vllm:num_requests_running Requests in the running batch.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{instance="0",model_name="deepseek-v4-pro",pool="decode"} 3
vllm:num_requests_running{instance="1",model_name="deepseek-v4-pro",pool="decode"} 2
vllm:num_requests_running{instance="0",model_name="deepseek-v4-pro",pool="prefill"} 1
# HELP vllm:num_requests_waiting Requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{instance="0",model_name="deepseek-v4-pro",pool="decode"} 0
vllm:num_requests_waiting{instance="1",model_name="deepseek-v4-pro",pool="decode"} 0
vllm:num_requests_waiting{instance="0",model_name="deepseek-v4-pro",pool="prefill"} 4
# HELP vllm:prefix_cache_hits Prompt blocks found in the prefix cache.
# TYPE vllm:prefix_cache_hits counter
vllm:prefix_cache_hits{instance="all",model_name="deepseek-v4-pro",pool="prefill"} 2
# HELP vllm:prefix_cache_queries Prompt blocks looked up in the prefix cache.
# TYPE vllm:prefix_cache_queries counter
vllm:prefix_cache_queries{instance="all",model_name="deepseek-v4-pro",pool="prefill"} 8
# HELP vllm:prompt_tokens_total Prompt tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{instance="all",model_name="deepseek-v4-pro",pool="prefill"} 4096
# HELP vllm:time_to_first_token_seconds Time from arrival to first token of completed requests.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.001"} 0
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.005"} 0
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.01"} 0
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.02"} 0
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.04"} 0
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.06"} 0
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.08"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.1"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.25"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.5"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="0.75"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="1"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="2.5"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="5"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="7.5"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="10"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="20"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="40"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="80"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="160"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="640"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="2560"} 1
vllm:time_to_first_token_seconds_bucket{instance="all",model_name="deepseek-v4-pro",pool="prefill",le="+Inf"} 1
vllm:time_to_first_token_seconds_sum{instance="all",model_name="deepseek-v4-pro",pool="prefill"} 0.07
vllm:time_to_first_token_seconds_count{instance="all",model_name="deepseek-v4-pro",pool="prefill"} 1
`

func TestExporterWritesTheSnapshot(t *testing.T) {
	var names []string
	for _, line := range strings.Split(exposition, "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "TYPE" {
			names = append(names, f[2])
		}
	}
	if err := testutil.CollectAndCompare(testExporter(), strings.NewReader(exposition), names...); err != nil {
		t.Error(err)
	}
}

// promised are the contract's metrics with type and labels.
var promised = map[string]struct {
	kind, labels string
}{
	"vllm:num_requests_running":                  {"GAUGE", "instance model_name pool"},
	"vllm:num_requests_waiting":                  {"GAUGE", "instance model_name pool"},
	"vllm:kv_cache_usage_perc":                   {"GAUGE", "instance model_name pool"},
	"vllm:time_to_first_token_seconds":           {"HISTOGRAM", "instance model_name pool"},
	"vllm:inter_token_latency_seconds":           {"HISTOGRAM", "instance model_name pool"},
	"vllm:request_time_per_output_token_seconds": {"HISTOGRAM", "instance model_name pool"},
	"vllm:e2e_request_latency_seconds":           {"HISTOGRAM", "instance model_name pool"},
	"vllm:prefix_cache_queries":                  {"COUNTER", "instance model_name pool"},
	"vllm:prefix_cache_hits":                     {"COUNTER", "instance model_name pool"},
	"vllm:prompt_tokens_total":                   {"COUNTER", "instance model_name pool"},
	"vllm:generation_tokens_total":               {"COUNTER", "instance model_name pool"},
	"clustersim_progress_ratio":                  {"GAUGE", ""},
	"clustersim_sweep_points":                    {"GAUGE", "state"},
	"clustersim_simulated_seconds_total":         {"COUNTER", ""},
	"clustersim_speed_ratio":                     {"GAUGE", ""},
	"clustersim_events_total":                    {"COUNTER", ""},
	"clustersim_requests":                        {"GAUGE", "state"},
	"clustersim_cause_seconds_total":             {"COUNTER", "cause phase"},
	"clustersim_link_utilisation_ratio":          {"GAUGE", "tier"},
	"clustersim_pool_mfu_ratio":                  {"GAUGE", "pool"},
	"clustersim_pool_mbu_ratio":                  {"GAUGE", "pool"},
	"clustersim_pool_busy_ratio":                 {"GAUGE", "pool"},
}

func TestExporterIsTheContract(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(testExporter())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != len(promised) {
		t.Errorf("%d families, want %d", len(families), len(promised))
	}
	for _, f := range families {
		want, ok := promised[f.GetName()]
		if !ok {
			t.Errorf("%s is not in the contract", f.GetName())
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		if f.GetType().String() != want.kind || strings.Join(labels, " ") != want.labels {
			t.Errorf("%s is a %s of %v, want %+v", f.GetName(), f.GetType(), labels, want)
		}
		if f.GetName() == "clustersim_cause_seconds_total" && len(f.GetMetric()) != int(metrics.NumPhases)*int(cause.Count) {
			t.Errorf("%d series of causes", len(f.GetMetric()))
		}
	}
}

// Prometheus's linter has nothing to say beyond what the engines' own names cost.
func TestExporterLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(testExporter())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		named := strings.HasPrefix(p.Metric, "vllm:")
		if !named || !strings.Contains(p.Text, "':'") && !strings.Contains(p.Text, `"_total" suffix`) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestExporterBeforeTheFirstSnapshot(t *testing.T) {
	e := newExporter(func() *published { return nil })
	if n := testutil.CollectAndCount(e); n != 0 {
		t.Errorf("%d series", n)
	}
}
