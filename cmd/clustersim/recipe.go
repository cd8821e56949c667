package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/sweep"
	"github.com/clustersim/clustersim/sim/typeset"
	"github.com/clustersim/clustersim/topologies"
)

// addRecipeFlag declares --recipe.
func addRecipeFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "recipe", "", "what a benchmark's launch script sets, below what you say: `NAME` of a recipe (recipe list), or its YAML file")
	offerFor(c, "recipe", recipe.ShippedNames)
}

// follow applies the recipe that --recipe names, if one is. It goes first: what the
// file, a flag, --set or an axis says of a path stays. It returns what the recipe set.
func (in *scenarioInput) follow(c *cobra.Command, s *scenario.Scenario, axes []sweep.Axis) ([]recipe.Setting, error) {
	if in.recipe == "" {
		return nil, nil
	}
	r, err := recipe.Load(in.recipe)
	if err != nil {
		return nil, fmt.Errorf("--recipe: %w", err)
	}
	m, err := models.Source{Dirs: in.modelDirs, Patches: s.Patches.Under("model")}.Load(s.Model)
	if err != nil {
		return nil, err
	}
	t, err := topologies.NewSource(in.topologyDirs, s.Patches).Load(s.Topology)
	if err != nil {
		return nil, err
	}
	f := plant.Facts(s, m)
	f.Chip = t.Chip.Name
	set, err := s.Follow(r, f, func(path string) bool { return s.Says(path) || in.gives(path, axes) })
	if err != nil {
		return nil, err
	}
	for _, text := range r.Beside(f) {
		if !slices.Contains(in.noted, text) { // a sweep has many points
			in.noted = append(in.noted, text)
			fmt.Fprintf(c.ErrOrStderr(), "note: recipe %s %s\n", r.Name, text)
		}
	}
	return set, nil
}

// gives reports whether the user says something of a path, be it zero.
func (in *scenarioInput) gives(path string, axes []sweep.Axis) bool {
	over := func(said string) bool { return spec.Covers(said, path) }
	for _, f := range scenarioFlags {
		if len(in.flags[f.name].values) > 0 && over(f.path) {
			return true
		}
	}
	for _, set := range in.sets.values {
		if said, _, _ := strings.Cut(set, "="); over(said) {
			return true
		}
	}
	for _, a := range axes {
		if over(a.Path) {
			return true
		}
	}
	at := any(in.file)
	for part := range strings.SplitSeq(path, ".") {
		section, _ := at.(map[string]any)
		if at = section[part]; at == nil {
			return false
		}
	}
	return true
}

func newRecipeCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "recipe",
		Short: "List what benchmarks' launch scripts set and print one",
	}, newRecipeList(), newRecipeShow())
}

// recipeRow is one line of recipe list.
type recipeRow struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Source      string `json:"source"`
}

func newRecipeList() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "list", Short: "List the recipes", Args: wants(),
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := recipe.Shipped()
			if err != nil {
				return err
			}
			var rows []recipeRow
			for _, r := range all {
				rows = append(rows, recipeRow{r.Name, r.Description, r.Source})
			}
			return writeShown(c.OutOrStdout(), output, rows, func(w io.Writer) { printRecipes(w, rows) })
		},
	}
	addOutputFlag(c, &output, "text or json", "text", "json")
	return c
}

func printRecipes(w io.Writer, rows []recipeRow) {
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "RECIPE\tWHAT IT STARTS")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\n", r.Name, r.Description)
	}
	t.Flush()
}

func newRecipeShow() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Print a recipe, ready to be edited",
		Long: `show prints all that a recipe sets: NAME is a shipped one or a YAML file. The text is
a recipe itself. A file of one's own needs only what differs:

  name: mine
  base: sglang-r1-fp8-hopper
  description: with a larger chunk
  source: tried here
  set: {deployment.serve.max_tokens: 65536}

and goes wherever a recipe is named: --recipe mine.yaml. A value that begins with = is
computed from what the run states (clients, input, serve.dp, …).`,
		Example: "  clustersim recipe show sglang-r1-fp8-blackwell\n  clustersim recipe show mine.yaml --output json",
		Args:    wants("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := recipe.Load(args[0])
			if err != nil {
				return err
			}
			whole := *r
			whole.Base = "" // its values are all there
			if whole.Table != nil && !spec.IsPath(args[0]) {
				whole.Base, whole.Table = r.Name, nil // the rows of its table are not: they stay the shipped one's
			}
			return writeYAML(c.OutOrStdout(), output, &whole)
		},
	}
	addOutputFlag(c, &output, "text or json", "text", "json")
	c.ValidArgsFunction = offer(recipe.ShippedNames)
	return c
}
