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
// the run states stays, be it zero: stated reports it of a path; nil is of none. It is an
// error when a fact is needed that is not known.
func (r *Recipe) Apply(f Facts, stated func(path string) bool) ([]Setting, error) {
	a := application{recipe: r, run: f, facts: f, stated: stated}
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
	a.laid()
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
	return a.settings, nil
}

// Beside says how a run differs from those that the recipe is for, as far as it states
// what its match names.
func (r *Recipe) Beside(f Facts) (notes []string) {
	for _, k := range r.Match.keys() {
		if has := k.of(&f); has != "" && !k.admits(has) {
			notes = append(notes, fmt.Sprintf("is for %s %s, the run has %s", k.name, strings.Join(*k.names, " or "), has))
		}
	}
	i := slices.IndexFunc(r.Set, func(v Value) bool { return v.Path == "deployment.mode" })
	if i >= 0 && f.Mode != "" && f.Mode != r.Set[i].Text {
		notes = append(notes, fmt.Sprintf("starts %s servers: what it says of their pools is left out of a run that is %s", r.Set[i].Text, f.Mode))
	}
	return notes
}

// application is a recipe being applied.
type application struct {
	recipe   *Recipe
	run      Facts // as they are stated
	facts    Facts // with those that the recipe sets
	stated   func(path string) bool
	table    Values // of the run's row
	settings []Setting
}

// given reports that the run states a path: a fact that it states by other fields, such
// as the mode by its pools, is stated too.
func (a *application) given(path string) bool {
	v, fact := a.run.at(path)
	return a.says(path) || fact && !v.IsZero()
}

func (a *application) says(path string) bool {
	return a.stated != nil && a.stated(path)
}

// learn takes what the table and then what set says of the mode, the drafts and the
// pools' degrees for facts: those of the table in place of the run's.
func (a *application) learn(set Values) error {
	for i := range a.table {
		if v := &a.table[i]; !a.says(v.Path) {
			a.facts.learn(v.Path, v.Text)
		}
	}
	for _, computed := range []bool{false, true} { // the mode, before what hangs on a pool
		for i := range set {
			v := &set[i]
			if _, fact := a.facts.at(v.Path); !fact || (v.expr != nil) != computed || a.given(v.Path) || a.inTable(v.Path) {
				continue
			}
			text, skip, err := a.value(v)
			if err != nil {
				return err
			}
			if !skip {
				a.facts.learn(v.Path, text)
			}
		}
	}
	return nil
}

func (a *application) inTable(path string) bool {
	return slices.ContainsFunc(a.table, func(v Value) bool { return v.Path == path })
}

// set gives values to paths of which the run states nothing.
func (a *application) set(set Values) error {
	for i := range set {
		v := &set[i]
		if a.given(v.Path) || a.inTable(v.Path) {
			continue
		}
		text, skip, err := a.value(v)
		if err != nil {
			return err
		}
		if !skip {
			a.put(Setting{v.Path, text, v.at()})
		}
	}
	return nil
}

// laid gives the values of the run's row in the table.
func (a *application) laid() {
	for i := range a.table {
		if v := &a.table[i]; !a.says(v.Path) {
			a.put(Setting{v.Path, v.Text, v.at()})
		}
	}
}

// put replaces an earlier value of the path.
func (a *application) put(s Setting) {
	if j := slices.IndexFunc(a.settings, func(o Setting) bool { return o.Path == s.Path }); j >= 0 {
		a.settings[j] = s
		return
	}
	a.settings = append(a.settings, s)
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
	if also.expr.lacking(&a.facts) || also.expr.open(&a.facts) {
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
