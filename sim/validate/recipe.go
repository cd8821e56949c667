package validate

import (
	"strings"

	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/scenario"
)

// launched is how a row's benchmark started the engine: the recipe that it names, or
// else the one that is found by what the row states; nil where no script is known.
func launched(f recipe.Facts, named string) (*recipe.Recipe, error) {
	if named != "" {
		return recipe.Load(named)
	}
	r, _, err := recipe.Find(f)
	return r, err
}

// follow puts a launch script's choices into a scenario, where that says nothing. The
// formats of a checkpoint are one statement: who gives those of weights gives all.
func follow(s *scenario.Scenario, r *recipe.Recipe, f recipe.Facts) error {
	if r == nil {
		return nil
	}
	given := s.Deployment.Precision.Weights != ""
	_, err := s.Follow(r, f, func(path string) bool {
		if field, format := strings.CutPrefix(path, "deployment.precision."); format && given {
			switch field {
			case "weights", "attention", "attention_output", "experts":
				return true
			}
		}
		return s.Says(path)
	})
	return err
}
