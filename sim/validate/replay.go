package validate

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
	"github.com/clustersim/clustersim/traces"
)

// Replay is a run of a real engine that logged every request: what arrived when, and
// what became of it. The prediction sees the arrivals and lengths alone.
type Replay struct {
	Trace  []byte   // in clustersim's own format
	Served []Served // in the order of the trace
}

// Served are one request's measured latencies in milliseconds.
type Served struct {
	TTFT, E2E float64
	TPOT      float64 // NaN for one token
}

// The files of a run in the manner of casys-kaist/LLMServingSim's bench/examples.
const (
	replayRequests = "requests.jsonl"
	replayMeta     = "meta.json"
	replayConfig   = "config.json"
)

// replayMetaDoc is what of a run's meta.json is read: the engine's arguments.
type replayMetaDoc struct {
	Model  string `json:"model"`
	Engine struct {
		TP        int    `json:"tensor_parallel_size"`
		DP        int    `json:"data_parallel_size"`
		Experts   bool   `json:"enable_expert_parallel"`
		Sequences int    `json:"max_num_seqs"`
		Tokens    int    `json:"max_num_batched_tokens"`
		DType     string `json:"dtype"`
		Cache     string `json:"kv_cache_dtype"`
	} `json:"engine_kwargs"`
	Version string `json:"vllm_version"`
}

// replayConfigDoc is what of a run's config.json is read: the hardware.
type replayConfigDoc struct {
	Nodes []struct {
		Instances []struct {
			Hardware string `json:"hardware"`
			Memory   struct {
				Utilisation float64 `json:"mem_util"`
			} `json:"npu_mem"`
		} `json:"instances"`
	} `json:"nodes"`
}

// replayLine is one line of requests.jsonl. arrival_time is the client's clock, the
// others the engine's; both count seconds.
type replayLine struct {
	ID      string  `json:"request_id"`
	Input   int     `json:"input_toks"`
	Output  int     `json:"output_toks"`
	Arrival float64 `json:"arrival_time"`
	Queued  float64 `json:"queued_ts"`
	First   float64 `json:"first_token_ts"`
	Last    float64 `json:"last_token_ts"`
}

// replayClockSeconds bounds a log's clocks, in seconds: 136 years hold every Unix time
// until 2106, and the simulated clock holds the span of any two.
const replayClockSeconds = 1 << 32

// ReadReplay reads a folder with a run's meta.json, config.json and requests.jsonl.
func ReadReplay(name string, dir fs.FS, o ReadOptions) (*Set, error) {
	if len(o.Filters) > 0 {
		return nil, fmt.Errorf("%s: a replayed run has no columns to filter by", name)
	}
	if o.names == nil {
		o.names = nameCache{}
	}
	var meta replayMetaDoc
	var config replayConfigDoc
	for _, file := range []struct {
		name string
		into any
	}{{replayMeta, &meta}, {replayConfig, &config}} {
		data, err := spec.Data.Read(dir.Open(file.name))
		if err != nil {
			return nil, fmt.Errorf("%s: a replayed run has %s, %s and %s: %w", name, replayMeta, replayConfig, replayRequests, err)
		}
		if err := json.Unmarshal(data, file.into); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(name, file.name), err)
		}
	}
	lines, err := readReplayLines(path.Join(name, replayRequests), dir)
	if err != nil {
		return nil, err
	}
	c := Case{ID: path.Base(name), Phase: All, Replay: replayOf(lines)}
	if c.Scenario, err = meta.scenario(&config, &o); err == nil {
		err = c.place(&o)
	}
	if err != nil {
		return &Set{Skipped: []Skipped{{c.ID, oneLine(err)}}}, nil
	}
	c.Measures = c.Replay.measures()
	c.Assumed = []string{"no shared prefixes: the log has lengths, not text"}
	return &Set{Cases: []Case{c}}, nil
}

