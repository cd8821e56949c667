package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/golden"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
)

// full has every field set, each number another.
func full() *result.Result {
	return &result.Result{
		Version: result.Version, RunID: "5c1f3a9e-0f5b-5d7e-9b3a-2f4f6f8b1c2d", Seed: 7,
		Scenario: &scenario.Scenario{Version: 1, Model: "v4", Topology: "supernode8912", Seed: 7, SLO: slo.Default(), Router: scenario.Router{Policy: "least-loaded"},
			Workload: &scenario.Workload{Profile: "chat", Rate: 1950, Requests: 800_000, Start: "stationary"},
			Deployment: scenario.Deployment{Engine: "cann", Routing: "power-law(1.01)", MTP: scenario.MTP{Drafts: 1, AcceptedLength: 1.79},
				Precision: scenario.Precision{Weights: models.FP8, Experts: models.MXFP4, KV: models.FP8},
				Chosen:    []string{"deployment.prefill.layout", "deployment.prefill.instances", "deployment.decode.max_tokens", "deployment.mtp.drafts", "deployment.overlap", "workload.rate"}}},
		Clustersim: "v1.2.3 go1.26.8", Substituted: []string{"deepseek-v4-pro: index keys in fp8, not mxfp4: ascend950dt has no published FP4 indexer"},
		Workload: result.Workload{InputTokens: "lognormal(mean=4000,p99=20000)", OutputTokens: "lognormal(mean=500,p99=2500)", Arrivals: "poisson", Requests: 1_000_000, SpanS: 512, MeanInputTokens: 3999, MeanOutputTokens: 501},
		Inputs:   []scenario.Input{{Kind: "model", Name: "deepseek-v4-pro", SHA256: "ab12"}},
		Warnings: []string{
			"deepseek-v4-pro: index keys in fp8, not mxfp4: ascend950dt has no published FP4 indexer",
			"optics of tier fabric: 100 ns a pass is assumed",
			"a long warning that has to be broken over two lines because a page is not wider than one hundred columns, of which some are the margin",
		},
		Requests:   result.Requests{Initial: 12_000, Arrived: 1_000_000, Completed: 995_001, Rejected: 2, Lost: 0, InFlight: 16_997, Measured: 800_000},
		SimulatedS: 512.25,
		Window:     result.Window{StartS: 6, EndS: 415.5, Of: result.WindowArrivals, QueueGrowth: 0.011, Sustained: true},
		Throughput: result.Throughput{InputTokensPerS: 7.81e6, OutputTokensPerS: 976_562.5, RequestsPerS: 1953.1, OutputTokensPerSPerChip: 109.77},
		Latency: result.Latency{
			TTFT: result.Distribution{Mean: 612.5, P50: 550.25, P90: 999.97, P95: 1234.5, P99: 1999.9, Max: 2777, Censored: true},
			TPOT: result.Distribution{Mean: 31.25, P50: 31, P90: 35.5, P95: 36, P99: 41.75, Max: 49.9},
			ITL:  result.Distribution{Mean: 31.2, P50: 30.5, P90: 36, P95: 38.25, P99: 52, Max: 101},
			E2E:  result.Distribution{Mean: 16_200, P50: 14_000, P90: 31_000, P95: 40_000, P99: 61_000, Max: 123_456},
		},
		Goodput: result.Goodput{Fraction: 0.9876, RequestsPerS: 1928.9, SLO: result.SLO{Limits: slo.Default()}},
		Seeds: &result.Seeds{N: 5, Figures: map[string]result.Interval{
			"ttft_ms_mean": {Mean: 610, HalfWidth95: 12.5}, "ttft_ms_p50": {Mean: 551, HalfWidth95: 3}, "ttft_ms_p99": {Mean: 2010, HalfWidth95: 120},
			"tpot_ms_p99": {Mean: 41.5, HalfWidth95: 0.2}, "requests_per_s": {Mean: 1950, HalfWidth95: 4}, "goodput_fraction": {Mean: 0.98, HalfWidth95: 0.004},
		}},
		Capacity: &result.Capacity{RequestsPerS: 2400, OutputTokensPerSPerChip: 134.9},
		Causes: result.Causes{
			Prefill: result.Shares{cause.Compute: 0.5, cause.HBMWeights: 0.05, cause.HBMAct: 0.04, cause.CommBandwidth: 0.1, cause.CommLatency: 0.06, cause.Launch: 0.01, cause.Host: 0.02, cause.Imbalance: 0.1, cause.Idle: 0.12},
			Decode:  result.Shares{cause.Compute: 0.08, cause.HBMWeights: 0.3, cause.HBMKV: 0.2, cause.HBMAct: 0.01, cause.CommBandwidth: 0.05, cause.CommLatency: 0.12, cause.Launch: 0.07, cause.Host: 0.03, cause.Imbalance: 0.06, cause.Idle: 0.08},
			NS: result.CausesNS{
				Prefill: result.PhaseNS{Causes: [cause.Count]int64{cause.Compute: 500, cause.HBMWeights: 50, cause.HBMAct: 40, cause.CommBandwidth: 100, cause.CommLatency: 60, cause.Launch: 10, cause.Host: 20, cause.Imbalance: 100, cause.Idle: 120}, Tau: 9, Hidden: 77},
				Decode:  result.PhaseNS{Causes: [cause.Count]int64{cause.Compute: 80, cause.HBMWeights: 300, cause.HBMKV: 200, cause.HBMAct: 10, cause.CommBandwidth: 50, cause.CommLatency: 120, cause.Launch: 70, cause.Host: 30, cause.Imbalance: 60, cause.Idle: 80}, Tau: 31, Hidden: 5},
			},
			Request: result.RequestSpans{Queue: 0.01, Prefill: 0.03, KVTransfer: 0.005, Decode: 0.95, Preempted: 0.005},
		},
		Bottleneck: &result.Bottleneck{Pool: "prefill", Limit: "TTFT", Gains: map[string]float64{"compute": 0.11, "latency": 0.01}, Capacities: map[string]float64{"prefill": 2310, "decode": 2600}, Sentence: "said"},
		Utilisation: result.Utilisation{MFU: 0.123, MBU: 0.456, Pools: map[string]result.PoolUse{"prefill": {MFU: 0.5, MBU: 0.1, Busy: 0.9}, "decode": {MFU: 0.05, MBU: 0.6, Busy: 1}},
			Links: map[string]result.LinkUse{"fabric": {Mean: 0.02, Busiest: 0.07}, "board": {Mean: 0.31, Busiest: 0.44}}},
		KV:     result.KV{CapacityBytes: 1_200_000_000_000_000, PeakBytes: 400_000_000_000_000, BytesPerToken: 3512.5, PrefixHitRate: 0.25, Preemptions: 3},
		Energy: &result.Energy{JoulesPerOutputToken: 9.1, WattsMean: 8.9e6},
		Deployment: result.DeploymentInfo{
			Mode: "disaggregated", Chips: 8896, Unused: 16, TopologyChips: 8912, Why: "highest throughput of 120 candidates that meet the SLO",
			Prefill: &result.PoolInfo{
				Chip: "ascend950dt", Instances: 35, ChipsPerInstance: 64, Engine: "cann", WeightBytes: 14 << 30, KVBytes: 100 << 30,
				Layout: result.PoolLayout{TP: 1, DP: 64, EP: 64, PP: 1, CP: 1, Overlap: "wave"}, MaxTokens: 16384, MaxSequences: 64,
			},
			Decode: &result.PoolInfo{
				Chip: "ascend950dt", Instances: 52, ChipsPerInstance: 128, Engine: "cann", WeightBytes: 7 << 30, KVBytes: 107 << 30,
				Layout: result.PoolLayout{TP: 1, DP: 128, EP: 128, PP: 1, CP: 1, Redundant: 128, Overlap: "wave"}, MaxTokens: 1024, MaxSequences: 128,
			},
		},
	}
}

