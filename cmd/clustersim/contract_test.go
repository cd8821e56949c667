package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// surfaces are the fields of every command's JSON but a result's own, which package
// report holds to the contract. The contract promises the first list; the second is
// what stands beside it. A name that ends in .* is a map whose keys are data.
var surfaces = []struct {
	command, promised, beside string
}{
	{
		"sweep --model llama-3.1-8b --topo hgx-h100:8 --rate 4 --requests 20 --seed 1 --seed 2",
		"version manifest points points[].id points[].set points[].set.* points[].result points[].result.*",
		"points[].mean_context_tokens points[].kv_bytes_at_mean_context",
	},
	{
		"plan --model llama-3.1-8b --topo hgx-h100:8",
		`candidates candidates[].layout candidates[].layout.* candidates[].fits candidates[].why_not candidates[].capacity_requests_per_s
		candidates[].output_tokens_per_s_per_chip candidates[].ttft_ms candidates[].tpot_ms candidates[].bound`,
		"candidates[].text candidates[].meets_slo candidates[].estimate_requests_per_s candidates[].probed candidates[].alone_ttft_ms candidates[].alone_tpot_ms candidates[].kv candidates[].kv.pools candidates[].kv.pools.* scenario scenario.* why",
	},
	{
		"explain --model v4 --topo supernode8912 --phase decode --batch 64 --context 32768",
		`step_ns causes_ns causes_ns.compute causes_ns.hbm_weights causes_ns.hbm_kv causes_ns.hbm_act causes_ns.comm_bandwidth
		causes_ns.comm_latency causes_ns.launch causes_ns.host causes_ns.imbalance causes_ns.idle
		operators operators[].layer_kind operators[].name operators[].class operators[].precision operators[].count operators[].m
		operators[].n operators[].k operators[].flops operators[].bytes operators[].ns operators[].cause`,
		"tau_ns hidden_ns operators[].apportioned model topology pool phase chip chips layout engine overlap sequences context_tokens chunk_tokens instance_requests_per_s " +
			"memory memory.capacity_bytes memory.items memory.items[].name memory.items[].bytes memory.weights memory.weights[].name memory.weights[].bytes memory.cache_bytes memory.batch_bytes kv kv.pools kv.pools.*",
	},
	{
		"topo show supernode8912",
		`name chips chip tiers tiers[].name tiers[].size tiers[].shape tiers[].bandwidth tiers[].tau_ns tiers[].tau_ns.endpoint
		tiers[].tau_ns.software tiers[].tau_ns.switch tiers[].tau_ns.serdes tiers[].tau_ns.fec tiers[].tau_ns.optics
		tiers[].tau_ns.propagation bisection assumptions`,
		`description source confidence libraries path_ns path_ns.* tiers[].dims tiers[].fabric tiers[].medium tiers[].oversubscription
		tiers[].path_ns tiers[].path_ns.* tiers[].bandwidth_bytes_per_s bisection_bytes_per_s`,
	},
	{
		"model show v4 --context 1048576",
		`params_total params_active checkpoint_bytes kv_bytes kv_state_bytes kv_bytes_per_token decode_flops decode_kv_bytes_read
		prefill_attention_flops prefill_linear_flops layers layers.*`,
		`name context formats formats.* params_mtp params_published decode_flops_split decode_flops_split.* decode_state_bytes
		per_layer per_layer.* per_ffn per_ffn.*`,
	},
}

func TestJSONIsTheContract(t *testing.T) {
	for _, s := range surfaces {
		known := map[string]bool{}
		for _, path := range strings.Fields(s.promised + " " + s.beside) {
			known[path] = true
		}
		found := map[string]bool{}
		name(printed(t, s.command+" --output json"), "", known, found)
		want, got := slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(found))
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%s\nwant\n%s", s.command, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}

// name adds the paths of a tree to found. Where the keys of a map are data, it names
// the map's and looks no deeper.
func name(v any, path string, known, found map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			name(item, path+"[]", known, found)
		}
	case map[string]any:
		for key, item := range v {
			at := strings.TrimPrefix(path+"."+key, ".")
			if known[path+".*"] {
				found[path+".*"] = true
				continue
			}
			found[at] = true
			name(item, at, known, found)
		}
	}
}

// kinds are one run of every kind of deployment and workload.
var kinds = map[string]string{
	"aggregated":    "--model llama-3.1-8b --topo hgx-h100:8 --mode aggregated --requests 200",
	"disaggregated": "--model v4-flash --topo cm384:384 --mode disaggregated --rate 20 --requests 200",
	"trace":         "--model llama-3.1-8b --topo hgx-h100:8 --trace sample --rate-scale 4",
	"closed loop":   "--model llama-3.1-8b --topo hgx-h100:8 --concurrency 16 --requests 200 --think-time 50ms",
}

