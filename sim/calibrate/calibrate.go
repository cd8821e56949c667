package calibrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/sim/fit"
	"github.com/clustersim/clustersim/sim/work"
	"github.com/clustersim/clustersim/topologies"
)

// Options of a calibration.
type Options struct {
	Sources []string // kernels to fit, by a part of their name, in place of the best; each must name one
	Classes []string // only these; nil is all
	Workers int      // fits at a time; 0 is one a core
	// Done is told how many fits of how many are done; nil to ignore it.
	Done func(done, total int)
}

// Report is a calibration's result; its JSON is a stable surface.
type Report struct {
	Chip    string    `json:"chip"`
	Files   []string  `json:"files"`
	Rows    int       `json:"rows_read"`
	Fits    []Fit     `json:"fits"`
	LeftOut []LeftOut `json:"left_out"`
}

// Fit is one class and variant.
type Fit struct {
	Class    string             `json:"class"`
	Variant  string             `json:"variant"`
	Kernel   string             `json:"kernel"`
	Others   []string           `json:"other_kernels,omitempty"` // slower ones, and by how much
	Rows     int                `json:"rows"`                    // of the tables; samples are fewer where keys repeat
	Shapes   int                `json:"shapes"`
	Fitted   map[string]float64 `json:"fitted"`
	Shipped  map[string]float64 `json:"shipped,omitempty"`
	Residual Residual           `json:"residual"`
	HeldOut  Residual           `json:"held_out"` // each half of the shapes predicted by the other's fit
	Before   Residual           `json:"before"`   // what the chip's file predicts
	BySize   []Slice            `json:"by_size"`
	ByPart   []Slice            `json:"by_part,omitempty"`
	Loose    []string           `json:"undecided,omitempty"` // constants that no row decides
}

// Slice is the residual of some of a fit's rows, after and before.
type Slice struct {
	Name     string   `json:"name"`
	Residual Residual `json:"residual"`
	Before   Residual `json:"before"`
}

// Run fits every class that the rows have samples of. A cancelled context ends it
// with the context's error.
func Run(ctx context.Context, chip *topologies.Chip, rows *Rows, o Options) (*Report, error) {
	flat := chip.Flat()
	set, err := law.New(flat)
	if err == nil {
		err = set.Complete()
	}
	if err != nil {
		return nil, fmt.Errorf("%w\nname a chip as ancestor, whose constants stand where no timing decides", err)
	}
	if err := checkSources(rows, o.Sources); err != nil {
		return nil, err
	}
	report := &Report{Chip: chip.Name, Files: rows.Files, Rows: rows.Read, LeftOut: slices.Clone(rows.LeftOut)}
	jobs := jobsOf(rows, o, report)
	if len(jobs) == 0 {
		return report, errNoRows
	}
	report.Fits = make([]Fit, len(jobs))
	done := 0
	faults := work.Each(ctx, len(jobs), o.Workers, func(i int) (err error) {
		report.Fits[i], err = jobs[i].run(ctx, chip, flat)
		return err
	}, func(int, error) {
		if done++; o.Done != nil {
			o.Done(done, len(jobs))
		}
	})
	for i, err := range faults {
		if errors.As(err, new(*work.Panic)) {
			return nil, fmt.Errorf("%s %s: %w", jobs[i].class, jobs[i].variant, err)
		}
		if err != nil {
			return nil, err
		}
	}
	return report, ctx.Err()
}

// job is one fit to do.
type job struct {
	class, variant, kernel string
	others                 []string
	form                   *form
	samples                []*Sample
}

