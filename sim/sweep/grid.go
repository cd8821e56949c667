package sweep

import (
	"errors"
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
)

// Axis is one path of the scenario and the values it takes.
type Axis struct {
	Path   string   `json:"path"`
	Values []string `json:"values"`
}

// Setting is one path's value in a point.
type Setting struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// MaxPoints bounds a grid: beyond, it is more likely a slip than a wish.
const MaxPoints = 100_000

// ParseAxis reads PATH=V1,V2,…: commas outside brackets and quotes separate values.
func ParseAxis(text string) (Axis, error) {
	path, list, ok := strings.Cut(text, "=")
	if !ok || path == "" {
		return Axis{}, fmt.Errorf("%q: want PATH=V1,V2,…, for example deployment.decode.ep=32,64", text)
	}
	values, err := split(list)
	if err != nil {
		return Axis{}, fmt.Errorf("%s: %w", text, err)
	}
	return Axis{path, values}, nil
}

// AddAxis appends values to the axis of the same path, or a new axis.
func AddAxis(axes []Axis, a Axis) []Axis {
	for i := range axes {
		if axes[i].Path == a.Path {
			axes[i].Values = append(axes[i].Values, a.Values...)
			return axes
		}
	}
	return append(axes, a)
}

// split cuts a list at commas outside brackets and quotes, and takes off quotes
// that enclose a whole value.
func split(list string) ([]string, error) {
	var values []string
	var closers []rune
	start, quote := 0, rune(0)
	cut := func(end int) error {
		v := strings.TrimSpace(list[start:end])
		if n := len(v); n >= 2 && (v[0] == '"' || v[0] == '\'') && v[n-1] == v[0] && strings.IndexByte(v[1:n-1], v[0]) < 0 {
			v = v[1 : n-1]
		}
		if v == "" {
			return fmt.Errorf("value %d is empty", len(values)+1)
		}
		values = append(values, v)
		return nil
	}
	for i, r := range list {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '(' || r == '[' || r == '{':
			closers = append(closers, map[rune]rune{'(': ')', '[': ']', '{': '}'}[r])
		case r == ')' || r == ']' || r == '}':
			if len(closers) == 0 || closers[len(closers)-1] != r {
				return nil, fmt.Errorf("bracket %q closes none", r)
			}
			closers = closers[:len(closers)-1]
		case r == ',' && len(closers) == 0:
			if err := cut(i); err != nil {
				return nil, err
			}
			start = i + 1
		}
	}
	if quote != 0 || len(closers) > 0 {
		return nil, fmt.Errorf("a quote or bracket is left open")
	}
	return values, cut(len(list))
}

// looks bounds how many values of an axis are looked at before the first point runs, and
// how many points for one that a value goes with.
const looks = 64

// Check reports values of patches that go with nothing else in the grid: a point is
// loaded for each, as far as the first 64 values of an axis. A slip in a path shows before
// the first point runs.
func Check(points []Point, axes []Axis, from plant.Source) error {
	var faults []string
	for k, a := range axes {
		if len(points) == 0 || !scenario.IsPatch(a.Path) {
			continue
		}
		for _, value := range a.Values[:min(len(a.Values), looks)] {
			var last error
			tried := 0
			for i := range points {
				if points[i].Set[k].Value != value {
					continue
				}
				s := points[i].Scenario.Clone()
				last = plant.TakeArrivals(s)
				s.Defaults()
				if last == nil {
					_, last = plant.Load(s, from)
				}
				if last == nil && s.Workload != nil {
					_, last = plant.Generator(s.Workload, s.Patches, s.Seed)
				}
				if last == nil {
					break
				}
				if tried++; tried == looks {
					break
				}
			}
			if last != nil {
				faults = append(faults, last.Error())
			}
		}
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "\n"))
	}
	return nil
}

// Point is one scenario of a grid.
type Point struct {
	ID       int
	Set      []Setting
	Scenario *scenario.Scenario
}

// Grid lists every combination of the axes' values on a base scenario. All faulty
// values are reported together.
func Grid(base *scenario.Scenario, axes []Axis) ([]Point, error) {
	total := 1
	for _, a := range axes {
		if total *= len(a.Values); total > MaxPoints {
			return nil, fmt.Errorf("the grid has more than %d points", MaxPoints)
		}
	}
	var faults []string
	for _, a := range axes {
		for _, v := range a.Values {
			if err := base.Clone().Set(a.Path, v); err != nil {
				faults = append(faults, fmt.Sprintf("%s=%s: %v", a.Path, v, err))
			}
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	points := make([]Point, total)
	for i := range points {
		p := Point{ID: i, Scenario: base.Clone()}
		rest := i
		for k := len(axes) - 1; k >= 0; k-- {
			n := len(axes[k].Values)
			p.Set = append(p.Set, Setting{axes[k].Path, axes[k].Values[rest%n]})
			rest /= n
		}
		for a, b := 0, len(p.Set)-1; a < b; a, b = a+1, b-1 {
			p.Set[a], p.Set[b] = p.Set[b], p.Set[a]
		}
		for _, set := range p.Set {
			if err := p.Scenario.Set(set.Path, set.Value); err != nil {
				return nil, fmt.Errorf("point %d: %w", i, err)
			}
		}
		points[i] = p
	}
	return points, nil
}
