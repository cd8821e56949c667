package plant

import (
	"slices"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
)

// Resolve writes into a scenario what it leaves to its model and its engine, so that it
// says what runs whatever their files come to say: the engine by its version, formats,
// drafts' acceptance, and each pool's budgets, overlap and expert parallelism. What a
// patch says is left to the patch. The resolved scenario runs to the same result.
func Resolve(s *scenario.Scenario, from Source) error {
	p, err := Build(s, from)
	if err == nil {
		p.Resolve(s, from)
	}
	return err
}

// Resolve is Resolve for the scenario that the plant was built of.
func (p *Plant) Resolve(s *scenario.Scenario, from Source) {
	d := &s.Deployment
	patched := func(path string) bool {
		return slices.ContainsFunc(s.Patches, func(p spec.Patch) bool { return spec.Covers(path, p.Path) || spec.Covers(p.Path, path) })
	}
	if from.Engine == nil && !spec.IsPath(d.Engine) {
		d.Engine = p.Engine.Ref()
	}
	p.resolveFormats(s, patched)
	for i := range p.Pools {
		asked, c := p.Pools[i].Asked, p.Pools[i].Stepper.Config()
		asked.MaxTokens, asked.MaxSequences, asked.EP = c.MaxTokens, c.MaxSequences, c.Layout.EP
		if d.Overlap == "" && !patched("engine.overlap") {
			asked.Overlap = string(c.Layout.Overlap)
		}
		if c.Model.Experts() > 0 {
			asked.Experts.Exchange = string(c.Layout.Exchange)
		}
		if c.Drafts > 0 && !patched("model.mtp.accepted_length") {
			d.MTP.AcceptedLength = c.Accepted
		}
		if kind := c.Layout.Routing.Kind; d.Routing == "" && kind == cost.Uniform {
			d.Routing = string(kind)
		}
	}
}

// resolveFormats states the formats that were asked for, before a chip had others.
func (p *Plant) resolveFormats(s *scenario.Scenario, patched func(string) bool) {
	f, asked := &s.Deployment.Precision, scenario.Precision(p.asked.Formats)
	for _, x := range []struct {
		key        string
		into, from *models.Format
		elsewhere  bool // said by kv_compress
	}{
		{"weights", &f.Weights, &asked.Weights, false}, {"attention", &f.Attention, &asked.Attention, false},
		{"attention_output", &f.AttentionOutput, &asked.AttentionOutput, false}, {"experts", &f.Experts, &asked.Experts, false},
		{"router", &f.Router, &asked.Router, false},
		{"kv", &f.KV, &asked.KV, s.KVCompress.KV != ""}, {"indexer", &f.Indexer, &asked.Indexer, s.KVCompress.Indexer != ""},
	} {
		if *x.into == "" && !x.elsewhere && !patched("model.formats."+x.key) {
			*x.into = *x.from
		}
	}
}
