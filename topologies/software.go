package topologies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// Domain is a kind of innermost tier, by which a chip's engines choose libraries.
type Domain string

// The domains: Node is scale-up links, Rack more of them than one box has, Bus a box
// without any.
const (
	Node Domain = "node"
	Rack Domain = "rack"
	Bus  Domain = "bus"
)

// Stack names the libraries that a chip's engines communicate with in a domain.
type Stack struct {
	AllReduce  string `yaml:"all_reduce" json:"all_reduce"`
	Collective string `yaml:"collective" json:"collective"`
	Dispatch   string `yaml:"dispatch" json:"dispatch"`                 // of MoE, few tokens a rank
	Prefill    string `yaml:"prefill_dispatch" json:"prefill_dispatch"` // the same, many
	Transfer   string `yaml:"transfer" json:"transfer"`
	Fused      string `yaml:"fused" json:"fused,omitempty"` // an MoE layer with its communication inside; none when empty
}

// linkClass is what a fabric's name says beyond the name.
type linkClass struct {
	name string
	bus  bool
	rack int // chips above which its innermost domain is a rack; 0 is never
}

// linkClasses is the list of fabrics.
var linkClasses = []linkClass{
	{name: "nvlink", rack: 16}, {name: "xgmi"}, {name: "ub"}, {name: "hccs"}, {name: "ici"}, {name: "pcie", bus: true},
	{name: "infiniband"}, {name: "roce"}, {name: "ethernet"},
}

func fabricNames() []string {
	names := make([]string, len(linkClasses))
	for i, f := range linkClasses {
		names[i] = f.name
	}
	return names
}

func checkFabric(doc *spec.Doc, path, fabric string) {
	if fabric == "" {
		doc.Errorf(path, "must name the kind of link: %s", strings.Join(fabricNames(), ", "))
	} else if !slices.Contains(fabricNames(), fabric) {
		doc.Errorf(path, "%v", spec.UnknownName("fabric", fabric, fabricNames()))
	}
}

// domain is the kind of the innermost tier. Its fabric is one of the list.
func (t *Topology) domain() Domain {
	inner := &t.Tiers[0]
	for _, f := range linkClasses {
		switch {
		case f.name != inner.Fabric:
		case f.bus:
			return Bus
		case f.rack > 0 && inner.Size > f.rack:
			return Rack
		}
	}
	return Node
}

func checkStacks(doc *spec.Doc, stacks map[Domain]Stack) {
	domains := []string{string(Node), string(Rack), string(Bus)}
	for _, d := range slices.Sorted(maps.Keys(stacks)) {
		if !slices.Contains(domains, string(d)) {
			doc.Errorf("libraries."+string(d), "%v", spec.UnknownName("domain", string(d), domains))
		}
		for _, l := range stacks[d].named() {
			if *l.name == "" && l.key != "fused" {
				doc.Errorf("libraries."+string(d)+"."+l.key, "must name a communication library")
			}
		}
	}
}

type stackEntry struct {
	key  string
	name *string
	into func(*Libraries) **Library
}

// named are a stack's libraries with their keys and where they go.
func (s Stack) named() []stackEntry {
	return []stackEntry{
		{"all_reduce", &s.AllReduce, func(l *Libraries) **Library { return &l.AllReduce }},
		{"collective", &s.Collective, func(l *Libraries) **Library { return &l.Collective }},
		{"dispatch", &s.Dispatch, func(l *Libraries) **Library { return &l.Decode }},
		{"prefill_dispatch", &s.Prefill, func(l *Libraries) **Library { return &l.Prefill }},
		{"transfer", &s.Transfer, func(l *Libraries) **Library { return &l.Transfer }},
		{"fused", &s.Fused, func(l *Libraries) **Library { return &l.Fused }},
	}
}

// stack is what the chip's engines use on the system: of its domain, or of a node where
// a rack has no libraries of its own.
func (t *Topology) stack() (Stack, error) {
	domain := t.domain()
	if s, ok := t.Chip.Libraries[domain]; ok {
		return s, nil
	}
	if s, ok := t.Chip.Libraries[Node]; ok && domain == Rack {
		return s, nil
	}
	return Stack{}, fmt.Errorf("chip %s says no communication libraries for a %s, which tier %s of %s is by its fabric %s: "+
		"write libraries: {%s: {all_reduce: …, collective: …, dispatch: …, prefill_dispatch: …, transfer: …}} in its file, each one of %s, or name an ancestor that has them",
		t.Chip.Name, domain, t.Tiers[0].Name, t.Name, t.Tiers[0].Fabric, domain, strings.Join(LibraryNames(t.source.folders()...), ", "))
}

// inheritSoftware takes from the ancestor what the chip's file leaves out, and says so.
func (c *Chip) inheritSoftware() {
	a := c.Parent
	if a == nil {
		return
	}
	var taken []string
	if c.Engine == "" && a.Engine != "" {
		c.Engine, taken = a.Engine, append(taken, "engine "+a.Engine)
	}
	if c.Libraries == nil && a.Libraries != nil {
		c.Libraries, taken = a.Libraries, append(taken, "communication libraries")
	}
	if c.Arithmetic == nil && a.Arithmetic != nil {
		c.Arithmetic, taken = a.Arithmetic, append(taken, "arithmetic")
	}
	if len(taken) > 0 {
		c.Assumptions = append(c.Assumptions, fmt.Sprintf("%s: %s assumed as on its ancestor %s", c.Name, strings.Join(taken, " and "), a.Name))
	}
}