func readReplayLines(name string, dir fs.FS) ([]replayLine, error) {
	f, err := dir.Open(replayRequests)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	var out []replayLine
	var problems spec.Problems
	in := bufio.NewReader(f)
	for n := 1; len(problems) < maxProblems; n++ {
		text, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 {
			var l replayLine
			if bad := json.Unmarshal(text, &l); bad != nil {
				problems = append(problems, spec.Problem{File: name, Line: n, Column: 1, Text: bad.Error()})
			} else if path, fault := l.fault(); fault != "" {
				problems = append(problems, spec.Problem{File: name, Line: n, Column: 1, Path: path, Text: fault})
			}
			out = append(out, l)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	switch {
	case len(problems) > 0:
		return nil, problems
	case len(out) == 0:
		return nil, fmt.Errorf("%s: has no request", name)
	}
	slices.SortStableFunc(out, func(a, b replayLine) int { return cmp.Compare(a.Arrival, b.Arrival) })
	return out, nil
}

// fault says which field of a line cannot be, and why.
func (l *replayLine) fault() (field, text string) {
	onClock := func(v float64) bool { return v > 0 && v <= replayClockSeconds }
	switch {
	case l.Input < 1 || l.Input > traces.MaxTokens:
		return "input_toks", fmt.Sprintf("must be from 1 to %d, got %d", traces.MaxTokens, l.Input)
	case l.Output < 1 || l.Output > traces.MaxTokens:
		return "output_toks", fmt.Sprintf("must be from 1 to %d, got %d", traces.MaxTokens, l.Output)
	case !onClock(l.Arrival):
		return "arrival_time", fmt.Sprintf("must be above 0 and at most %d seconds, got %v", replayClockSeconds, l.Arrival)
	case !onClock(l.Queued):
		return "queued_ts", fmt.Sprintf("must be above 0 and at most %d seconds, got %v", replayClockSeconds, l.Queued)
	case !(l.First > l.Queued):
		return "first_token_ts", fmt.Sprintf("must be after queued_ts, %v, got %v", l.Queued, l.First)
	case l.Last > replayClockSeconds:
		return "last_token_ts", fmt.Sprintf("must be at most %d seconds, got %v", replayClockSeconds, l.Last)
	case !(l.Last >= l.First):
		return "last_token_ts", fmt.Sprintf("must not be before first_token_ts, %v, got %v", l.First, l.Last)
	}
	return "", ""
}

// replayOf turns a log into a trace and latencies. A request waits in the client's
// socket while the engine is in a step, so latencies count from the client's
// arrival; its clock and the engine's are brought together where they are closest,
// at the request that the engine saw soonest.
func replayOf(lines []replayLine) *Replay {
	ahead := math.Inf(1) // of the engine's clock
	for i := range lines {
		ahead = min(ahead, lines[i].Queued-lines[i].Arrival)
	}
	r := &Replay{Trace: []byte("{\"clustersim_trace\":1}\n"), Served: make([]Served, len(lines))}
	for i := range lines {
		l := &lines[i]
		arrived := l.Arrival + ahead
		r.Trace = fmt.Appendf(r.Trace, "{\"arrival_s\":%s,\"input_tokens\":%d,\"output_tokens\":%d}\n",
			strconv.FormatFloat(l.Arrival-lines[0].Arrival, 'f', 6, 64), l.Input, l.Output)
		r.Served[i] = Served{TTFT: 1e3 * (l.First - arrived), E2E: 1e3 * (l.Last - arrived), TPOT: math.NaN()}
		if l.Output > 1 {
			r.Served[i].TPOT = 1e3 * (l.Last - l.First) / float64(l.Output-1)
		}
	}
	return r
}

// listen has a run take the trace and tell what becomes of each of its requests.
func (r *Replay) listen(opt *sim.Options) []Served {
	served := make([]Served, len(r.Served))
	opt.Stdin = bytes.NewReader(r.Trace)
	opt.OnRequest = func(c *metrics.Completion) {
		s := Served{TTFT: 1e3 * (c.FirstToken - c.Arrival).Seconds(), E2E: 1e3 * (c.Finish - c.Arrival).Seconds(), TPOT: math.NaN()}
		if ns, several := c.TPOT(); several {
			s.TPOT = ns / 1e6
		}
		served[c.Number] = s
	}
	return served
}

// scenario is the deployment that the run's own files state.
func (m *replayMetaDoc) scenario(c *replayConfigDoc, o *ReadOptions) (*scenario.Scenario, error) {
	instances, hardware, memory := 0, "", 0.0
	for _, n := range c.Nodes {
		for _, i := range n.Instances {
			if hardware != "" && hardware != i.Hardware {
				return nil, fmt.Errorf("hardware unknown: instances run on %s and %s", hardware, i.Hardware)
			}
			instances, hardware, memory = instances+1, i.Hardware, i.Memory.Utilisation
		}
	}
	topology, err := findHardware(hardware, o)
	if err != nil {
		return nil, err
	}
	e := &m.Engine
	pool := &scenario.Pool{Instances: instances, TP: max(1, e.TP), DP: max(1, e.DP), MaxTokens: e.Tokens, MaxSequences: e.Sequences}
	if e.Experts {
		pool.EP = pool.TP * pool.DP
	}
	s := &scenario.Scenario{Version: scenario.Version, Seed: 1, Topology: topology, Model: strings.ToLower(path.Base(m.Model))}
	s.Trace = &scenario.Trace{File: "-", Format: "clustersim"}
	s.Deployment = scenario.Deployment{Mode: "aggregated", Serve: pool, Engine: cmp.Or(o.Engine, "vllm")}
	if memory > 0 {
		s.Patches = s.Patches.With("engine.memory_fraction", strconv.FormatFloat(memory, 'g', -1, 64))
	}
	switch e.DType {
	case "bfloat16", "float16", "auto", "":
		s.Deployment.Precision.Weights = models.BF16
	default:
		return nil, fmt.Errorf("precision unknown: dtype %q", e.DType)
	}
	switch {
	case strings.HasPrefix(e.Cache, "fp8"):
		s.Deployment.Precision.KV = models.FP8
	case e.Cache != "auto" && e.Cache != "":
		return nil, fmt.Errorf("precision unknown: kv_cache_dtype %q", e.Cache)
	}
	return s, nil
}

// findHardware is the topology of a name that is written without its dashes.
func findHardware(name string, o *ReadOptions) (string, error) {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '-' || r == '_' || r == ' ' {
				return -1
			}
			return r
		}, strings.ToLower(s))
	}
	for _, t := range topologies.Names(o.TopologyDirs...) {
		if p := plain(t); p == plain(name) || p == "hgx"+plain(name) {
			return t, nil
		}
	}
	return "", fmt.Errorf("hardware unknown: no topology is named as %q", name)
}
