package validate

import (
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
)

func TestDisaggregatedRecipes(t *testing.T) {
	trt := with(gb200, "framework", "dynamo-trt", "precision", "fp4", "isl", "8192", "gpus_best", "36",
		"prefill_tp", "4", "prefill_workers", "1", "num_prefill_gpu", "4",
		"decode_tp", "8", "decode_ep", "8", "decode_dp_attn", "True", "decode_workers", "4", "num_decode_gpu", "32", "conc", "76")
	// The list says attention DP, the recipe behind it is ctx1_gen4_tep8_batch16.
	s := onlyCase(t, inferenceXColumns, trt).Scenario
	d := s.Deployment
	if s.Router.Policy != "round-robin-instances" {
		t.Errorf("router %q, want Dynamo's", s.Router.Policy)
	}
	if p := d.Decode; p.TP != 8 || p.DP != 1 || p.EP != 8 || p.MaxSequences != 16 || d.MTP.Drafts != 0 {
		t.Errorf("decode %+v, want TEP8 of 16", p)
	}
	if p := d.Prefill; p.DP != 4 || p.EP != 4 || p.MaxTokens != 16384 || p.Experts.Exchange != "gather" {
		t.Errorf("prefill %+v, want DEP4 of two prompts, gathering", p)
	}
	// Clients that no recipe names: what the row states, and the profile's limits.
	d = onlyCase(t, inferenceXColumns, with(trt, "conc", "77")).Scenario.Deployment
	if p := d.Decode; p.DP != 8 || p.MaxSequences != 0 || d.Prefill.MaxTokens != 0 {
		t.Errorf("decode %+v, want as stated", p)
	}
	// SGLang divides a worker's limits by its data-parallel ranks.
	hopper := with(gb200, "hardware", "h200", "precision", "fp8", "spec", "mtp", "gpus_best", "56",
		"prefill_tp", "8", "prefill_ep", "8", "prefill_workers", "1", "num_prefill_gpu", "8",
		"decode_tp", "8", "decode_ep", "8", "decode_workers", "6", "num_decode_gpu", "48")
	s = onlyCase(t, inferenceXColumns, hopper).Scenario
	d = s.Deployment
	if d.Prefill.MaxTokens != 65536/8 || d.Decode.MaxSequences != 128/8 || d.Overlap != "none" || d.Decode.Experts.Exchange != "gather" {
		t.Errorf("prefill %+v, decode %+v, overlap %q", d.Prefill, d.Decode, d.Overlap)
	}
	if d.Prefill.MaxSequences != 64/8 || d.Precision.KV != models.BF16 || s.Router.Policy != "round-robin" {
		t.Errorf("%d prompts a prefill rank, a cache in %s, router %q", d.Prefill.MaxSequences, d.Precision.KV, s.Router.Policy)
	}
	// Two H100 nodes a worker: memory for few prompts.
	d = onlyCase(t, inferenceXColumns, with(hopper, "hardware", "h100", "gpus_best", "48",
		"prefill_tp", "16", "prefill_ep", "1", "prefill_dp_attn", "False", "num_prefill_gpu", "16",
		"decode_tp", "16", "decode_ep", "1", "decode_dp_attn", "False", "decode_workers", "2", "num_decode_gpu", "32")).Scenario.Deployment
	if d.Prefill.MaxTokens != 2048 || d.Prefill.MaxSequences != 2 || d.Decode.MaxSequences != 128 {
		t.Errorf("prefill %+v, decode %+v", d.Prefill, d.Decode)
	}
}

// Rack-scale recipes of two pools cut by tensors have small chunks.
func TestLowLatencyChunks(t *testing.T) {
	for _, x := range []struct {
		chip, precision, input, decodeDP string
		want                             int
		memory                           float64
	}{
		{"gb200", "fp8", "1024", "False", 8192, 0.95},
		{"gb200", "fp4", "8192", "False", 16384, 0.95},
		{"gb300", "fp8", "8192", "False", 32768, 0},
		{"gb200", "fp4", "8192", "True", 131072, 0},
	} {
		row := with(gb200, "hardware", x.chip, "precision", x.precision, "isl", x.input, "gpus_best", "8",
			"prefill_tp", "4", "prefill_ep", "1", "prefill_dp_attn", "False", "prefill_workers", "1", "num_prefill_gpu", "4",
			"decode_tp", "4", "decode_ep", "1", "decode_dp_attn", x.decodeDP, "decode_workers", "1", "num_decode_gpu", "4")
		s := onlyCase(t, inferenceXColumns, row).Scenario
		if d := s.Deployment; d.Prefill.MaxTokens != x.want || engineNumber(s, "memory_fraction") != x.memory {
			t.Errorf("%+v: %d tokens a step, %g of memory", x, d.Prefill.MaxTokens, engineNumber(s, "memory_fraction"))
		}
	}
}

// AMD's servers let 24 prompts into a prefill worker of eight data-parallel ranks, 128 into
// one that is cut by tensors, whatever decode is.
func TestPromptsInPrefill(t *testing.T) {
	row := with(gb200, "hardware", "mi355x", "framework", "mori-sglang", "precision", "fp8", "gpus_best", "16",
		"prefill_tp", "8", "prefill_ep", "8", "prefill_dp_attn", "True", "prefill_workers", "1", "num_prefill_gpu", "8",
		"decode_tp", "8", "decode_ep", "8", "decode_dp_attn", "True", "decode_workers", "1", "num_decode_gpu", "8")
	for dp, want := range map[string]int{"True": 24 / 8, "False": 128} {
		if s := onlyCase(t, inferenceXColumns, with(row, "prefill_dp_attn", dp)).Scenario; s.Deployment.Prefill.MaxSequences != want || s.Router.Policy != "" {
			t.Errorf("prefill %+v, router %q, want %d prompts", s.Deployment.Prefill, s.Router.Policy, want)
		}
	}
}

func TestScriptedPlaceholders(t *testing.T) {
	old := with(gb200, "prefill_tp", "1", "prefill_ep", "1", "decode_tp", "1", "decode_ep", "1", "precision", "fp4")
	d := onlyCase(t, inferenceXColumns, old).Scenario.Deployment
	if d.Prefill.DP != 4 || d.Prefill.EP != 4 || d.Decode.DP != 48 || d.Decode.EP != 48 {
		t.Errorf("prefill %+v, decode %+v; the list says DEP4 and DEP48", d.Prefill, d.Decode)
	}
	// Workers that the list does not name stay unknown.
	set := readOne(t, inferenceXColumns, with(old, "prefill_workers", "2", "num_prefill_gpu", "16"))
	if len(set.Skipped) != 1 || !strings.Contains(set.Skipped[0].Why, "layout unknown") {
		t.Errorf("%+v", set)
	}
}