// jobsOf groups the samples by class and variant, and chooses the kernel where
// there are several. What is not fitted is noted in the report.
func jobsOf(rows *Rows, o Options, report *Report) []*job {
	type key struct{ class, variant string }
	groups := map[key]map[string][]*Sample{}
	for _, s := range rows.Samples {
		k := key{s.Class, s.Variant}
		if groups[k] == nil {
			groups[k] = map[string][]*Sample{}
		}
		groups[k][s.Kernel] = append(groups[k][s.Kernel], s)
	}
	order := slices.SortedFunc(maps.Keys(groups), func(a, b key) int {
		return cmp.Or(cmp.Compare(rank(a.class), rank(b.class)), cmp.Compare(a.variant, b.variant))
	})
	leave := func(samples []*Sample, why string) {
		n := 0
		for _, s := range samples {
			n += s.Rows
		}
		report.LeftOut = append(report.LeftOut, LeftOut{Why: why, Rows: n})
	}
	var jobs []*job
	for _, k := range order {
		kernels := groups[k]
		j := &job{class: k.class, variant: k.variant, form: formOf(k.class, k.variant)}
		j.kernel, j.others = choose(kernels, o.Sources)
		for _, name := range slices.Sorted(maps.Keys(kernels)) {
			switch {
			case len(o.Classes) > 0 && !slices.Contains(o.Classes, k.class):
				leave(kernels[name], fmt.Sprintf("%s: not asked for", k.class))
			case name != j.kernel:
				leave(kernels[name], fmt.Sprintf("%s %s: kernel %s (fitted: %s)", k.class, k.variant, name, j.kernel))
			default:
				j.samples = kernels[name]
			}
		}
		if j.samples != nil {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// checkSources wants every asked part of a kernel's name to be in some kernel's.
func checkSources(rows *Rows, asked []string) error {
	kernels := map[string]bool{}
	for _, s := range rows.Samples {
		kernels[s.Kernel] = true
	}
	if len(kernels) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(kernels))
	for _, part := range asked {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, part) }) {
			return fmt.Errorf("source: no kernel of the files has %q in its name (they have: %s)", part, strings.Join(names, ", "))
		}
	}
	return nil
}

func rank(class string) int {
	return slices.IndexFunc(forms[:], func(f form) bool { return f.class == class })
}

// enough is how many common keys tell two kernels' speeds apart.
const enough = 20

// choose is the kernel to fit, and what is said of the others: what the user asks
// for; else the fastest over the keys that it shares with the one that has most rows.
func choose(kernels map[string][]*Sample, asked []string) (best string, others []string) {
	names := slices.SortedFunc(maps.Keys(kernels), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(kernels[b]), len(kernels[a])), cmp.Compare(a, b))
	})
	best = names[0]
	ratios := map[string]float64{}
	for _, name := range names[1:] {
		ratio, common := against(kernels[names[0]], kernels[name])
		if common < enough {
			continue
		}
		ratios[name] = ratio
		if was, ok := ratios[best]; ratio < 1 && (!ok || ratio < was) {
			best = name
		}
	}
	for _, part := range asked {
		for _, name := range names {
			if strings.Contains(name, part) {
				best = name
			}
		}
	}
	for _, name := range names {
		if name == best {
			continue
		}
		ratio, common := against(kernels[best], kernels[name])
		if common < enough {
			others = append(others, name+" (other shapes)")
		} else {
			others = append(others, fmt.Sprintf("%s (× %.2f)", name, ratio))
		}
	}
	return best, others
}

// against is the geometric mean of b's time over a's where both timed the same.
func against(a, b []*Sample) (ratio float64, common int) {
	times := map[string]float64{}
	for _, s := range a {
		times[s.Part+"\x00"+s.Key] = s.Seconds
	}
	sum := 0.0
	for _, s := range b {
		if t, ok := times[s.Part+"\x00"+s.Key]; ok {
			sum += math.Log(s.Seconds / t)
			common++
		}
	}
	return math.Exp(sum / max(float64(common), 1)), common
}

