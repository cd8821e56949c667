package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/topologies"
	"github.com/clustersim/clustersim/traces"
)

// described are the kinds of shipped files, with what is computed from each.
func described(t *testing.T) map[string]description {
	stubs := chipStubs(t)
	return map[string]description{
		"models": {
			glob:     "../../models/*.yaml",
			computed: []func(string) (string, error){modelCounts, modelSteps, modelRun},
			show:     "model show",
			words:    "name published.parameters",
			silent:   "aliases[] repositories[] source published.source published.includes_mtp mtp.accepted_source",
			alone: map[string]string{
				"layer_count":        "a check on layers, which must add up to it",
				"layers[].repeat":    "adds up to layer_count",
				"attention.*.design": "each design takes parameters of its own",
			},
			others: map[string][]string{"mtp.layers[]": {"mla/dense", "full/dense"}},
		},
		"topologies": {
			glob: "../../topologies/*.yaml",
			computed: []func(string) (string, error){
				func(file string) (string, error) { return systemFigures(file, stubs) },
				func(file string) (string, error) { return systemSizes(file, stubs) }, systemPrices,
			},
			show:   "topo show",
			words:  "name source description confidence assumptions[].because assumptions[].path tiers[].name tiers[].medium",
			silent: "aliases[]",
			alone: map[string]string{
				"tiers[].dims[]": "extents multiply to the members: one alone cannot change",
				"partial":        "lets a system load that would not; without it the file is refused",
			},
		},
		"chips": {
			glob: "../../topologies/chips/*.yaml",
			computed: []func(string) (string, error){chipLaws,
				func(file string) (string, error) { return chipSteps(file, "hgx-h100:64", "cloudmatrix384") },
				func(file string) (string, error) { return chipSteps(file, "gb200-nvl72", "l40s:16") }, chipRun},
			show:  "chip show",
			words: "name aliases[] source confidence vendor year assumptions[].because assumptions[].path transfer.source",
			skip:  "operators.*",
		},
		"libraries": {
			glob: "../../topologies/libraries/*.yaml",
			computed: []func(string) (string, error){
				func(file string) (string, error) {
					return libraryPrices(file, "hgx-h200:16", "gb200-nvl72", "cloudmatrix384")
				},
				func(file string) (string, error) {
					return libraryPrices(file, "hgx-h100:16", "hgx-a100:16", "hgx-b200:16", "hgx-b300:16", "gb300-nvl72", "hgx-h800:16", "hgx-h20:16",
						"supernode8912", "hgx-mi300x:16", "hgx-mi355x:16", "ironwood-9216", "l40s:16", "rtx-pro-6000:16")
				},
			},
			silent: "name aliases[] source description confidence residual assumptions[].because assumptions[].path ring.between[].name " +
				"dispatch[].source dispatch[].median_error_pct dispatch[].p90_error_pct dispatch[].single.median_error_pct dispatch[].single.p90_error_pct " +
				"combine[].source combine[].median_error_pct combine[].p90_error_pct combine[].single.median_error_pct combine[].single.p90_error_pct",
		},
		"engines": {
			glob:     "../../sim/cost/engines/*.yaml",
			computed: []func(string) (string, error){engineSteps, engineRun, engineRuns},
			show:     "engine show",
			words:    "name version stands_for.from stands_for.to source description fitted.source fitted.residual",
			others:   map[string][]string{"base": {"sglang"}, "small.also": {"h100"}},
		},
		"workloads": {
			glob:     "../../traces/*.yaml",
			computed: []func(string) (string, error){workloadRequests},
			silent:   "name description sources[]",
		},
	}
}

func modelCounts(file string) (string, error) {
	m, err := models.Load(file)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal([]any{m.Count(1000), m.Count(300_000), m.KVBytes(5000)})
	return string(text), err
}

// cached is a system that is read once.
type cached struct {
	topology *topologies.Topology
	engine   *cost.Engine
	libs     topologies.Libraries
}

var systems = map[string]*cached{}

func system(ref string) *cached {
	if systems[ref] != nil {
		return systems[ref]
	}
	x, err := topologies.Load(ref)
	if err != nil {
		panic(err)
	}
	e, err := cost.DefaultEngine(x.Chip)
	if err != nil {
		panic(err)
	}
	libs, err := cost.LoadLibraries(x, e)
	if err != nil {
		panic(err)
	}
	systems[ref] = &cached{x, e, libs}
	return systems[ref]
}

// steps prices a configuration's steps and memory, or says why there are none.
func steps(c cost.Config) string {
	s, err := cost.New(c)
	if err != nil {
		return err.Error()
	}
	var out []any
	for _, l := range [][4]int64{{5, 0, 3000, 0}, {40, 0, 60_000, 0}, {0, 2, 9000, 900}, {9, 1, 3000, 3000}} {
		if c.Layout.CP > 1 {
			l[0] = 0 // it shares prompts, and decodes nothing
		}
		out = append(out, s.Step(s.Uniform(l[0], l[1], l[2], l[3])))
	}
	m := s.Memory()
	return moving(append(out, m.Weights, m.Items(), m.Free, m.SequenceBytes(9999), m.Concurrency(9999), s.Assumptions()))
}