// The printed scenario of every kind runs to the same result to the byte, and prints itself.
func TestPrintedScenarioIsTheRun(t *testing.T) {
	for kind, flags := range kinds {
		result := text(t, flags+" --output json", "")
		scenario := text(t, flags+" --print-scenario", "")
		if again := text(t, "- --print-scenario", scenario); again != scenario {
			t.Errorf("%s: printed once\n%s\nand twice\n%s", kind, scenario, again)
		}
		if again := text(t, "- --output json", scenario); again != result {
			t.Errorf("%s: the printed scenario runs to another result", kind)
		}
	}
}

// In every kind of run the causes of a phase are fractions that sum to 1 and whole
// nanoseconds in the same proportions; tau is part of comm_latency, and the shares of a
// request's time sum to 1.
func TestCausesSumToOne(t *testing.T) {
	for kind, flags := range kinds {
		causes := printed(t, flags+" --output json").(map[string]any)["causes"].(map[string]any)
		for _, phase := range []string{"prefill", "decode"} {
			fractions := causes[phase].(map[string]any)
			ns := causes["ns"].(map[string]any)[phase].(map[string]any)
			sum, all := 0.0, 0.0
			for cause := range fractions {
				sum += number(t, fractions[cause])
				all += whole(t, ns[cause])
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Errorf("%s, %s: the fractions sum to %v", kind, phase, sum)
			}
			for cause := range fractions {
				if share := whole(t, ns[cause]) / all; math.Abs(share-number(t, fractions[cause])) > 1e-9 {
					t.Errorf("%s, %s, %s: %v of the nanoseconds, but %v", kind, phase, cause, share, fractions[cause])
				}
			}
			if tau := whole(t, ns["tau"]); tau > whole(t, ns["comm_latency"]) {
				t.Errorf("%s, %s: tau %v exceeds comm_latency %v", kind, phase, tau, ns["comm_latency"])
			}
			whole(t, ns["hidden"])
		}
		request := 0.0
		for _, share := range causes["request"].(map[string]any) {
			request += number(t, share)
		}
		if math.Abs(request-1) > 1e-9 {
			t.Errorf("%s: the shares of a request's time sum to %v", kind, request)
		}
	}
}

// A step's operators and causes are whole nanoseconds that both sum to the step.
func TestExplainSumsToTheStep(t *testing.T) {
	for _, phase := range []string{"prefill", "decode"} {
		step := printed(t, "explain --model v4 --topo supernode8912 --batch 8 --context 16384 --output json --phase "+phase).(map[string]any)
		operators, causes := 0.0, 0.0
		for _, o := range step["operators"].([]any) {
			operators += whole(t, o.(map[string]any)["ns"])
		}
		for _, ns := range step["causes_ns"].(map[string]any) {
			causes += whole(t, ns)
		}
		if want := whole(t, step["step_ns"]); want == 0 || operators != want || causes != want {
			t.Errorf("%s: a step of %v ns, operators %v, causes %v", phase, want, operators, causes)
		}
	}
}

// text is the standard output of a command that must end well.
func text(t *testing.T, line, stdin string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(strings.Fields(line), io.Reader(strings.NewReader(stdin)), &stdout, &stderr); code != exitDone {
		t.Fatalf("%s: exit %d: %s", line, code, stderr.String())
	}
	return stdout.String()
}

// printed is the JSON that a command prints, numbers as they are written.
func printed(t *testing.T, line string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text(t, line, "")))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return v
}

func number(t *testing.T, v any) float64 {
	t.Helper()
	f, err := v.(json.Number).Float64()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// whole is a number that is written as an integer.
func whole(t *testing.T, v any) float64 {
	t.Helper()
	n, err := v.(json.Number).Int64()
	if err != nil || n < 0 {
		t.Fatalf("want whole nanoseconds, got %v", v)
	}
	return float64(n)
}

// Figures of a result are numbers with their unit in the key; the scenario's echo alone
// has texts, since it reads back as one.
func TestFiguresAreNumbers(t *testing.T) {
	var out, faults bytes.Buffer
	args := "--model v3 --topo hgx-h200:16 --rate 2 --requests 50 --drafts 1 --output json"
	if code := run(strings.Fields(args), strings.NewReader(""), &out, &faults); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &faults)
	}
	var tree map[string]any
	if err := json.Unmarshal(out.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	delete(tree, "scenario")
	unit := regexp.MustCompile(`^[0-9.]+ ?([kMGTP]?i?B|B/s|[kMGT]?B/s|ns|us|µs|ms|s|m|h|%|W|kW)$`)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, of := range v {
				walk(path+"."+key, of)
			}
		case []any:
			for _, of := range v {
				walk(path+"[]", of)
			}
		case string:
			if unit.MatchString(v) {
				t.Errorf("%s is %q", path, v)
			}
		}
	}
	walk("", tree)
	if tree["clustersim"] == "" || tree["deployment"].(map[string]any)["pools"] == nil {
		t.Errorf("the program or the pools are not named: %v", tree["clustersim"])
	}
}
