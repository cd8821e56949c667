package validate

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/spec"
)

// caseList is the file format of clustersim's own cases.
type caseList struct {
	Version int        `yaml:"version"`
	Cases   []caseItem `yaml:"cases"`
}

type caseItem struct {
	ID       string             `yaml:"id"`
	Source   string             `yaml:"source"`
	Scenario sim.Scenario       `yaml:"scenario"`
	Phase    string             `yaml:"phase,omitempty"`
	Measure  map[string]float64 `yaml:"measure"`
	Note     string             `yaml:"note,omitempty"`
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
	if doc.Err() == nil {
		list.check(doc, o)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	set := &Set{}
	for i := range list.Cases {
		item := &list.Cases[i]
		if !slices.ContainsFunc(o.Filters, func(f Filter) bool { return item.column(f.Column) != f.Value }) {
			set.add(item, o)
		}
	}
	return set, nil
}

func (l *caseList) check(doc *spec.Doc, o *ReadOptions) {
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
		c, path := &l.Cases[i], fmt.Sprintf("cases[%d]", i)
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
		if _, err := parsePhase(c.Phase); err != nil {
			doc.Errorf(path+".phase", "%v", err)
		}
		c.checkMeasures(doc, path+".measure")
		c.Scenario.CheckAs(doc, path+".scenario")
	}
}

func (c *caseItem) checkMeasures(doc *spec.Doc, path string) {
	if len(c.Measure) == 0 {
		doc.Errorf(path, "must have at least one measured figure")
	}
	for _, key := range slices.Sorted(maps.Keys(c.Measure)) {
		if _, err := findMetric(key); err != nil {
			doc.Errorf(path+"."+key, "%v", err)
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
	c := Case{ID: item.ID, Scenario: item.Scenario.Clone(), Phase: phase, Note: item.Note}
	if c.Scenario.Version == 0 {
		c.Scenario.Version = sim.ScenarioVersion
	}
	for i := range metrics {
		if v, has := item.Measure[metrics[i].name]; has {
			c.Measures = append(c.Measures, Measure{metrics[i].name, v})
		}
	}
	if err := c.place(o); err != nil {
		s.Skipped = append(s.Skipped, Skipped{c.ID, oneLine(err)})
		return
	}
	if o.Engine != "" {
		c.Scenario.Deployment.Engine = o.Engine
	}
	s.Cases = append(s.Cases, c)
}
