package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/traces"
)

// Facts are what the scenario states of what launch scripts decide by. The model gives
// its name and the experts' parallelism that a layout leaves open; without one they
// are not known. The chip is the topology's, which the caller has.
func (s *Scenario) Facts(m *models.Model) recipe.Facts {
	d := &s.Deployment
	f := recipe.Facts{Mode: d.Mode, Drafts: d.MTP.Drafts, Serve: d.Serve.facts(m), Prefill: d.Prefill.facts(m), Decode: d.Decode.facts(m)}
	if m != nil {
		f.Model = m.Name
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

// facts are those of a pool. One degree given decides the others, as in Defaults.
func (p *Pool) facts(m *models.Model) recipe.Pool {
	if p == nil {
		return recipe.Pool{}
	}
	f := recipe.Pool{Instances: p.Instances, TP: p.TP, DP: p.DP, EP: p.EP}
	if p.Instances == 0 || p.TP+p.DP+p.EP+p.PP == 0 {
		return f
	}
	f.TP, f.DP = max(1, p.TP), max(1, p.DP)
	f.Ranks = f.TP * f.DP
	switch {
	case f.EP > 0:
	case m != nil:
		f.EP = cost.DefaultEP(m, f.TP, f.DP)
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

// Follow sets what a recipe says for a run with these facts. What is stated stays:
// stated reports whether a path is. It returns what it set.
func (s *Scenario) Follow(r *recipe.Recipe, f recipe.Facts, stated func(path string) bool) ([]recipe.Setting, error) {
	settings, err := r.Apply(f, stated)
	if err != nil {
		return nil, err
	}
	for _, v := range settings {
		if err := s.Set(v.Path, v.Value); err != nil {
			return nil, fmt.Errorf("recipe %s: %s: %w", r.Name, v.At, err)
		}
	}
	return settings, nil
}

// Says reports whether the scenario has a value at a dotted path, other than zero, or a
// patch of it.
func (s *Scenario) Says(path string) bool {
	if IsPatch(path) {
		return slices.ContainsFunc(s.Patches, func(p spec.Patch) bool { return p.Path == path })
	}
	v := reflect.ValueOf(s)
	for part := range strings.SplitSeq(path, ".") {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return false
			}
			v = v.Elem()
		}
		if v = fieldOf(v, part); !v.IsValid() {
			return false
		}
	}
	return !v.IsZero()
}

// fieldOf is a struct's field by its name in files.
func fieldOf(v reflect.Value, name string) reflect.Value {
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	for i := range v.NumField() {
		if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); tag == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}