// run fits, scores, and fits each half of the shapes for the other.
func (j *job) run(ctx context.Context, chip, flat *topologies.Chip) (Fit, error) {
	f := Fit{Class: j.class, Variant: j.variant, Kernel: j.kernel, Others: j.others}
	now, err := law.New(chip, j.variant)
	if err != nil {
		return f, err
	}
	shipped, _ := flat.Constants(j.class, j.variant)
	f.Shipped = shipped.Values
	fitted, shapes := j.fitted()
	f.Shapes = len(shapes)
	for _, s := range j.samples {
		f.Rows += s.Rows
	}
	values, loose, err := j.fit(ctx, flat, fitted, shipped.Values)
	if err != nil {
		return f, fmt.Errorf("%s %s: %w", j.class, j.variant, err)
	}
	f.Fitted, f.Loose = values, loose
	set, err := trial(flat, j.class, j.variant, topologies.Constants{Values: values})
	if err != nil {
		return f, err
	}
	f.Residual, f.Before = residualOf(errorsOf(set, fitted)), residualOf(errorsOf(now, fitted))
	f.slices(j.samples, fitted, set, now)
	if len(shapes) > 1 {
		f.HeldOut, err = j.heldOut(ctx, flat, fitted, shapes, shipped.Values)
	}
	return f, err
}

// fitted are the samples that are fitted (loads that a draw estimates are only
// scored), and their shapes in order.
func (j *job) fitted() (samples []*Sample, shapes []string) {
	seen := map[string]bool{}
	for _, s := range j.samples {
		if strings.HasPrefix(s.Part, "power law") {
			continue
		}
		samples = append(samples, s)
		if !seen[s.Shape] {
			seen[s.Shape], shapes = true, append(shapes, s.Shape)
		}
	}
	if len(samples) == 0 {
		return j.samples, nil
	}
	slices.Sort(shapes)
	return samples, shapes
}

func (f *Fit) slices(all, fitted []*Sample, set, now *law.Set) {
	for i, r := range sizes {
		part := slices.Collect(func(yield func(*Sample) bool) {
			for _, s := range fitted {
				if sizeOf(s) == i && !yield(s) {
					return
				}
			}
		})
		if len(part) > 0 {
			f.BySize = append(f.BySize, Slice{r.name, residualOf(errorsOf(set, part)), residualOf(errorsOf(now, part))})
		}
	}
	parts := map[string][]*Sample{}
	for _, s := range all {
		part := cmp.Or(s.Part, "common shapes")
		if s.Rare {
			part = "rare shapes"
		}
		parts[part] = append(parts[part], s)
	}
	if len(parts) < 2 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		f.ByPart = append(f.ByPart, Slice{name, residualOf(errorsOf(set, parts[name])), residualOf(errorsOf(now, parts[name]))})
	}
}

func errorsOf(set *law.Set, samples []*Sample) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = s.Time(set).Total()/s.Seconds - 1
	}
	return out
}

// heldOut predicts each half of the shapes, every other one, with the fit of the rest.
func (j *job) heldOut(ctx context.Context, flat *topologies.Chip, samples []*Sample, shapes []string, shipped map[string]float64) (Residual, error) {
	half := map[string]int{}
	for i, s := range shapes {
		half[s] = i % 2
	}
	var sides [2][]*Sample
	for _, s := range samples {
		sides[half[s.Shape]] = append(sides[half[s.Shape]], s)
	}
	var out []float64
	for i := range sides {
		values, _, err := j.fit(ctx, flat, sides[i], shipped)
		if err != nil {
			return Residual{}, err
		}
		set, err := trial(flat, j.class, j.variant, topologies.Constants{Values: values})
		if err != nil {
			return Residual{}, err
		}
		out = append(out, errorsOf(set, sides[1-i])...)
	}
	return residualOf(out), nil
}

// maxFitted is about how many samples a fit looks at.
const maxFitted = 5000

// thin takes one sample in so many, by the hash of its key: tables are grids, in which
// every n-th would meet the same sizes again.
func thin(samples []*Sample) []*Sample {
	stride := uint64((len(samples) + maxFitted - 1) / maxFitted)
	if stride <= 1 {
		return samples
	}
	var some []*Sample
	for _, s := range samples {
		h := fnv.New64a()
		io.WriteString(h, s.Key)
		if (h.Sum64()>>17)%stride == 0 {
			some = append(some, s)
		}
	}
	return some
}

