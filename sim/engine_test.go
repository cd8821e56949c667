package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/scenario"
)

// scenarios go through every kind of deployment and workload, each in well under a
// second.
var scenarios = map[string]string{
	"aggregated, Poisson": `
version: 1
model: llama-3.1-8b
topology: hgx-h100
workload: {rate: 30, requests: 600, input_tokens: "lognormal(mean=800,p99=4000)", output_tokens: "exp(120)", start: empty}
deployment: {mode: aggregated, serve: {instances: 4, tp: 2}}
seed: 3
`,
	"aggregated, agents with prefixes": `
version: 1
model: gpt-oss-120b
topology: hgx-b200
workload: {profile: agent, rate: 2, requests: 300, start: empty}
deployment: {mode: aggregated, serve: {instances: 2, tp: 4, ep: 4}}
router: {policy: power-of-two}
seed: 5
`,
	"disaggregated, stationary, drafts": `
version: 1
model: v4-flash
topology: supernode8912
workload: {rate: 40, requests: 800, input_tokens: "lognormal(mean=2000,p99=9000)", output_tokens: "exp(150)"}
deployment:
  mode: disaggregated
  prefill: {instances: 4, dp: 8, ep: 8}
  decode: {instances: 2, dp: 16, ep: 16}
  mtp: {drafts: 1}
seed: 7
`,
	"closed loop": `
version: 1
model: v3.2
topology: gb200-nvl72
workload: {concurrency: 64, requests: 400, input_tokens: "1024", output_tokens: "uniform(50,300)", think_time: 20ms}
deployment: {mode: aggregated, serve: {instances: 2, dp: 16, ep: 16}}
router: {policy: round-robin}
seed: 11
`,
	"trace": `
version: 1
model: qwen3-30b-a3b
topology: hgx-h200
trace: {file: sample, limit: 500, rate_scale: 4}
deployment:
  mode: disaggregated
  prefill: {instances: 2, tp: 1}
  decode: {instances: 2, tp: 2}
seed: 13
`,
}

