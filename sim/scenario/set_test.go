package scenario

import (
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const everything = `
version: 1
model: v4
topology: supernode8912
workload:
  profile: chat
  rate: 200
  requests: 1000
  input_tokens: lognormal(mean=4000,p99=20000)
  output_tokens: uniform(10,20)
  arrivals: gamma(2)
  start: stationary
deployment:
  mode: disaggregated
  prefill: {instances: 8, chip: ascend950pr, tp: 1, dp: 32, ep: 32, pp: 1, cp: 1, max_tokens: 16384, experts: {redundant: 32}}
  decode: {instances: 4, tp: 1, dp: 128, ep: 128, max_sequences: 128}
  precision: {weights: fp8, kv: bf16}
  engine: cann
  mtp: {drafts: 1, accepted_length: 1.79}
  overlap: two-batch
  routing: power-law(1.01)
kv_compress: csa=8,hca=256
router: {policy: prefix-aware, weight: 0.5}
slo: {ttft: 1.5s/4K, tpot: 30ms, itl: 40ms, e2e: 1m0s}
seed: 7
`

// leaves lists the scalars of a YAML document with their paths.
func leaves(prefix string, v any, into map[string]string) {
	if m, ok := v.(map[string]any); ok {
		for k, x := range m {
			leaves(prefix+"."+k, x, into)
		}
		return
	}
	text, err := yaml.Marshal(v)
	if err != nil {
		panic(err)
	}
	into[strings.TrimPrefix(prefix, ".")] = strings.TrimSpace(string(text))
}

// Setting every path to what a file says builds the scenario that the file holds.
func TestSetIsTheFile(t *testing.T) {
	want, err := Read("everything", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Load([]byte(everything), &tree); err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	leaves("", tree, set)
	got := &Scenario{}
	for path, value := range set {
		if err := got.Set(path, value); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		a, _ := got.Marshal()
		b, _ := want.Marshal()
		t.Errorf("set:\n%s\nread:\n%s", a, b)
	}
}

// Whole sections can be set, and every listed path exists.
func TestPaths(t *testing.T) {
	for _, path := range Paths() {
		s := &Scenario{}
		err := s.Set(path, "null")
		if err != nil && strings.Contains(err.Error(), "unknown scenario path") {
			t.Errorf("%s is listed but not known", path)
		}
	}
	s := &Scenario{}
	if err := s.Set("deployment.serve", "{instances: 2, tp: 8}"); err != nil || s.Deployment.Serve.TP != 8 {
		t.Errorf("a section: %v, %+v", err, s.Deployment.Serve)
	}
}

func TestSetFaults(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"decode.tp", "4", "did you mean deployment.decode.tp"},
		{"slo.tpt", "4ms", "did you mean slo.tpot"},
		{"slo.tpot", "50", "50ms"},
		{"deployment.decode.tp", "many", "deployment.decode.tp"},
		{"deployment.decode", "{tpp: 3}", `unknown key "tpp"`},
		{"modle.name", "v4", "unknown scenario path"},
		{"", "1", "unknown scenario path"},
		{"workload.rate", "0", "above 0"},
		{"workload.input_tokens", "lognormal(mean=4)", "p99"},
		{"seed", "[1", "seed"},
	} {
		s := &Scenario{Seed: 3}
		err := s.Set(c.path, c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: want an error with %q, got %v", c.path, c.value, c.want, err)
		}
	}
}

// A clone shares nothing: changing all of it leaves the original as it was.
func TestClone(t *testing.T) {
	s, err := Read("everything", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := s.Marshal()
	c := s.Clone()
	if !reflect.DeepEqual(c, s) {
		t.Fatal("a clone differs")
	}
	c.Workload.Rate, c.Deployment.Decode.TP, c.Deployment.Prefill.Experts.Redundant = 1, 2, 3
	c.Workload.InputTokens.UnmarshalText([]byte("5"))
	c.KVCompress.CSA = 1
	*c.Router.Weight = 9
	if after, _ := s.Marshal(); string(before) != string(after) {
		t.Errorf("the original changed:\n%s", after)
	}
}

func FuzzSet(f *testing.F) {
	for _, path := range Paths() {
		f.Add(path, "1")
	}
	f.Add("deployment.decode", "{tp: 3, experts: {redundant: 2}}")
	f.Add("kv_compress", "csa=4,hca=128")
	f.Add("tau", "optics=10ns")
	f.Fuzz(func(t *testing.T, path, value string) {
		s := &Scenario{}
		if err := s.Set(path, value); err == nil {
			s.Clone()
		}
	})
}

// What is set to null is as if it had not been given; what is not there stays absent.
func TestSetNullLeavesOpen(t *testing.T) {
	full, err := Read("everything", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"null", "", " ~ "} {
		s := full.Clone()
		for _, path := range []string{"workload.rate", "deployment.prefill", "deployment.decode.tp", "slo.tpot", "router.weight", "workload.input_tokens"} {
			if err := s.Set(path, value); err != nil {
				t.Fatal(err)
			}
		}
		if s.Workload.Rate != 0 || s.Deployment.Prefill != nil || s.Deployment.Decode.TP != 0 || s.Deployment.Decode.DP != 128 ||
			s.SLO.TPOT != 0 || s.SLO.TTFT.Limit == 0 || s.Router.Weight != nil || s.Workload.InputTokens != nil {
			t.Errorf("%q: %+v", value, s)
		}
		if full.Workload.Rate != 200 {
			t.Fatal("the original has changed")
		}
	}
	empty := &Scenario{Version: 1, Seed: 1}
	for _, path := range []string{"workload.rate", "trace.limit", "deployment.serve.tp"} {
		if err := empty.Set(path, "null"); err != nil || empty.Workload != nil || empty.Trace != nil || empty.Deployment.Serve != nil {
			t.Errorf("%s: %v, %+v", path, err, empty)
		}
	}
	for path, want := range map[string]string{"seed": "every scenario has one", "workload.rat": "did you mean workload.rate?", "deployment.serve.tpp": "unknown"} {
		if err := empty.Set(path, "null"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if s, err := Read("x", []byte("version: 1\nmodel: v4\ntopology: nvl72\nworkload: {rate: null, profile: chat}\n")); err != nil || s.Workload.Rate != 0 {
		t.Errorf("%v", err)
	}
}

// Drafts that are given as 0 are given: a file's and Set's are no drafts, and null leaves
// them open again.
func TestNoDraftsAreGiven(t *testing.T) {
	off := func(s *Scenario) bool { return s.Deployment.MTP.Off }
	s, err := Read("x.yaml", []byte("version: 1\nmodel: v4\ntopology: supernode8912\ndeployment: {mtp: {drafts: 0}}\n"))
	if err != nil || !off(s) {
		t.Fatalf("a file with drafts: 0 leaves them open (%v)", err)
	}
	for _, x := range []struct {
		value string
		want  bool
	}{{"null", false}, {"0", true}, {"2", false}, {"0", true}} {
		if err := s.Set("deployment.mtp.drafts", x.value); err != nil || off(s) != x.want {
			t.Errorf("set to %s: given as none %v, error %v", x.value, off(s), err)
		}
	}
	if err := s.Set("deployment.mtp", "null"); err != nil || off(s) {
		t.Errorf("mtp set to null: none %v, error %v", off(s), err)
	}
}
