package law

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// source reads constants of one chip, and collects what is wrong or assumed.
type source struct {
	chip        *topologies.Chip
	floors      float64 // on times; of an ancestor's constants
	compute     float64 // transfer factors on the peaks that shares are of
	memory      float64
	kernels     []string // preferred, best first
	missing     map[slot]string
	known       []named // class and variant of every block that some form reads
	errs        []error
	assumptions []assumption
}

// named is a block of constants.
type named struct{ class, variant string }

// values are the constants of one class and variant while they are read.
type values struct {
	src     *source
	name    string
	variant string
	c       topologies.Constants
	read    []string
}

// find is the first of the variants of a class that the chip or an ancestor has,
// those of preferred kernels before the others.
func (src *source) find(class string, variants ...string) (*values, bool) {
	src.knows(class, variants...)
	if v, ok := src.preferred(class, variants...); ok {
		return v, true
	}
	return src.first(class, variants...)
}

// knows notes that forms read these variants of a class, whether or not the chip's do.
func (src *source) knows(class string, variants ...string) {
	for _, v := range variants {
		src.known = append(src.known, named{class, v})
	}
}

// variants are those of a class that some form reads, once each.
func (src *source) variants(class string) []string {
	var names []string
	for _, k := range src.known {
		if k.class == class && !slices.Contains(names, k.variant) {
			names = append(names, k.variant)
		}
	}
	return names
}

// unread refuses the chip's blocks of constants that no form would ever read.
func (src *source) unread() {
	for _, class := range slices.Sorted(maps.Keys(src.chip.Operators)) {
		if !slices.Contains(classes, class) {
			src.fail("operators.%s: %v", class, spec.UnknownName("operator class", class, classes))
			continue
		}
		for _, v := range slices.Sorted(maps.Keys(src.chip.Operators[class])) {
			if !slices.Contains(src.known, named{class, v}) {
				src.fail("operators.%s.%s: %v", class, v, spec.UnknownName("variant", v, src.variants(class)))
			}
		}
	}
}

// preferred is find among the variants of preferred kernels alone.
func (src *source) preferred(class string, variants ...string) (*values, bool) {
	for _, kernel := range src.kernels {
		for _, v := range variants {
			if v != kernel && !strings.HasSuffix(v, "/"+kernel) {
				continue
			}
			if found, ok := src.first(class, v); ok {
				return found, true
			}
		}
	}
	return nil, false
}

func (src *source) first(class string, variants ...string) (*values, bool) {
	for _, v := range variants {
		c, ok := src.chip.Constants(class, v)
		if !ok {
			continue
		}
		_, own := src.chip.Operators[class][v]
		src.assume(class, v, own, c.Assumed)
		return &values{src: src, name: class + "." + v, variant: v, c: c}, true
	}
	return nil, false
}

// need is find for the constants of form i of a class. Where there are none, the form
// has no price (NaN), and Set.Need says what is missing to a caller that would use it.
func (src *source) need(class string, i int, variants ...string) *values {
	if v, ok := src.find(class, variants...); ok {
		return v
	}
	src.missing[slot{class, i}] = fmt.Sprintf("operators.%s.%s", class, strings.Join(variants, " or "))
	return &values{src: src, name: class}
}

func (src *source) fail(format string, args ...any) {
	src.add(fmt.Errorf("chip %s: %s", src.chip.Name, fmt.Sprintf(format, args...)))
}

// add keeps what is said for the first time.
func (src *source) add(err error) {
	for _, said := range src.errs { // several variants may read one block
		if said.Error() == err.Error() {
			return
		}
	}
	src.errs = append(src.errs, err)
}

// number reads one constant; one that is missing among others is an error, and of a
// class that the chip has not at all there is none.
func (v *values) number(key string, low, high float64) float64 {
	v.read = append(v.read, key)
	x, ok := v.c.Values[key]
	switch {
	case v.c.Values == nil:
		return math.NaN()
	case !ok:
		v.src.fail("operators.%s: %s is missing", v.name, key)
		return 1
	case !(x >= low && x <= high):
		v.wrong(key, "must be within %g and %g, got %g", low, high, x)
		return 1
	}
	return x
}