func read(t testing.TB, text string) *scenario.Scenario {
	t.Helper()
	s, err := plant.Read("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run gives a scenario's result as JSON, with every completion in front of it.
func run(t testing.TB, s *scenario.Scenario, opt sim.Options) ([]byte, *result.Result) {
	t.Helper()
	var out bytes.Buffer
	opt.OnRequest = func(c *metrics.Completion) { fmt.Fprintln(&out, *c) }
	r, err := sim.Run(t.Context(), s, opt)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	return out.Bytes(), r
}

// A result depends on the scenario and its seed, and on nothing else.
func TestSameScenarioSameResult(t *testing.T) {
	for name, text := range scenarios {
		t.Run(name, func(t *testing.T) {
			first, r := run(t, read(t, text), sim.Options{})
			if r.Requests.Completed < 100 || r.Partial {
				t.Fatalf("%+v", r.Requests)
			}
			again, _ := run(t, read(t, text), sim.Options{})
			if !bytes.Equal(first, again) {
				t.Error("two runs differ")
			}
			before := runtime.GOMAXPROCS(0)
			for _, processors := range []int{1, 2, before} {
				runtime.GOMAXPROCS(processors)
				if out, _ := run(t, read(t, text), sim.Options{}); !bytes.Equal(first, out) {
					t.Errorf("a run on %d processors differs", processors)
				}
			}
			looks := 0
			watched, _ := run(t, read(t, text), sim.Options{ObserveEvents: 100, ObserveInterval: 1e9, Observe: func(*metrics.Snapshot) bool { looks++; return false }})
			if !bytes.Equal(first, watched) || looks == 0 {
				t.Errorf("a run that is watched (%d times) differs", looks)
			}
			if strings.Contains(text, "trace:") {
				return // which no seed draws
			}
			s := read(t, text)
			s.Seed++
			if other, _ := run(t, s, sim.Options{}); bytes.Equal(first, other) {
				t.Error("another seed changes nothing")
			}
		})
	}
}

// The scenario that a result prints reads back and runs to the same result.
func TestPrintedScenarioRunsTheSame(t *testing.T) {
	for name, text := range scenarios {
		first, r := run(t, read(t, text), sim.Options{})
		printed, err := r.Scenario.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, second := run(t, read(t, string(printed)), sim.Options{})
		if !bytes.Equal(first, again) {
			t.Errorf("%s: the printed scenario runs to another result:\n%s", name, printed)
		}
		if twice, err := second.Scenario.Marshal(); err != nil || !bytes.Equal(printed, twice) {
			t.Errorf("%s: %v\nprinted\n%s\nand again\n%s", name, err, printed, twice)
		}
	}
}

// quantity is a number with its unit in a shipped file, below bandwidth or peak.
var (
	bandwidths = regexp.MustCompile(`(bandwidth: )([0-9.]+)([KMGT]B/s)`)
	peaks      = regexp.MustCompile(`(: )([0-9.]+)([KMGTP](?:FLOPS|OPS))`)
)

func doubled(text []byte) []byte {
	for _, r := range []*regexp.Regexp{bandwidths, peaks} {
		text = r.ReplaceAllFunc(text, func(m []byte) []byte {
			p := r.FindSubmatch(m)
			v, err := strconv.ParseFloat(string(p[2]), 64)
			if err != nil {
				panic(err)
			}
			return fmt.Appendf(nil, "%s%g%s", p[1], 2*v, p[3])
		})
	}
	return text
}

// Twice the bandwidths and peaks, of the chip, of its links or of both, make no mean
// slower. Steps then begin at other instants, and which prompts share one with whose
// tokens changes: means may move by a percent for that, that of the first token by two,
// and a percentile by more.
func TestDoubledHardwareIsNeverSlower(t *testing.T) {
	for _, x := range []struct{ scenario, topology, chip string }{
		{"aggregated, Poisson", "hgx-h100", "h100"},
		{"disaggregated, stationary, drafts", "supernode8912", "ascend950dt"},
		{"closed loop", "gb200-nvl72", "gb200"},
	} {
		s := read(t, scenarios[x.scenario])
		_, base := run(t, s, sim.Options{})
		topology, chip := "../topologies/"+x.topology+".yaml", "../topologies/chips/"+x.chip+".yaml"
		if used := base.Deployment; used.Serve != nil && used.Serve.Chip != x.chip || used.Decode != nil && used.Decode.Chip != x.chip {
			t.Fatalf("%s runs on another chip than %s", x.topology, x.chip)
		}
		for _, files := range [][]string{{topology}, {chip}, {topology, chip}} {
			dir := t.TempDir()
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				to := filepath.Join(dir, strings.TrimPrefix(file, "../topologies/"))
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					t.Fatal(err)
				}
				faster := doubled(text)
				if bytes.Equal(faster, text) {
					t.Fatalf("%s has nothing to double", file)
				}
				if err := os.WriteFile(to, faster, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, fast := run(t, s, sim.Options{Source: plant.Source{TopologyDirs: []string{dir}}})
			for _, m := range []struct {
				name             string
				base, fast, most float64
			}{
				{"TTFT", base.Latency.TTFT.Mean, fast.Latency.TTFT.Mean, 1.02}, {"TPOT", base.Latency.TPOT.Mean, fast.Latency.TPOT.Mean, 1.01},
				{"E2E", base.Latency.E2E.Mean, fast.Latency.E2E.Mean, 1.01},
			} {
				if m.fast > m.most*m.base {
					t.Errorf("%s with %v doubled: %s %v ms, %v before", x.scenario, files, m.name, m.fast, m.base)
				}
			}
		}
	}
}

// A run that is interrupted reports what it has, marked partial; what was asked for
// in vain is an error that names the workload.
func TestRunsThatEndEarly(t *testing.T) {
	s := read(t, scenarios["disaggregated, stationary, drafts"])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := sim.Run(ctx, s, sim.Options{ObserveEvents: 2000, Observe: func(*metrics.Snapshot) bool { cancel(); return false }})
	if err != nil || !r.Partial {
		t.Fatalf("cancelled: %v, %+v", err, r)
	}
	if q := r.Requests; q.InFlight == 0 || q.Initial+q.Arrived != q.Completed+q.Rejected+q.Lost+q.InFlight {
		t.Errorf("%+v", q)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	r, err = sim.Run(t.Context(), s, sim.Options{ObserveEvents: 1, Observe: func(*metrics.Snapshot) bool { return true }})
	if err != nil || !r.Partial {
		t.Errorf("stopped at the first event: %v, %+v", err, r)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}

	s = read(t, scenarios["aggregated, Poisson"])
	if err := s.Set("workload.input_tokens", "2000000"); err != nil {
		t.Fatal(err)
	}
	var long *route.TooLongError
	if _, err := sim.Run(t.Context(), s, sim.Options{}); !errors.As(err, &long) || long.Input != 2_000_000 || !strings.HasPrefix(err.Error(), "workload") {
		t.Errorf("a prompt that never fits: %v", err)
	}
}
