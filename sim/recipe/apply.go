package recipe

import (
	"fmt"
	"slices"
	"strings"
)

// Setting is a value that a recipe gives to a path of the scenario.
type Setting struct {
	Path, Value string
	At          string // file:line:column
}

// Apply computes what the recipe sets in a run with these facts, one value a path. What
// the user has said goes before it, which is for the caller to see to. It is an error
// when a fact is needed that is not known.
func (r *Recipe) Apply(f Facts) ([]Setting, error) {
	a := application{recipe: r, facts: f}
	if r.Table != nil {
		row := r.Table.find(&f)
		if row == nil {
			return nil, fmt.Errorf("recipe %s: no row of %s is for this run: %s", r.Name, r.Table.File, said(&f, r.Table.Match))
		}
		a.table = row.set
	}
	for _, pass := range []func(Values) error{a.learn, a.set} {
		if err := pass(r.Set); err != nil {
			return nil, err
		}
	}
	if err := a.set(a.table); err != nil {
		return nil, err
	}
	for i := range r.Also {
		holds, err := a.holds(&r.Also[i])
		if err != nil {
			return nil, err
		}
		if !holds {
			continue
		}
		if err := a.set(r.Also[i].Set); err != nil {
			return nil, err
		}
	}
	for i := range a.settings {
		if now, moved := moved[a.settings[i].Path]; moved {
			a.settings[i].Path = now
		}
	}
	return a.settings, nil
}

// moved are paths that a scenario has under another name.
var moved = map[string]string{
	"engine.poll_steps":       "deployment.poll_steps",
	"engine.memory_fraction":  "deployment.memory_fraction",
	"engine.graph_tokens":     "deployment.graph_tokens",
	"engine.dependent_launch": "deployment.dependent_launch",
	"engine.batch_wait.steps": "deployment.batch_wait.steps",
	"engine.batch_wait.share": "deployment.batch_wait.share",
	"engine.balance.steps":    "deployment.balance.steps",
	"engine.balance.gather":   "deployment.balance.gather",
}

// application is a recipe being applied.
type application struct {
	recipe   *Recipe
	facts    Facts
	table    Values // of the run's row
	settings []Setting
}

// learn takes what the table and then what set says of the mode, the drafts and the
// pools' degrees for facts: those of the table in place of the run's.
func (a *application) learn(set Values) error {
	for i := range a.table {
		a.facts.learn(a.table[i].Path, a.table[i].Text, true)
	}
	for _, computed := range []bool{false, true} { // the mode, before what hangs on a pool
		for i := range set {
			v := &set[i]
			probe := a.facts
			if (v.expr != nil) != computed || !probe.learn(v.Path, "", false) {
				continue
			}
			text, skip, err := a.value(v)
			if err != nil {
				return err
			}
			if !skip {
				a.facts.learn(v.Path, text, false)
			}
		}
	}
	return nil
}

// set gives values to paths.
func (a *application) set(set Values) error {
	for i := range set {
		v := &set[i]
		text, skip, err := a.value(v)
		if err != nil {
			return err
		}
		if skip {
			continue
		}
		s := Setting{v.Path, text, v.at()}
		if j := slices.IndexFunc(a.settings, func(s Setting) bool { return s.Path == v.Path }); j >= 0 {
			a.settings[j] = s
			continue
		}
		a.settings = append(a.settings, s)
	}
	return nil
}

// value is a value's text; one of a pool that the deployment has not is skipped.
func (a *application) value(v *Value) (text string, skip bool, err error) {
	if part, _, _ := strings.Cut(strings.TrimPrefix(v.Path, "deployment."), "."); a.facts.lacks(part) {
		return "", true, nil
	}
	if v.expr == nil {
		return v.Text, false, nil
	}
	if v.expr.lacking(&a.facts) {
		return "", true, nil
	}
	got, err := v.expr.value(&a.facts)
	if err == nil {
		text, err = written(got)
	}
	if err != nil {
		return "", false, fmt.Errorf("recipe %s: %s: %s %w", a.recipe.Name, v.at(), v.Path, err)
	}
	return text, false, nil
}

func (a *application) holds(also *Also) (bool, error) {
	if also.expr.lacking(&a.facts) {
		return false, nil
	}
	got, err := also.expr.value(&a.facts)
	if err != nil {
		return false, fmt.Errorf("recipe %s: the condition %q %w", a.recipe.Name, also.When, err)
	}
	return got == true, nil
}

// said lists facts as the run states them.
func said(f *Facts, names []string) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = name + "=" + f.text(name)
	}
	return strings.Join(parts, ", ")
}
