package plant

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/scenario"
)

func with(t *testing.T, text string, sets ...string) *scenario.Scenario {
	t.Helper()
	s, err := Read("s.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		path, value, _ := strings.Cut(set, "=")
		if err := s.Set(path, value); err != nil {
			t.Fatal(err)
		}
	}
	s.Defaults()
	return s
}

const two = `{version: 1, model: v4, topology: supernode8912, workload: {profile: agent, rate: 10, requests: 10}, seed: 1,
  deployment: {mode: disaggregated, prefill: {instances: 1, chip: ascend950pr, dp: 64, ep: 64}, decode: {instances: 1, dp: 64, ep: 64}}}`

// Each kind of description takes patches, and what was loaded has them.
func TestPatchesReachEveryDescription(t *testing.T) {
	base, err := Build(with(t, two), Source{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set string
		of  func(*Plant) float64
		was float64
		by  float64 // the factor that is seen
	}{
		{"chip.memory.bandwidth=x2", func(p *Plant) float64 { return float64(p.Topology.Chip.Memory.Bandwidth) }, 0, 2},
		{"chip.memory.bandwidth=x2", func(p *Plant) float64 { return float64(p.Pools[0].Stepper.Config().Chip.Memory.Bandwidth) }, 0, 1}, // the prefill pool's is another chip
		{"chips.ascend950pr.memory.bandwidth=x3", func(p *Plant) float64 { return float64(p.Pools[0].Stepper.Config().Chip.Memory.Bandwidth) }, 0, 3},
		{"topology.tiers.*.bandwidth=x2", func(p *Plant) float64 { return float64(p.Topology.Tiers[1].Bandwidth) }, 0, 2},
		{"topology.tiers.cabinet.bandwidth=x2", func(p *Plant) float64 { return float64(p.Topology.Tiers[1].Bandwidth) }, 0, 1},
		{"model.max_context=x2", func(p *Plant) float64 { return float64(p.Model.MaxContext) }, 0, 2},
		{"engine.fitted.host_step_us=x2", func(p *Plant) float64 { return p.Engine.Fitted.HostStepUs }, 0, 2},
		{"library.cann.dispatch.a_us=x2", func(p *Plant) float64 { return p.own.libraries.Decode.Dispatch.AUs }, 0, 2},
	} {
		p, err := Build(with(t, two, c.set), Source{})
		if err != nil {
			t.Errorf("%s: %v", c.set, err)
			continue
		}
		if got, was := c.of(p), c.of(base); c.by > 0 && (got != c.by*was || was == 0) || c.by == 0 && got == was {
			t.Errorf("%s: %g became %g", c.set, was, got)
		}
	}
}

// false and 0 can be said: what an engine turns on can be turned off.
func TestFalseAndZeroCanBeSaid(t *testing.T) {
	for set, off := range map[string]func(*Plant) bool{
		"engine.gathers_logits=false":     func(p *Plant) bool { return !p.Engine.GathersLogits },
		"engine.fitted.host_step_us=0":    func(p *Plant) bool { return p.Engine.Fitted.HostStepUs == 0 },
		"engine.graph_tokens=0":           func(p *Plant) bool { return p.Engine.GraphTokens == 0 },
		"engine.dependent_launch=false":   func(p *Plant) bool { return !p.Engine.DependentLaunch },
		"engine.balance={steps: 0}":       func(p *Plant) bool { return p.Engine.Balance.Steps == 0 },
		"engine.prefill_first=false":      func(p *Plant) bool { return !p.Engine.PrefillFirst },
		"engine.overlap.prefill=none":     func(p *Plant) bool { return p.Engine.Overlap.Prefill == "none" },
		"engine.libraries.dispatch=null":  func(p *Plant) bool { return p.Engine.Libraries.Dispatch == "" },
		"engine.max_sequences.decode=128": func(p *Plant) bool { return p.Engine.MaxSequences.Decode == 128 },
	} {
		s := with(t, two, set)
		s.Deployment.Engine = "sglang"
		p, err := Build(s, Source{})
		if err != nil || !off(p) {
			t.Errorf("%s is not heard: %v", set, err)
		}
	}
}

// A patch that leads nowhere is an error that names the nearest that does.
func TestPatchesThatLeadNowhere(t *testing.T) {
	for set, want := range map[string]string{
		"chip.memory.bandwith=5TB/s":           "chip.memory.bandwidth",
		"chips.tpu-v5p.memory.bandwidth=5TB/s": "nothing that is loaded uses the chip tpu-v5p",
		"chips.h1000.memory.bandwidth=5TB/s":   `unknown chip "h1000"`,
		"library.nccl.ring.alpha=1":            "nothing that is loaded uses the library nccl",
		"topology.tiers.rack.bandwidth=1GB/s":  `unknown element "rack"`,
		"engine.pol_steps=1":                   "engine.poll_steps",
		"model.hiden=1":                        "model.hidden",
		"chip.memory.bandwidth=5":              "900GB/s",
		"engine.poll_steps=0":                  "patch engine.poll_steps=0: must be from 1",
		"engine.fitted.host_step_us=null":      "patch engine.fitted.host_step_us=null: must be given",
		"engine.libraries.all_reduce=mooncake": "mooncake has no law for it",
	} {
		if _, err := Build(with(t, two, set), Source{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", set, want, err)
		}
	}
	s := &scenario.Scenario{}
	for set, want := range map[string]string{"chp.memory.bandwidth=1": "unknown scenario path", "workload.rat=1": "did you mean workload.rate", "chip=h100": "unknown scenario path"} {
		path, value, _ := strings.Cut(set, "=")
		if err := s.Set(path, value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", set, want, err)
		}
	}
	for text, want := range map[string]string{
		"{chp.memory.bandwidth: 5TB/s}": `unknown description "chp"; did you mean "chip"?`,
		"{workload.rate: 5}":            "workload.rate is a path of the scenario itself",
		"{chip.a: 1, chip.a: 2}":        "given twice",
	} {
		if _, err := Read("s.yaml", []byte("version: 1\nmodel: v4\ntopology: supernode8912\npatches: "+text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", text, want, err)
		}
	}
}

// A scenario prints its patches and reads them back.
func TestPatchesPrintAndReadBack(t *testing.T) {
	s := with(t, two, "chip.memory.bandwidth=x2", "engine.gathers_logits=false", "topology.tiers.*.bandwidth=400Gb/s", "engine.balance={steps: 3}")
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read("again.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	twice, err := again.Marshal()
	if err != nil || string(twice) != string(text) {
		t.Errorf("%v\n%s\n%s", err, text, twice)
	}
	echo, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var read scenario.Scenario
	if err := json.Unmarshal(echo, &read); err != nil {
		t.Fatalf("%v\n%s", err, echo)
	}
	third, err := read.Marshal()
	if third := strings.Replace(string(third), `{"steps": 3}`, "{steps: 3}", 1); err != nil || third != string(text) {
		t.Errorf("by JSON: %v\n%s\n%s", err, text, third)
	}
}

// What the scenario says itself cannot be patched beside it, nor can a description's name.
func TestPatchesThatWouldBeOverridden(t *testing.T) {
	for _, c := range [][]string{
		{"kv_compress=csa=8", "model.attention.csa.ratio=16"}, {"kv_compress=uncompressed", "model.attention.*.window=64"},
		{"deployment.precision.kv=fp8", "model.formats.kv=bf16"}, {"kv_compress=kv=fp8", "model.formats.kv=bf16"},
		{"tau=endpoint=200ns", "topology.tiers.cabinet.tau.endpoint=1us"}, {"deployment.overlap=none", "engine.overlap.decode=two-batch"},
		{"chip.name=h100"}, {"version=2"},
	} {
		if err := Validate(with(t, two, c...)); err == nil {
			t.Errorf("%q are accepted together", c)
		}
	}
	for _, c := range [][]string{
		{"kv_compress=csa=8", "model.hidden=7168"}, {"deployment.precision.kv=fp8", "model.formats.indexer=fp8"}, {"tau=endpoint=200ns", "topology.tiers.cabinet.bandwidth=x2"},
	} {
		if err := Validate(with(t, two, c...)); err != nil {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// Options of the engine that the deployment once copied are refused, with the path that
// they have now.
func TestMovedPathsSayWhere(t *testing.T) {
	for key, value := range map[string]string{
		"poll_steps": "5", "memory_fraction": "0.9", "graph_tokens": "64", "dependent_launch": "true", "batch_wait": "{steps: 3, share: 0.5}", "balance": "{steps: 3, gather: 1}",
	} {
		_, err := Read("s.yaml", []byte("version: 1\nmodel: v4\ntopology: supernode8912\ndeployment:\n  "+key+": "+value+"\n"))
		if want := "s.yaml:5:3: deployment: unknown key \"" + key + "\": it is engine." + key + ", under patches"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", key, err, want)
		}
		s := &scenario.Scenario{}
		if err := s.Set("deployment."+key, value); err == nil || !strings.Contains(err.Error(), "engine."+key) {
			t.Errorf("%s: %v", key, err)
		}
		if err := with(t, two).Set("engine."+key, value); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// A chip file that a pool names is what it says, also under the name of the topology's
// own; what it lacks of the model's formats is said.
func TestAPoolsOwnChipFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.yaml")
	const mine = "name: ascend950dt\nvendor: Huawei\nsource: a test\nconfidence: low\npeak: {bf16: 500TFLOPS, fp8: 1000TFLOPS}\n" +
		"memory: {capacity: 144GiB, bandwidth: 1TB/s}\nancestor: ascend950dt\n"
	if err := os.WriteFile(file, []byte(strings.Replace(mine, "ancestor: ascend950dt", "ancestor: ascend950pr", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Build(with(t, two, "deployment.decode.chip="+file), Source{})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Pools[1].Stepper.Config().Chip.Memory.Bandwidth; got != 1e12 {
		t.Errorf("the decode pool's memory has %v", got)
	}
	if text := strings.Join(p.Warnings, "\n"); !strings.Contains(text, "pool decode on ascend950dt: ") {
		t.Errorf("nothing is said of the pool's formats: %s", text)
	}
}