func modelSteps(file string) (string, error) {
	m, err := models.Load(file)
	if err != nil {
		return "", err
	}
	x := system("hgx-b200:64")
	if m, _, err = cost.Substitute(m, x.topology.Chip); err != nil {
		return "", err
	}
	c := cost.Config{Model: m, Topology: x.topology, Engine: x.engine, Libraries: &x.libs, Layout: cost.Layout{TP: 4, EP: 4}}
	wide := c
	wide.Layout = cost.Layout{DP: 32, EP: 32}
	if len(m.MTP) > 0 {
		c.Drafts, wide.Drafts = 1, 1
	}
	if m.Experts() == 0 {
		c.Layout.EP, wide.Layout.EP = 1, 1
	}
	return steps(c) + steps(wide), nil
}

func modelRun(file string) (string, error) {
	m, err := models.Load(file)
	if err != nil {
		return "", err
	}
	line := "--model " + file + " --topo hgx-b200:64 --mode aggregated --concurrency 4 --requests 12 --input-tokens 500 --output-tokens 50" +
		pool("serve", 16, 1, min(16, max(1, int(m.Experts()))))
	var lines []string
	if len(m.MTP) == 0 {
		lines = []string{line}
	}
	for n := range min(3, len(m.AcceptedLength)) {
		lines = append(lines, fmt.Sprintf("%s --set deployment.mtp.drafts=%d", line, n+1))
	}
	return ran(lines...)
}

// ran is what of runs' results is computed: all but what they say of their inputs.
func ran(lines ...string) (string, error) {
	var out strings.Builder
	for _, line := range lines {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(line+" --output json"), strings.NewReader(""), &stdout, &stderr); code != exitDone {
			return "", errors.New(stderr.String())
		}
		var v map[string]any
		if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
			return "", err
		}
		for _, words := range []string{"scenario", "inputs", "run_id"} {
			delete(v, words)
		}
		out.WriteString(moving(v))
	}
	return out.String(), nil
}

