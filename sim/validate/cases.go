package validate

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
)

// caseList is the file format of clustersim's own cases.
type caseList struct {
	Version int        `yaml:"version"`
	Cases   []caseItem `yaml:"cases"`
	Skipped []Skipped  `yaml:"skipped,omitempty"` // rows of the sources that do not state enough
}

// caseItem is one deployment, measured once (measure) or at several loads (points).
type caseItem struct {
	ID         string             `yaml:"id"`
	Source     string             `yaml:"source"`
	Engine     string             `yaml:"engine,omitempty"` // what tables call it, when not by its profile
	Scenario   scenario.Scenario  `yaml:"scenario"`
	Phase      string             `yaml:"phase,omitempty"`
	Steady     *Steady            `yaml:"steady,omitempty"`
	InferenceX *launch            `yaml:"inferencex,omitempty"`
	Measure    map[string]float64 `yaml:"measure,omitempty"`
	Points     []casePoint        `yaml:"points,omitempty"`
	Assumed    []string           `yaml:"assumed,omitempty"`
	Note       string             `yaml:"note,omitempty"`
}

// casePoint is one load of a deployment: what it sets in the scenario, and what was
// measured there. Its case's id is the item's, a slash, and its own.
type casePoint struct {
	ID      string             `yaml:"id"`
	Set     map[string]string  `yaml:"set,omitempty"` // scenario path: value, as in a sweep
	Steady  *Steady            `yaml:"steady,omitempty"`
	Measure map[string]float64 `yaml:"measure"`
	Note    string             `yaml:"note,omitempty"`
}

// launch says that a deployment was started and loaded as InferenceX does it:
// workload.concurrency clients, each ten requests one after the other, lengths
// uniform in [0.8, 1.0] of isl and osl, and the choices of the launch script: the recipe
// that is named, or the one that is found by what stands here.
type launch struct {
	Framework string `yaml:"framework"` // as InferenceX names it, trtllm for trt
	Version   string `yaml:"version,omitempty"`
	Precision string `yaml:"precision"` // fp4, fp8, int4
	Spec      string `yaml:"spec"`      // none or mtp
	ISL       int    `yaml:"isl"`
	OSL       int    `yaml:"osl"`
	Recipe    string `yaml:"recipe,omitempty"`
}

// caseVersion is the version of the case list.
const caseVersion = 1

// caseColumns are what a filter may name.
var caseColumns = []string{"id", "source", "phase", "model", "topology", "engine"}

func (c *caseItem) column(name string) string {
	return map[string]string{
		"id": c.ID, "source": c.Source, "phase": c.Phase, "model": c.Scenario.Model,
		"topology": c.Scenario.Topology, "engine": c.Scenario.Deployment.Engine,
	}[name]
}