// pooled lists the pools that stand under their names, as a run does.
func pooled(r *result.Result) *result.Result {
	d := &r.Deployment
	d.Pools = nil
	for _, p := range []struct {
		name, does string
		pool       *result.PoolInfo
	}{{"prefill", "prefill", d.Prefill}, {"decode", "decode", d.Decode}, {"serve", "mixed", d.Serve}} {
		if p.pool != nil {
			p.pool.Name, p.pool.Does, p.pool.Chips = p.name, p.does, p.pool.Instances*p.pool.ChipsPerInstance
			d.Pools = append(d.Pools, *p.pool)
		}
	}
	return r
}

func TestTextGolden(t *testing.T) {
	shared := full()
	shared.Partial, shared.Capacity, shared.Energy, shared.Warnings = true, nil, nil, nil
	shared.Bottleneck, shared.Seeds = nil, nil
	shared.Deployment.Serve, shared.Deployment.Prefill, shared.Deployment.Decode = shared.Deployment.Decode, nil, nil
	shared.Deployment.Mode, shared.Deployment.Why = "aggregated", ""
	shared.Utilisation.Pools = map[string]result.PoolUse{"serve": {MFU: 0.123, MBU: 0.456, Busy: 0.9}}
	for name, r := range map[string]*result.Result{"disaggregated": pooled(full()), "aggregated": pooled(shared), "empty": {}} {
		var out bytes.Buffer
		if err := Text(&out, r); err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(out.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > columns || strings.ContainsRune(line, '\x1b') {
				t.Errorf("%s:%d: %d columns: %s", name, i+1, n, line)
			}
		}
		golden.Equal(t, "testdata/"+name+".txt", out.Bytes())
	}
}

