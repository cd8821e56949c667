package recipe

import (
	"fmt"
	"slices"
	"strings"
)

// key is one line of a match.
type key struct {
	name  string
	names *Names
	begin bool // the names are beginnings of what is stated
	of    func(*Facts) string
}

func (m *Match) keys() []key {
	return []key{
		{"benchmark", &m.Benchmark, false, func(f *Facts) string { return f.Benchmark }},
		{"engine", &m.Engine, false, func(f *Facts) string { return f.Engine }},
		{"version", &m.Version, true, func(f *Facts) string { return f.Version }},
		{"snapshot", &m.Snapshot, true, func(f *Facts) string { return f.Snapshot }},
		{"chip", &m.Chip, false, func(f *Facts) string { return f.Chip }},
		{"model", &m.Model, false, func(f *Facts) string { return f.Model }},
		{"precision", &m.Precision, false, func(f *Facts) string { return f.Precision }},
		{"spec", &m.Spec, false, func(f *Facts) string { return f.Spec }},
	}
}

// admits reports that one of the names is what is stated, or its beginning.
func (k *key) admits(stated string) bool {
	return *k.names == nil || slices.ContainsFunc(*k.names, func(n string) bool {
		return n == stated || k.begin && strings.HasPrefix(stated, n)
	})
}

// within reports that all that k admits is admitted by o too.
func (k *key) within(o *key) bool {
	if *k.names == nil {
		return *o.names == nil
	}
	return !slices.ContainsFunc(*k.names, func(n string) bool { return !o.admits(n) })
}

// meets reports that something is admitted by both.
func (k *key) meets(o *key) bool {
	if *k.names == nil || *o.names == nil {
		return true
	}
	return slices.ContainsFunc(*k.names, o.admits) || slices.ContainsFunc(*o.names, k.admits)
}

// Find gives the recipe of a row that states these facts: the narrowest that fits.
// found is false when none does.
func Find(f Facts) (r *Recipe, found bool, err error) {
	all, err := shipped()
	if err != nil {
		return nil, false, err
	}
	for _, o := range all {
		if o.fits(&f) && (r == nil || o.narrower(r)) {
			r = o
		}
	}
	return r, r != nil, nil
}

// fits reports that the recipe is for a run that states these facts.
func (r *Recipe) fits(f *Facts) bool {
	for _, k := range r.Match.keys() {
		if !k.admits(k.of(f)) {
			return false
		}
	}
	return r.Table == nil || r.Table.find(f) != nil
}

// narrower reports that the recipe goes before o where both fit.
func (r *Recipe) narrower(o *Recipe) bool {
	same := true
	mine, others := r.Match.keys(), o.Match.keys()
	for i := range mine {
		if !mine[i].within(&others[i]) {
			return false
		}
		same = same && others[i].within(&mine[i])
	}
	return o.Table == nil && (!same || r.Table != nil)
}

// conflict says which two recipes may both fit a row without one being narrower.
func conflict(all []*Recipe) error {
	for i, a := range all {
		for _, b := range all[i+1:] {
			meet := true
			mine, others := a.Match.keys(), b.Match.keys()
			for j := range mine {
				meet = meet && mine[j].meets(&others[j])
			}
			if meet && !a.narrower(b) && !b.narrower(a) {
				return fmt.Errorf("%s and %s: both may fit a row, and neither's match is within the other's", a.file, b.file)
			}
		}
	}
	return nil
}
