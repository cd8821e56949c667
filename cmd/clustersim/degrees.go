package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/scenario"
)

// degreeFlags are the flags that describe an instance. They set a path of each pool
// that there is, or is looked for: of prefill and decode where the mode or the scenario
// divides them, else of serve, which one kind of instance is. Prompts alone are cut over
// context-parallel ranks: cp is of the prefill pool, and divides them where nothing else says.
var degreeFlags = []struct{ name, usage string }{
	{"tp", "tensor-parallel ranks of an instance, of both pools where there are two; what is not given of a layout is searched"},
	{"dp", "data-parallel attention ranks of an instance"},
	{"ep", "expert-parallel ranks of an instance (TP × DP × CP when DP or CP is above 1)"},
	{"pp", "pipeline stages of an instance"},
	{"cp", "context-parallel ranks of a prefill instance, which share every prompt"},
}

func (in *scenarioInput) addDegreeFlags(c *cobra.Command) {
	for _, d := range degreeFlags {
		g := &given{kind: "N"}
		in.degrees[d.name] = g
		c.Flags().Var(g, d.name, d.usage)
	}
}

// setDegrees puts the degrees into the pools.
func (in *scenarioInput) setDegrees(s *scenario.Scenario) (faults []string) {
	all := in.pools(s)
	for _, d := range degreeFlags {
		pools := all
		if d.name == "cp" {
			pools = all[:1]
		}
		n, err := in.degrees[d.name].degree(d.name)
		if err != nil {
			faults = append(faults, err.Error())
		}
		if n == 0 {
			continue
		}
		left := 0
		for _, pool := range pools {
			path := "deployment." + pool + "." + d.name
			if slices.ContainsFunc(in.sets.said, func(set string) bool { return strings.HasPrefix(set, path+"=") }) {
				continue // one pool of two may be said to differ
			}
			left++
			if err := s.Set(path, strconv.Itoa(n)); err != nil {
				faults = append(faults, fmt.Sprintf("--%s %d: %v", d.name, n, err))
			}
		}
		if left == 0 {
			faults = append(faults, fmt.Sprintf("--%s %d: --set says it of %s; leave out one", d.name, n, strings.Join(pools, " and ")))
		}
	}
	return faults
}

// pools are those that degrees are of.
func (in *scenarioInput) pools(s *scenario.Scenario) []string {
	d := &s.Deployment
	says := func(prefixes ...string) bool {
		return slices.ContainsFunc(in.sets.said, func(set string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(set, "deployment."+p) })
		})
	}
	switch {
	case d.Mode == "aggregated" || d.Serve != nil || says("serve.", "mode=aggregated"):
		return []string{"serve"}
	case d.Mode == "disaggregated" || d.Prefill != nil || d.Decode != nil || says("prefill.", "decode.", "mode=disaggregated") || in.degrees["cp"].above(1):
		return []string{"prefill", "decode"}
	}
	return []string{"serve"}
}

// above reports a flag that gives more than n.
func (g *given) above(n int) bool {
	d, err := g.degree("")
	return err == nil && d > n
}

// maxDegree is beyond what any system has chips for.
const maxDegree = 1 << 20

// degree is the number that a flag gives, 0 where it is not given.
func (g *given) degree(name string) (int, error) {
	switch {
	case len(g.values) == 0:
		return 0, nil
	case len(g.values) > 1:
		return 0, fmt.Errorf("--%s is given %d times: %s; sweep one with --set deployment.serve.%s=%s", name, len(g.values),
			strings.Join(g.values, ", "), name, strings.Join(g.values, ","))
	}
	n, err := strconv.Atoi(strings.TrimSpace(g.values[0]))
	if err != nil {
		return 0, fmt.Errorf("--%s: want a whole number, got %q", name, g.values[0])
	}
	if n < 1 || n > maxDegree {
		return 0, fmt.Errorf("--%s: must be from 1 to %d, got %d", name, maxDegree, n)
	}
	return n, nil
}
