package plant

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/clustersim/clustersim/models"
)

// A resolved scenario says more and means the same: what is built of it has the same
// digests and the same pools, whatever the model, and it says nothing that a second
// resolving would add to.
func TestResolvedMeansTheSame(t *testing.T) {
	texts := map[string]string{
		"two pools": two,
		"knobs": `{version: 1, model: v4, topology: supernode8912, workload: {profile: chat, rate: 1, requests: 10}, seed: 1, kv_compress: {csa: 8, kv: bf16},
  deployment: {mode: aggregated, mtp: {drafts: 2}, serve: {instances: 1, dp: 64}}}`,
		"patches": `{version: 1, model: v4, topology: supernode8912, workload: {profile: chat, rate: 1, requests: 10}, seed: 1,
  patches: {model.formats.kv: bf16, model.mtp.accepted_length: [1.5, 2], engine.overlap.mixed: two-batch, engine.max_tokens.mixed: 1024},
  deployment: {mode: aggregated, mtp: {drafts: 2}, serve: {instances: 1, dp: 64}}}`,
	}
	for _, name := range models.Names() {
		texts[name] = fmt.Sprintf(`{version: 1, model: %q, topology: supernode8912, workload: {profile: chat, rate: 1, requests: 10}, seed: 1,
  deployment: {mode: aggregated, serve: {instances: 1, pp: 16}}}`, name)
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := with(t, text)
			before, err := Build(s, Source{})
			if err != nil {
				t.Fatal(err)
			}
			if err := Resolve(s, Source{}); err != nil {
				t.Fatal(err)
			}
			printed, err := s.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Read("resolved.yaml", printed)
			if err != nil {
				t.Fatalf("%v\n%s", err, printed)
			}
			after, err := Build(again, Source{})
			if err != nil {
				t.Fatalf("%v\n%s", err, printed)
			}
			if !reflect.DeepEqual(before.Digests, after.Digests) || !reflect.DeepEqual(before.Warnings, after.Warnings) {
				t.Errorf("%v, %v\nbecame\n%v, %v", before.Digests, before.Warnings, after.Digests, after.Warnings)
			}
			for i := range before.Pools {
				a, b := before.Pools[i].Stepper.Config(), after.Pools[i].Stepper.Config()
				if !reflect.DeepEqual(a.Layout, b.Layout) || a.MaxTokens != b.MaxTokens || a.MaxSequences != b.MaxSequences || a.Drafts != b.Drafts || a.Accepted != b.Accepted {
					t.Errorf("pool %d: %+v became %+v", i, a, b)
				}
			}
			after.Resolve(again, Source{})
			if twice, err := again.Marshal(); err != nil || string(twice) != string(printed) {
				t.Errorf("resolved again (%v):\n%s\nwas\n%s", err, twice, printed)
			}
			if d := &again.Deployment; d.Engine != "cann" || d.Precision.Weights == "" || d.Precision.KV == "" && again.KVCompress.KV == "" && len(again.Patches) == 0 {
				t.Errorf("left implicit: %s", printed)
			}
		})
	}
}

// A pool's own overlap goes before the engine's, and beside another for all pools it is
// refused.
func TestAPoolsOwnOverlap(t *testing.T) {
	s := with(t, two, "deployment.decode.overlap=two-batch")
	p, err := Build(s, Source{})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := p.Pools[0].Stepper.Config().Layout.Overlap, p.Pools[1].Stepper.Config().Layout.Overlap; a != "two-batch" || b != "two-batch" {
		t.Errorf("%s and %s", a, b) // the first is the engine's for prefill
	}
	for _, set := range []string{"deployment.overlap=none", "engine.overlap.decode=none", "deployment.prefill.overlap=tow-batch"} {
		if err := Validate(with(t, two, "deployment.decode.overlap=two-batch", set)); err == nil {
			t.Errorf("%s is accepted beside it", set)
		}
	}
}
