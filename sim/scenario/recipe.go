package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/spec"
)

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
// patch that covers it.
func (s *Scenario) Says(path string) bool {
	if IsPatch(path) {
		return slices.ContainsFunc(s.Patches, func(p spec.Patch) bool { return spec.Covers(p.Path, path) })
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