// chipStubs is an overlay folder of the shipped chips without their operators, which
// topologies do not read.
func chipStubs(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "chips"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../topologies/chips/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"operators", "transfer", "assumptions"} {
			data = regexp.MustCompile(`(?m)^`+key+`:.*\n(( .*)?\n)*`).ReplaceAll(data, nil)
		}
		data = regexp.MustCompile(`(?m)^ancestor: .*\n`).ReplaceAll(data, nil)
		if err := os.WriteFile(filepath.Join(dir, "chips", filepath.Base(file)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func systemFigures(file, stubs string) (string, error) {
	t, err := topologies.Load(file, stubs)
	if err != nil {
		return "", err
	}
	out := []any{t.Chips, t.Chip.Memory, t.Delays(), t.Bisection()}
	for i := range t.Tiers {
		out = append(out, t.TierDelays(i))
	}
	for _, b := range []int{1, 7, 40, 300, t.Chips - 1} {
		if b < t.Chips {
			out = append(out, t.Path(0, b))
		}
	}
	lib := system("hgx-h200:16").libs
	for _, n := range []int{min(t.Chips, 20), min(t.Chips, 700)} {
		out = append(out, collectives(t, lib, n))
	}
	return moving(out...), nil
}

// systemSizes are a system's at other sizes, and those it refuses.
func systemSizes(file, stubs string) (string, error) {
	if _, err := topologies.Load(file, stubs); err != nil {
		return "", err
	}
	var out []any
	for _, size := range []int{8, 12, 72, 144, 512, 4096, 16384} {
		t, err := topologies.Load(fmt.Sprintf("%s:%d", file, size), stubs)
		if out = append(out, err == nil); err == nil {
			out = append(out, len(t.Tiers), t.Delays(), collectives(t, system("hgx-h200:16").libs, min(size, 600)))
		}
	}
	return moving(out...), nil
}

// systemPrices are what a system's own libraries cost, and whose they are.
func systemPrices(file string) (string, error) {
	t, err := topologies.Load(file)
	if err != nil {
		return "", err
	}
	libs, err := t.DefaultLibraries()
	if err != nil {
		return "", err
	}
	return moving(collectives(t, libs, min(t.Chips, 64)), libs.Assumptions()), nil
}

// collectives is a hash of what operations cost.
func collectives(t *topologies.Topology, ls topologies.Libraries, ranks int) uint64 {
	hash := uint64(14695981039346656037)
	add := func(cs ...topologies.Comm) {
		for _, c := range cs {
			for _, x := range []float64{c.Latency, c.Tau, c.Bandwidth} {
				hash = (hash ^ math.Float64bits(x)) * 1099511628211
			}
		}
	}
	for _, bytes := range []float64{1e3, 3e5, 2e7, 1e9} {
		for _, n := range []int{2, 8, ranks} {
			add(t.AllReduce(ls.AllReduce, n, bytes, 1), t.AllGather(ls.Collective, n, bytes, 1), t.AllToAll(ls.Collective, n, bytes, 1))
			moe := topologies.MoE{Ranks: n, Tokens: bytes / 1e4, TopK: 8, BytesPerCopy: 7168, Experts: 256, HotRank: 1.1}
			for _, l := range []*topologies.Library{ls.Decode, ls.Prefill} {
				add(t.Dispatch(l, moe), t.Combine(l, moe))
			}
			add(topologies.Comm{Bandwidth: t.Wire(ls.Fused, moe)})
		}
		for i := range t.Tiers {
			add(t.SendRecv(ls.Collective, i, bytes), t.Transfer(ls.Transfer, i, bytes), t.TransferWrite(ls.Transfer, i, bytes))
		}
	}
	return hash
}

// libraryPrices are a library's on systems of several chips.
func libraryPrices(file string, refs ...string) (string, error) {
	var out strings.Builder
	for _, ref := range refs {
		t := system(ref).topology
		l, err := t.Library(file)
		if err != nil {
			return "", err
		}
		ls := topologies.Libraries{AllReduce: l, Collective: l, Decode: l, Prefill: l, Transfer: l, Fused: l}
		if l.Fused == nil {
			ls.Fused = nil
		} else {
			fmt.Fprint(&out, l.Fused.Chip, l.Fused.P, l.Fused.MemoryE)
		}
		fmt.Fprint(&out, collectives(t, ls, 16), l.Assumptions)
	}
	return out.String(), nil
}

var shippedModels = map[string]*models.Model{}

// shipped is a model that is read once.
func shipped(name string) *models.Model {
	if shippedModels[name] == nil {
		m, err := models.Load(name)
		if err != nil {
			panic(err)
		}
		shippedModels[name] = m
	}
	return shippedModels[name]
}

func engineSteps(file string) (string, error) {
	e, err := cost.LoadEngine(file)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, x := range []struct {
		system, model string
		layout        cost.Layout
		role          cost.Role
	}{
		{"hgx-h200:32", "deepseek-v3", cost.Layout{DP: 16, EP: 16}, cost.Prefill}, {"hgx-h200:32", "deepseek-v3", cost.Layout{DP: 16, EP: 16}, cost.Decode},
		{"hgx-h200:32", "deepseek-v3", cost.Layout{DP: 16, EP: 16}, cost.Mixed}, {"hgx-h200:32", "qwen3.5-397b-a17b", cost.Layout{TP: 8, EP: 8}, cost.Decode},
		{"hgx-h200:32", "gpt-oss-120b", cost.Layout{DP: 2, EP: 2}, cost.Decode}, {"hgx-b200:64", "gpt-oss-120b", cost.Layout{TP: 2, EP: 2}, cost.Mixed},
		{"hgx-b200:64", "deepseek-v4-flash", cost.Layout{DP: 8, EP: 8}, cost.Mixed},
		{"hgx-h200:32", "deepseek-v3", cost.Layout{DP: 2, CP: 8, EP: 16}, cost.Prefill},
	} {
		t := system(x.system).topology
		libs, err := cost.LoadLibraries(t, e)
		if err != nil {
			return "", err
		}
		m := shipped(x.model)
		c := cost.Config{Model: m, Topology: t, Engine: e, Libraries: &libs, Layout: x.layout, Role: x.role}
		if len(m.MTP) > 0 {
			c.Drafts = 1
		}
		out.WriteString(steps(c))
	}
	return out.String(), nil
}

// engineLine is a run on a profile: a model, a system, a mode.
const engineLine = "--model %s --topo %s --mode %s --concurrency 12 --requests 24 --input-tokens 3000 --output-tokens uniform(10,60) --engine %s"

// pool sets the whole layout of a pool, so that nothing is searched.
func pool(name string, tp, dp, ep int) string {
	set := " --set deployment." + name + "."
	return fmt.Sprintf("%sinstances=1%stp=%d%sdp=%d%sep=%d%spp=1%scp=1", set, set, tp, set, dp, set, ep, set, set)
}

func engineRun(file string) (string, error) {
	if _, err := cost.LoadEngine(file); err != nil {
		return "", err
	}
	return ran(fmt.Sprintf(engineLine, "qwen3-8b", "hgx-h100:8", "aggregated", file) + pool("serve", 1, 1, 1))
}

func engineRuns(file string) (string, error) {
	if _, err := cost.LoadEngine(file); err != nil {
		return "", err
	}
	return ran(fmt.Sprintf(engineLine, "v3", "hgx-h200:16", "aggregated", file)+pool("serve", 1, 16, 16),
		fmt.Sprintf(engineLine, "gpt-oss-20b", "hgx-h200", "aggregated", file)+pool("serve", 1, 4, 4), // no more expert ranks than a token has experts
		fmt.Sprintf(engineLine, "qwen3-8b", "l40s:1", "aggregated", file)+pool("serve", 1, 1, 1),      // small memory
		fmt.Sprintf(engineLine, "v3", "hgx-h200:32", "disaggregated", file)+pool("prefill", 1, 16, 16)+pool("decode", 1, 16, 16))
}

func workloadRequests(file string) (string, error) {
	source, err := traces.Generate(traces.Workload{Profile: file, Rate: 2, Requests: 300})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		r, err := source.Next()
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%+v", r)
	}
}
