package plant

import (
	"cmp"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/traces"
)

// precisions are what benchmarks call a checkpoint by the format of most of its weights.
var precisions = map[models.Format]string{
	models.FP8: "fp8", models.FP8Block: "fp8", models.NVFP4: "fp4", models.MXFP4: "fp4",
	models.INT4: "int4", models.INT8: "int8", models.BF16: "bf16",
}

// Facts are what a scenario states of what launch scripts decide by. The model gives
// its name and the experts' parallelism that a layout leaves open; without one they
// are not known. The chip is the topology's, which the caller has.
func Facts(s *scenario.Scenario, m *models.Model) recipe.Facts {
	d := &s.Deployment
	f := recipe.Facts{Engine: d.Engine, Spec: "none", Mode: d.Mode, Drafts: d.MTP.Drafts, Serve: poolFacts(d.Serve, m), Prefill: poolFacts(d.Prefill, m), Decode: poolFacts(d.Decode, m)}
	if f.Drafts > 0 {
		f.Spec = "mtp"
	}
	if m != nil {
		f.Model = m.Name
		f.Precision = precisions[cmp.Or(d.Precision.Experts, m.Formats.Experts, d.Precision.Weights, m.Formats.Weights)]
	}
	switch {
	case f.Mode != "" && f.Mode != "auto":
	case d.Serve != nil:
		f.Mode = "aggregated"
	case d.Prefill != nil || d.Decode != nil:
		f.Mode = "disaggregated"
	default:
		f.Mode = ""
	}
	if w := s.Workload; w != nil {
		f.Clients, f.Input, f.Output = w.Concurrency, nominal(w.InputTokens), nominal(w.OutputTokens)
	}
	return f
}

// poolFacts are those of a pool. One degree given decides the others, as in Defaults.
func poolFacts(p *scenario.Pool, m *models.Model) recipe.Pool {
	if p == nil {
		return recipe.Pool{}
	}
	f := recipe.Pool{Instances: p.Instances, TP: p.TP, DP: p.DP, EP: p.EP}
	if p.Instances == 0 || p.TP+p.DP+p.EP+p.PP == 0 {
		return f
	}
	f.TP, f.DP = max(1, p.TP), max(1, p.DP)
	f.Ranks = f.TP * f.DP * max(1, p.CP)
	switch {
	case f.EP > 0:
	case m != nil:
		f.EP = cost.DefaultEP(m, f.TP, f.DP, p.CP)
	case f.DP == 1:
		f.EP = 1
	}
	return f
}

// nominal is the length that a benchmark names a workload by, the longest; 0 where
// lengths have no bound.
func nominal(d *traces.Dist) int {
	if d == nil {
		return 0
	}
	longest, _ := d.Longest()
	return longest
}