// prior is how far, in ln, a constant wanders from where it starts before that costs
// as much as one row that is off by 10 %: it decides only what no row does.
const prior = 0.7

// fit finds the constants, and names those that nothing in the samples decides.
func (j *job) fit(ctx context.Context, flat *topologies.Chip, samples []*Sample, shipped map[string]float64) (values map[string]float64, loose []string, err error) {
	some := thin(samples)
	n, generic := len(j.form.constants), make([]float64, len(j.form.constants))
	p := &fit.Problem{N: len(some) + n, Weights: weigh(some), Scale: softness}
	for i, c := range j.form.constants {
		start := c.start
		if v, ok := shipped[c.key]; ok {
			start = min(max(v, c.low), c.high)
		}
		p.Parameters = append(p.Parameters, fit.Parameter{Name: c.key, Start: start, Low: c.low, High: c.high, Log: true})
		p.Weights = append(p.Weights, 1)
		generic[i] = c.start
	}
	p.Residuals = func(x, out []float64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, v := range x {
			out[len(some)+i] = math.Log(v/p.Parameters[i].Start) * softness / prior
		}
		set, err := trial(flat, j.class, j.variant, topologies.Constants{Values: j.form.values(x)})
		if err != nil {
			return err
		}
		for i, s := range some {
			out[i] = math.Log(s.Time(set).Total() / s.Seconds)
		}
		return nil
	}
	best, err := fit.Best(p, j.form.starts(generic)...)
	if err != nil {
		return nil, nil, err
	}
	loose, err = j.form.undecided(p, best.X, len(some))
	values = j.form.values(best.X)
	for key, v := range values {
		values[key] = digits(v)
	}
	return values, loose, err
}

// starts are where a fit begins beside what the chip has: the class's usual, and that
// with efficiencies and floors leaning either way.
func (f *form) starts(generic []float64) [][]float64 {
	lean := func(by float64) []float64 {
		out := slices.Clone(generic)
		for i, c := range f.constants {
			out[i] = min(max(out[i]*math.Exp(by*float64(1-2*(i%2))), c.low), c.high)
		}
		return out
	}
	return [][]float64{generic, lean(0.4), lean(-0.4)}
}

// digits rounds to the three figures that a chip's file shows.
func digits(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// values are the constants in the units of a chip's file.
func (f *form) values(x []float64) map[string]float64 {
	out := maps.Clone(f.fixed)
	if out == nil {
		out = map[string]float64{}
	}
	for i, c := range f.constants {
		out[c.key] = x[i]
		if c.none && x[i] < 2*c.low {
			out[c.key] = 0
		}
	}
	return out
}

// undecided are constants that may double or halve for less than a hundredth of the
// rows' loss: the rows do not tell.
func (f *form) undecided(p *fit.Problem, x []float64, rows int) ([]string, error) {
	r := make([]float64, p.N)
	loss := func(x []float64) (float64, error) {
		err := p.Residuals(x, r)
		sum := 0.0
		for i, v := range r[:rows] {
			z := v / softness
			sum += p.Weights[i] * (math.Sqrt(1+z*z) - 1)
		}
		return sum, err
	}
	base, err := loss(x)
	if err != nil {
		return nil, err
	}
	var loose []string
	at := slices.Clone(x)
	for i, c := range f.constants {
		worst := 0.0
		for _, by := range []float64{2, 0.5} {
			at[i] = min(max(x[i]*by, c.low), c.high)
			l, err := loss(at)
			if err != nil {
				return nil, err
			}
			worst = max(worst, l-base)
		}
		if at[i] = x[i]; worst < 0.01*base {
			loose = append(loose, c.key)
		}
	}
	return loose, nil
}
