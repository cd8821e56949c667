package cost

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

// A patch is over all that a profile says, what it has from its base included.
func TestPatchedEngines(t *testing.T) {
	vllm, old := loadEngine(t, "vllm"), loadEngine(t, "vllm-0.2")
	patches := spec.Patches{}.With("engine.fitted.host_step_us", "x1.5").With("engine.fitted.eager_kernel_us", "x2").With("engine.poll_steps", "7").
		With("engine.gathers_logits", "false").With("engine.max_tokens.*", "x2").With("engine.max_tokens.decode", "100").With("engine.dependent_launch", "true").
		With("engine.batch_wait.steps", "3").With("engine.graph_tokens", "0").With("engine.four_bit", `w4a8`).With("engine.overlap", "{prefill: none, decode: none, mixed: none}")
	got, err := LoadEngine("vllm-0.2", patches.Under("engine")...)
	if err != nil {
		t.Fatal(err)
	}
	want := *old
	want.Fitted.HostStepUs, want.Fitted.EagerKernelUs, want.PollSteps, want.GathersLogits = 1.5*vllm.Fitted.HostStepUs, 2*old.Fitted.EagerKernelUs, 7, false
	want.MaxTokens = ByRole[int]{2 * vllm.MaxTokens.Prefill, 100, 2 * vllm.MaxTokens.Mixed}
	want.DependentLaunch, want.BatchWait.Steps, want.GraphTokens, want.FourBit = true, 3, 0, "w4a8"
	want.Overlap = ByRole[Overlap]{NoOverlap, NoOverlap, NoOverlap}
	if *got != want {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	// And over a profile that is no file.
	if again, err := old.Patched(patches.Under("engine")); err != nil || *again != want {
		t.Errorf("got  %+v, %v\nwant %+v", again, err, want)
	}
}

func TestRefusedEnginePatches(t *testing.T) {
	for _, c := range [][3]string{
		{"fitted.host_step", "3", `patch engine.fitted.host_step=3: unknown key "host_step"; did you mean engine.fitted.host_step_us?`},
		{"poll_steps", "0", `patch engine.poll_steps=0: must be from 1 to 16777216, got 0`},
		{"poll_steps", "x0.3", `patch engine.poll_steps=x0.3: want a whole number, got 0.3`},
		{"page_tokens", "null", `patch engine.page_tokens=null: must be from 1 to 16777216, got 0`},
		{"decode_launch", "eagr", `patch engine.decode_launch=eagr: unknown launch mode "eagr"; did you mean "eager"?`},
		{"overlap.decode", "waves", `patch engine.overlap.decode=waves: unknown overlap "waves"; did you mean "wave"?`},
		{"batch_wait", "{steps: -1}", `patch engine.batch_wait={steps: -1}: steps must be from 0`},
		{"batch_wait.share", "2", `batch_wait: steps must be from 0 to 16777216 and share from 0 to 1, got 0 and 2 (with patch engine.batch_wait.share=2)`},
		{"balance.steps", "x2", `patch engine.balance.steps=x2: balance.steps has no value here that a factor could multiply`},
		{"name", "x2", `patch engine.name=x2: name: "vllm" is no number`},
		{"base", "sglang", `patch engine.base=sglang: a patched profile keeps its base`},
		{"fitted.prefill_factor", "x100", `patch engine.fitted.prefill_factor=x100: must be from 0.1 to 10, got 105`},
	} {
		_, err := LoadEngine("vllm", spec.Patches{}.With("engine."+c[0], c[1]).Under("engine")...)
		if err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s=%s: %v\nwant %q in it", c[0], c[1], err, c[2])
		}
	}
}

// Every value of every profile by itself changes nothing, and every path is one of a value.
func TestAnyEngineValueByItself(t *testing.T) {
	for _, name := range EngineNames() {
		e := loadEngine(t, name)
		text, err := yaml.Dump(e)
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := yaml.Load(text, &file); err != nil {
			t.Fatal(err)
		}
		var all spec.Patches
		for _, path := range EnginePaths() {
			outer, inner, nested := strings.Cut(path, ".")
			v, ok := file[outer]
			if m, is := v.(map[string]any); nested && is {
				v, ok = m[inner]
			}
			if !ok {
				continue
			}
			value, err := yaml.Dump(v)
			if err != nil {
				t.Fatal(err)
			}
			all = all.With(path, strings.TrimSpace(string(value)))
		}
		if len(all) < 40 {
			t.Errorf("%s has %d values", name, len(all))
		}
		if got, err := LoadEngine(name, all...); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s: %v\n%+v\n%+v", name, err, got, e)
		}
	}
	for _, path := range EnginePaths() {
		if _, err := LoadEngine("vllm", spec.Patch{Path: path, Value: "[[]]"}); err == nil || !strings.Contains(fmt.Sprint(err), "patch "+path+"=[[]]: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