// contract is the result's JSON as it was promised: every path, in its order.
const contract = `version run_id clustersim partial scenario inputs seed warnings substituted
workload.input_tokens workload.output_tokens workload.arrivals workload.requests workload.span_s workload.mean_input_tokens workload.mean_output_tokens
requests.initial requests.arrived requests.completed requests.rejected requests.lost requests.in_flight requests.measured
simulated_s window.start_s window.end_s window.of window.queue_growth window.sustained
throughput.input_tokens_per_s throughput.output_tokens_per_s throughput.requests_per_s throughput.output_tokens_per_s_per_chip
latency.ttft_ms.{dist} latency.ttft_ms.censored latency.tpot_ms.{dist} latency.itl_ms.{dist} latency.e2e_ms.{dist}
goodput.fraction goodput.requests_per_s goodput.slo.ttft_ms goodput.slo.ttft_prompt_tokens goodput.slo.tpot_ms goodput.slo.words
seeds.n seeds.ttft_ms_mean.{interval} seeds.ttft_ms_p50.{interval} seeds.ttft_ms_p99.{interval} seeds.tpot_ms_p99.{interval} seeds.requests_per_s.{interval} seeds.goodput_fraction.{interval}
capacity.requests_per_s capacity.output_tokens_per_s_per_chip
causes.prefill.{causes} causes.decode.{causes}
causes.ns.prefill.{causes} causes.ns.prefill.tau causes.ns.prefill.hidden causes.ns.decode.{causes} causes.ns.decode.tau causes.ns.decode.hidden
causes.request.queue causes.request.prefill causes.request.kv_transfer causes.request.decode causes.request.preempted
bottleneck.pool bottleneck.limit bottleneck.gains.compute bottleneck.gains.latency bottleneck.capacity_requests_per_s.prefill bottleneck.capacity_requests_per_s.decode bottleneck.sentence
utilisation.mfu utilisation.mbu utilisation.pools.prefill.{use} utilisation.pools.decode.{use} utilisation.links.board.{link} utilisation.links.fabric.{link}
kv.capacity_bytes kv.peak_bytes kv.bytes_per_token kv.prefix_hit_rate kv.preemptions
energy.joules_per_output_token energy.watts_mean
deployment.mode deployment.chips deployment.spare deployment.unused deployment.topology_chips`

var braces = map[string]string{
	"{interval}": "mean half_width_95",
	"{use}":      "mfu mbu busy",
	"{link}":     "mean busiest",
	"{dist}":     "mean p50 p90 p95 p99 max",
	"{causes}":   "compute hbm_weights hbm_kv hbm_act comm_bandwidth comm_latency launch host imbalance idle",
}