// Wrong is a value of a chip that cannot be, at a dotted path of its file.
type Wrong struct {
	Chip       *topologies.Chip // the one whose file has it
	Path, Text string
}

func (w *Wrong) Error() string { return fmt.Sprintf("chip %s: %s: %s", w.Chip.Name, w.Path, w.Text) }

func (v *values) wrong(key, format string, args ...any) {
	class, _, _ := strings.Cut(v.name, ".")
	has := v.src.chip
	for has.Parent != nil && has.Operators[class][v.variant].Values == nil {
		has = has.Parent
	}
	v.src.add(&Wrong{has, "operators." + v.name + "." + key, fmt.Sprintf(format, args...)})
}

// us and ns are times, returned in seconds.
func (v *values) us(key string) float64 { return v.number(key, 0, 1e6) * 1e-6 * v.src.floors }
func (v *values) ns(key string) float64 { return v.number(key, 0, 1e9) * 1e-9 * v.src.floors }

// log is a time per doubling, returned in seconds per e-fold.
func (v *values) log(key string) float64 { return v.us(key) * math.Log2E }

// root reads a power that is 1 or, for a square root, 0.5.
func (v *values) root(key string) bool {
	x := v.number(key, 0.5, 1)
	if x != 0.5 && x != 1 && !math.IsNaN(x) {
		v.wrong(key, "must be 0.5 or 1, got %g", x)
	}
	return x < 1
}

// share is an efficiency on compulsory work: at most 1, so that nothing beats the peak.
// A fit may state a little more, which is its error.
// So may an ancestor's share times a transfer factor above 1, which counts to the peak.
func (v *values) share(key string) float64 {
	factor := v.src.memory
	if key == "ec" || key == "el" || key == "e_index" { // of arithmetic
		factor = v.src.compute
	}
	return min(v.number(key, 1e-4, 2), 1, 1/factor)
}

// cached is an efficiency on traffic that caches may serve: it may exceed 1, and a
// check against the peaks must leave that traffic out.
func (v *values) cached(key string) float64 { return v.number(key, 1e-4, 100) }

// has tells an optional constant.
func (v *values) has(key string) bool {
	_, ok := v.c.Values[key]
	return ok
}

// done reports constants that no form reads.
func (v *values) done() {
	for _, key := range slices.Sorted(maps.Keys(v.c.Values)) {
		if !slices.Contains(v.read, key) {
			v.src.fail("operators.%s: %v", v.name, spec.UnknownName("constant", key, v.read))
		}
	}
}

// assumption is a class and variant whose constants no timing of this chip backs.
type assumption struct{ class, variant, because string }

// Assumptions says, a line a reason, which constants come from another chip or a
// vendor's figure: of all classes (the names of a chip's operators block), or only
// of those given.
func (s *Set) Assumptions(classes ...string) []string {
	var lines, reasons []string
	for _, a := range s.assumptions {
		if len(classes) > 0 && !slices.Contains(classes, a.class) {
			continue
		}
		i := slices.Index(reasons, a.because)
		if i < 0 {
			i = len(reasons)
			reasons, lines = append(reasons, a.because), append(lines, s.chip+": "+a.because+": ")
		} else {
			lines[i] += ", "
		}
		lines[i] += a.class + "." + a.variant
	}
	return lines
}

// assume notes where constants come from, once.
func (src *source) assume(class, variant string, own, assumed bool) {
	a := assumption{class: class, variant: variant}
	switch {
	case !own:
		a.because = "operator constants of " + strings.Join(src.chip.Lineage()[1:], " or ") + ", scaled by this chip's peaks"
		if src.chip.Inherited().Source != "" {
			a.because += " and transfer factors"
		}
	case assumed:
		a.because = "operator constants assumed or from a vendor's figure"
	default:
		return
	}
	if !slices.Contains(src.assumptions, a) {
		src.assumptions = append(src.assumptions, a)
	}
}
