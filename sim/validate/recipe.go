package validate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
)

// launched is how a row's benchmark started the engine: the recipe that was asked for, or
// that the row names, or else the one that is found by what the row states; nil where no
// script is known.
func launched(f recipe.Facts, named string, o *ReadOptions) (*recipe.Recipe, error) {
	if named = cmp.Or(o.Recipe, named); named != "" {
		return recipe.Load(named)
	}
	r, _, err := recipe.Find(f)
	return r, err
}

// follow puts a launch script's choices into a scenario, where that says nothing. The
// formats of a checkpoint are one statement: who gives those of weights gives all.
func follow(s *scenario.Scenario, r *recipe.Recipe, f recipe.Facts, o *ReadOptions) error {
	if r == nil {
		return nil
	}
	given := s.Deployment.Precision.Weights != ""
	_, err := s.Follow(r, f, func(path string) bool {
		return given && ofCheckpoint(path) || o.AsUser && !ofDeployment(path) || s.Says(path)
	})
	return err
}

// ofCheckpoint reports that a path is a format that a checkpoint has.
func ofCheckpoint(path string) bool {
	return slices.Contains([]string{
		"deployment.precision.weights", "deployment.precision.attention", "deployment.precision.attention_output", "deployment.precision.experts",
	}, path)
}

// ofDeployment reports that a path says what is deployed, which whoever asks about a
// deployment writes: engine, mode, layout, formats of weights and cache, drafts, the
// sequences that a rank of a decode pool holds, which size the pool as its ranks do, and
// the router of the front end that the row names. All else of a launch script says how
// the engine is tuned, and is left to its profile.
func ofDeployment(path string) bool {
	if path == "deployment.engine" || path == "deployment.mode" || path == "router.policy" || path == "deployment.decode.max_sequences" ||
		strings.HasPrefix(path, "deployment.mtp.") || ofCheckpoint(path) || path == "deployment.precision.kv" {
		return true
	}
	pool, field, _ := strings.Cut(strings.TrimPrefix(path, "deployment."), ".")
	return slices.Contains([]string{"serve", "prefill", "decode"}, pool) &&
		slices.Contains([]string{"instances", "tp", "dp", "ep", "pp", "cp", "chip", "experts.redundant"}, field)
}

// untuned takes out of a scenario what a benchmark's script, or the list for it, tunes:
// budgets of steps and batches, and how the scheduler waits. What the row's source states
// of memory and formats stays.
func untuned(s *scenario.Scenario) {
	d := &s.Deployment
	for _, p := range []*scenario.Pool{d.Serve, d.Prefill, d.Decode} {
		if p != nil {
			p.MaxTokens = 0
		}
		if p != nil && p != d.Decode {
			p.MaxSequences = 0
		}
	}
	s.Patches = slices.DeleteFunc(s.Patches, func(p spec.Patch) bool {
		return strings.HasPrefix(p.Path, "engine.") && p.Path != "engine.memory_fraction"
	})
}