func TestJSONFieldsAreTheContracts(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out, full()); err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(out.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(contract) {
		paths := []string{path}
		for name, parts := range braces {
			if prefix, ok := strings.CutSuffix(path, name); ok {
				paths = nil
				for _, part := range strings.Fields(parts) {
					paths = append(paths, prefix+part)
				}
			}
		}
		for _, p := range paths {
			remove(t, tree, p)
		}
	}
	delete(tree["deployment"].(map[string]any), "why")
	delete(tree["deployment"].(map[string]any), "pools")
	delete(tree["deployment"].(map[string]any), "prefill")
	delete(tree["deployment"].(map[string]any), "decode")
	var left bytes.Buffer
	report := json.NewEncoder(&left)
	if prune(tree); len(tree) > 0 {
		report.Encode(tree)
		t.Errorf("fields that the contract does not name: %s", left.String())
	}
}

// remove takes one path out of a tree, which must have it.
func remove(t *testing.T, tree map[string]any, path string) {
	parts := strings.Split(path, ".")
	for _, p := range parts[:len(parts)-1] {
		next, ok := tree[p].(map[string]any)
		if !ok {
			t.Errorf("%s is missing", path)
			return
		}
		tree = next
	}
	last := parts[len(parts)-1]
	if _, ok := tree[last]; !ok {
		t.Errorf("%s is missing", path)
	}
	delete(tree, last)
}

func prune(tree map[string]any) {
	for k, v := range tree {
		if sub, ok := v.(map[string]any); ok {
			if prune(sub); len(sub) == 0 {
				delete(tree, k)
			}
		}
	}
}

func TestJSONReadsBack(t *testing.T) {
	var first, second bytes.Buffer
	if err := JSON(&first, full()); err != nil {
		t.Fatal(err)
	}
	var r result.Result
	dec := json.NewDecoder(bytes.NewReader(first.Bytes()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&second, &r); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("got %s, want %s", second.String(), first.String())
	}
}

// Every leaf of the JSON is a row, and nothing else is.
func TestCSVHasEveryLeaf(t *testing.T) {
	var text, table bytes.Buffer
	if err := errors.Join(JSON(&text, full()), CSV(&table, full())); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0], ","); got != "path,value" {
		t.Errorf("header %s", got)
	}
	got := map[string]string{}
	for _, row := range rows[1:] {
		if _, twice := got[row[0]]; twice {
			t.Errorf("%s comes twice", row[0])
		}
		got[row[0]] = row[1]
	}
	var tree any
	dec := json.NewDecoder(&text)
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	leaves(tree, "", want)
	for path, v := range want {
		if got[path] != v {
			t.Errorf("%s is %q, want %q", path, got[path], v)
		}
		delete(got, path)
	}
	if len(got) > 0 {
		t.Errorf("rows that are no leaf: %v", got)
	}
}

func leaves(v any, path string, out map[string]string) {
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for k, e := range v {
			leaves(e, join(k), out)
		}
	case []any:
		for i, e := range v {
			leaves(e, join(strconv.Itoa(i)), out)
		}
	default:
		out[path] = fmt.Sprint(v)
	}
}

func TestFindNamesTheNearest(t *testing.T) {
	if _, err := Find("jsn"); err == nil || !strings.Contains(err.Error(), "json") {
		t.Errorf("got %v", err)
	}
	for _, f := range Formats {
		if _, err := Find(f.Name); err != nil {
			t.Error(err)
		}
		if err := f.Write(failing{}, full()); err == nil {
			t.Errorf("%s hides that it could not write", f.Name)
		}
	}
}

// narrow is a terminal.
type narrow struct {
	bytes.Buffer
	columns int
}

func (n *narrow) Columns() int { return n.columns }

// A page is as wide as the terminal, where that is narrower.
func TestTextFits(t *testing.T) {
	for _, wide := range []int{100, 80, 72} {
		out := &narrow{columns: wide}
		if err := Text(out, full()); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > wide {
				t.Errorf("%d of %d columns: %s", n, wide, line)
			}
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(-1234567): "-1,234,567", count(1000): "1,000",
		figure(0): "0", figure(0.0123456): "0.012", figure(9.9996): "10.00", figure(99.996): "100.0", figure(999.96): "1,000", figure(1e-5): "1e-05",
		si(999): "999.0 ", si(999.6): "1.000 k", si(1.5e15): "1.500 P", si(0): "0 ", si(3e21): "3,000 E",
		bar(0, 4): "    ", bar(1, 4): "████", bar(0.5, 4): "██  ", bar(0.53125, 4): "██▏ ", bar(2, 2): "██",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