// readCases reads a case list. A fault of its form is an error; a case whose model,
// topology or layout cannot be resolved is skipped.
func readCases(name string, data []byte, o *ReadOptions) (*Set, error) {
	list := &caseList{}
	doc := spec.Parse(name, data, list)
	var items []caseItem
	if doc.Err() == nil {
		items = list.check(doc, o)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	set := &Set{}
	for i := range items {
		item := &items[i]
		if !slices.ContainsFunc(o.Filters, func(f Filter) bool { return item.column(f.Column) != f.Value }) {
			set.add(item, o)
		}
	}
	if len(o.Filters) == 0 {
		set.Skipped = append(set.Skipped, list.Skipped...)
	}
	return set, nil
}

// check reports every fault of the list and gives its cases with points as cases of
// their own.
func (l *caseList) check(doc *spec.Doc, o *ReadOptions) (items []caseItem) {
	if l.Version != caseVersion {
		doc.Errorf("version", "must be %d, got %d", caseVersion, l.Version)
	}
	if len(l.Cases) == 0 {
		doc.Errorf("cases", "must have at least one case")
	}
	for _, f := range o.Filters {
		if !slices.Contains(caseColumns, f.Column) {
			doc.Errorf("", "%v", spec.UnknownName("column", f.Column, caseColumns))
		}
	}
	seen := map[string]bool{}
	for i := range l.Cases {
		path := fmt.Sprintf("cases[%d]", i)
		for _, c := range l.Cases[i].expand(doc, path) {
			c.check(doc, path, seen)
			items = append(items, c)
		}
	}
	for i, s := range l.Skipped {
		path := fmt.Sprintf("skipped[%d]", i)
		if s.ID == "" || s.Why == "" {
			doc.Errorf(path, "must have an id and why the row is left out")
		}
		if seen[s.ID] {
			doc.Errorf(path+".id", "%q is given twice", s.ID)
		}
		seen[s.ID] = true
	}
	return items
}

// expand makes a case of every point.
func (c *caseItem) expand(doc *spec.Doc, path string) []caseItem {
	if len(c.Points) == 0 {
		return []caseItem{*c}
	}
	if len(c.Measure) > 0 {
		doc.Errorf(path+".measure", "stands beside points, which have their own; give one of the two")
	}
	out := make([]caseItem, 0, len(c.Points))
	for i := range c.Points {
		p, at := &c.Points[i], fmt.Sprintf("%s.points[%d]", path, i)
		if p.ID == "" {
			doc.Errorf(at+".id", "must be given")
		}
		one := *c
		one.Scenario, one.Points = *c.Scenario.Clone(), nil
		one.ID, one.Measure = c.ID+"/"+p.ID, p.Measure
		if p.Steady != nil {
			one.Steady = p.Steady
		}
		if p.Note != "" {
			one.Note = p.Note
		}
		for _, key := range slices.Sorted(maps.Keys(p.Set)) {
			if err := one.Scenario.Set(key, p.Set[key]); err != nil {
				doc.Errorf(at+".set", "%v", err)
			}
		}
		out = append(out, one)
	}
	return out
}

func (c *caseItem) check(doc *spec.Doc, path string, seen map[string]bool) {
	switch {
	case c.ID == "":
		doc.Errorf(path+".id", "must be given")
	case seen[c.ID]:
		doc.Errorf(path+".id", "%q is given twice", c.ID)
	}
	seen[c.ID] = true
	if c.Source == "" {
		doc.Errorf(path+".source", "must name where the measurement is published")
	}
	phase, err := parsePhase(c.Phase)
	if err != nil {
		doc.Errorf(path+".phase", "%v", err)
	}
	if c.Steady != nil && err == nil {
		c.Steady.check(phase, &c.Scenario.Deployment, func(field, format string, args ...any) {
			doc.Errorf(path+".steady."+field, format, args...)
		})
	}
	if l := c.InferenceX; l != nil {
		c.checkLaunch(doc, path, l)
	}
	c.checkMeasures(doc, path+".measure", phase)
	c.Scenario.CheckAs(doc, path+".scenario", plant.Check)
}

func (c *caseItem) checkLaunch(doc *spec.Doc, path string, l *launch) {
	at := path + ".inferencex"
	if _, err := profile(l.Framework, l.Version); err != nil {
		doc.Errorf(at+".framework", "%v", err)
	}
	if l.Spec != "none" && l.Spec != "mtp" {
		doc.Errorf(at+".spec", "%v", spec.UnknownName("spec", l.Spec, []string{"mtp", "none"}))
	}
	if l.Recipe != "" {
		if _, err := recipe.Load(l.Recipe); err != nil {
			doc.Errorf(at+".recipe", "%v", err)
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"isl", l.ISL}, {"osl", l.OSL}} {
		if n.value < 1 || n.value > 1<<24 {
			doc.Errorf(at+"."+n.name, "must be from 1 to %d, got %d", 1<<24, n.value)
		}
	}
	if w := c.Scenario.Workload; w == nil || w.Concurrency < 1 {
		doc.Errorf(at, "needs scenario.workload.concurrency, the number of clients")
	} else if *w != (scenario.Workload{Concurrency: w.Concurrency}) {
		doc.Errorf(at, "isl and osl say the workload; of scenario.workload only concurrency may stand beside them")
	}
}

func (c *caseItem) checkMeasures(doc *spec.Doc, path string, phase Phase) {
	if len(c.Measure) == 0 {
		doc.Errorf(path, "must have at least one measured figure")
	}
	for _, key := range slices.Sorted(maps.Keys(c.Measure)) {
		_, err := findMetric(key)
		switch {
		case err != nil:
			doc.Errorf(path+"."+key, "%v", err)
		case c.Steady != nil && !steadyMetric(key, phase):
			doc.Errorf(path+"."+key, "is not a figure of a steady state of the %s phase", phase)
		}
		if v := c.Measure[key]; !(v > 0) || math.IsInf(v, 0) {
			doc.Errorf(path+"."+key, "must be above 0 and finite, got %v", v)
		}
	}
}

func (s *Set) add(item *caseItem, o *ReadOptions) {
	phase, err := parsePhase(item.Phase)
	if err != nil {
		panic("validate: " + err.Error()) // check has seen it
	}
	c := Case{ID: item.ID, Engine: item.Engine, Scenario: item.Scenario.Clone(), Phase: phase, Steady: item.Steady, Assumed: item.Assumed, Note: item.Note}
	if c.Scenario.Version == 0 {
		c.Scenario.Version = scenario.Version
	}
	if w := c.Scenario.Workload; w != nil && w.Concurrency > 0 && w.Window == "" {
		w.Window = "all" // what a benchmark's client counts
	}
	for i := range figures {
		if v, has := item.Measure[figures[i].name]; has {
			c.Measures = append(c.Measures, Measure{figures[i].name, v})
		}
	}
	if item.InferenceX != nil && c.Engine == "" {
		c.Engine = item.InferenceX.Framework
	}
	if o.AsUser {
		untuned(c.Scenario)
	}
	if err = c.place(o); err == nil && item.InferenceX != nil {
		err = item.InferenceX.apply(&c, o)
	}
	if err != nil {
		s.Skipped = append(s.Skipped, Skipped{c.ID, oneLine(err)})
		return
	}
	if o.Engine != "" {
		c.Scenario.Deployment.Engine = o.Engine
	}
	s.Cases = append(s.Cases, c)
}

// apply puts the benchmark's workload and launch script into the scenario. What the case
// states of its deployment stays, but for zeros.
func (l *launch) apply(c *Case, o *ReadOptions) (err error) {
	d := &c.Scenario.Deployment
	if d.Engine == "" {
		if d.Engine, err = profile(l.Framework, l.Version); err != nil {
			return err
		}
	}
	clients := c.Scenario.Workload.Concurrency
	if c.Scenario.Workload, err = workload(clients, l.ISL, l.OSL, rangeRatio); err != nil {
		return err
	}
	m, err := models.Load(c.Scenario.Model, o.ModelDirs...)
	if err != nil {
		return err
	}
	f := plant.Facts(c.Scenario, m)
	f.Benchmark, f.Engine, f.Version, f.Chip, f.Precision, f.Spec = "inferencex", l.Framework, l.Version, c.Hardware, l.Precision, l.Spec
	script, err := launched(f, l.Recipe, o)
	if err != nil {
		return err
	}
	return follow(c.Scenario, script, f, o)
}
