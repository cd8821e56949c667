package topologies

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// topologyFile is a system as its YAML writes it.
type topologyFile struct {
	Name        string           `yaml:"name"`
	Aliases     []string         `yaml:"aliases"`
	Description string           `yaml:"description"`
	Source      string           `yaml:"source"`
	Confidence  string           `yaml:"confidence"`
	Chip        string           `yaml:"chip"`
	Chips       int              `yaml:"chips"`
	Unit        *int             `yaml:"unit"`    // by which name:N grows; without it there are no more than Chips
	Partial     bool             `yaml:"partial"` // the last domain may be partly filled
	Tiers       []tierFile       `yaml:"tiers"`
	Assumptions []assumptionFile `yaml:"assumptions"`
}

type tierFile struct {
	Name             string         `yaml:"name"`
	Size             int            `yaml:"size"` // may be left out of the last tier, which spans all
	Shape            Shape          `yaml:"shape"`
	Dims             []int          `yaml:"dims"`
	Bandwidth        spec.Bandwidth `yaml:"bandwidth"`
	Oversubscription *float64       `yaml:"oversubscription"`
	Medium           string         `yaml:"medium"`
	Fabric           string         `yaml:"fabric"`
	SharesPorts      bool           `yaml:"shares_ports"`
	Detours          bool           `yaml:"detours"`
	Tau              tauFile        `yaml:"tau"`
}

type tauFile struct {
	Endpoint   spec.Duration `yaml:"endpoint"`
	Software   spec.Duration `yaml:"software"`
	Hops       []hopFile     `yaml:"hops"`
	NsPerMetre *float64      `yaml:"ns_per_metre"`
}

type hopFile struct {
	Switch spec.Duration `yaml:"switch"`
	SerDes spec.Duration `yaml:"serdes"`
	FEC    spec.Duration `yaml:"fec"`
	Optics spec.Duration `yaml:"optics"`
	Metres float64       `yaml:"metres"`
}

// Limits of what a file may ask for; beyond them arithmetic in ns and in chips
// would not be safe.
const (
	maxChips  = 10_000_000
	maxTiers  = 8
	maxDims   = 6
	maxHops   = 64
	maxMetres = 1e8
	maxTau    = spec.Duration(10e9)
	fibre     = 4.9 // ns a metre
)

// splitSize takes `:N` off a reference; 0 means that none was given.
func splitSize(ref string) (base string, chips int, err error) {
	i := strings.LastIndexByte(ref, ':')
	if i < 0 {
		return ref, 0, nil
	}
	n, err := strconv.Atoi(ref[i+1:])
	if err != nil || n <= 0 || n > maxChips {
		return "", 0, fmt.Errorf("topology %q: after the colon stands the number of chips, 1 to %d, got %q", ref, maxChips, ref[i+1:])
	}
	return ref[:i], n, nil
}

func (s *Source) parseTopology(file string, data []byte, chips int) (*Topology, error) {
	f, doc := s.topologyFile(file, data)
	name := f.Name
	whole := f.Tiers
	if doc.Err() == nil && chips > 0 {
		if _, patched := doc.PatchOf("chips"); patched {
			doc.Errorf("chips", "%s:%d says the number of chips; leave out one of the two", f.Name, chips)
		}
		if err := f.resize(chips); err != nil {
			return nil, fmt.Errorf("topology %w", err)
		}
		name = fmt.Sprintf("%s:%d", f.Name, chips)
	} else if doc.Err() == nil && f.Unit != nil {
		if err := f.cut(); err != nil {
			doc.Errorf("tiers", "%v", err)
		}
	}
	f.unheard(doc, whole)
	t := &Topology{
		Name: name, Aliases: f.Aliases, Description: f.Description, Source: f.Source,
		Confidence: f.Confidence, Chips: f.Chips, source: s,
		Assumptions: f.assumptions(doc),
	}
	for i := range f.Tiers {
		t.Tiers = append(t.Tiers, f.Tiers[i].tier())
	}
	chip, err := s.loadChip(f.Chip, true, nil)
	if err != nil {
		doc.Wrap("chip", err)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return t.WithChip(chip), nil
}

// topologyFile reads and checks a system of its file's own size.
func (s *Source) topologyFile(file string, data []byte) (*topologyFile, *spec.Doc) {
	f := &topologyFile{}
	doc := spec.ParseOver(file, data, s.under("topology"), f)
	if doc.Err() == nil {
		f.fill()
		f.check(doc)
	}
	return f, doc
}

// fill gives a last tier without a size the whole system: all chips of a fixed
// one, any number of one that grows.
func (f *topologyFile) fill() {
	if n := len(f.Tiers); n > 0 && f.Tiers[n-1].Size == 0 {
		f.Tiers[n-1].Size = f.Chips
		if f.Unit != nil {
			f.Tiers[n-1].Size = maxChips
		}
	}
}

// assumptions are the sentences about what this system still has: those about a
// tier that its size cut off are left out, and a tier goes by its name.
func (f *topologyFile) assumptions(doc *spec.Doc) []string {
	var out []string
	for _, a := range readAssumptions(doc, f.Name, f.Assumptions) {
		kept := true
		for i := range maxTiers {
			mark := fmt.Sprintf(": tiers[%d]", i)
			if !strings.Contains(a, mark) {
				continue
			}
			if kept = i < len(f.Tiers); kept {
				a = strings.Replace(a, mark, ": "+f.Tiers[i].Name, 1)
			}
		}
		if kept {
			out = append(out, a)
		}
	}
	return out
}

func (t *tierFile) tier() Tier {
	out := Tier{
		Name: t.Name, Size: t.Size, Shape: t.Shape, Dims: t.Dims, Bandwidth: t.Bandwidth, Oversubscription: 1,
		Medium: t.Medium, Fabric: t.Fabric, SharesPorts: t.SharesPorts, Detours: t.Detours,
		Tau: Tau{Endpoint: t.Tau.Endpoint, Software: t.Tau.Software, NsPerMetre: fibre},
	}
	if t.Oversubscription != nil {
		out.Oversubscription = *t.Oversubscription
	}
	if t.Tau.NsPerMetre != nil {
		out.Tau.NsPerMetre = *t.Tau.NsPerMetre
	}
	for _, h := range t.Tau.Hops {
		out.Tau.Hops = append(out.Tau.Hops, Hop(h))
	}
	return out
}

func (f *topologyFile) largest() int {
	if len(f.Tiers) == 0 {
		return maxChips
	}
	return f.Tiers[len(f.Tiers)-1].Size
}

// unheard refuses patches of tiers alone that the number of chips has cut off.
func (f *topologyFile) unheard(doc *spec.Doc, whole []tierFile) {
	for j := len(f.Tiers); j < len(whole); j++ {
		at := fmt.Sprintf("tiers[%d]", j)
		if patch, patched := doc.PatchOf(at); patched && !strings.Contains(patch, ".*.") {
			doc.Errorf(at, "%d chips are within tier %s: there is no tier %s", f.Chips, f.Tiers[len(f.Tiers)-1].Name, whole[j].Name)
		}
	}
}

func (f *topologyFile) check(doc *spec.Doc) {
	checkHead(doc, f.Name, f.Source, f.Confidence)
	if f.Chips < 1 || f.Chips > maxChips {
		doc.Errorf("chips", "must be 1 to %d, got %d", maxChips, f.Chips)
	}
	if f.Unit != nil && (*f.Unit < 1 || f.Chips%*f.Unit != 0) {
		doc.Errorf("unit", "must be at least 1 and divide chips (%d), got %d", f.Chips, *f.Unit)
	}
	if len(f.Tiers) < 1 || len(f.Tiers) > maxTiers {
		doc.Errorf("tiers", "must be 1 to %d, got %d", maxTiers, len(f.Tiers))
		return
	}
	for i := range f.Tiers {
		path := fmt.Sprintf("tiers[%d]", i)
		f.checkNesting(doc, path, i)
		f.Tiers[i].check(doc, path)
	}
}

// checkNesting holds tier i against the one below: each grows, and by whole
// domains, but for the last domain of a system that may be partly filled.
func (f *topologyFile) checkNesting(doc *spec.Doc, path string, i int) {
	t, below, last := &f.Tiers[i], 1, i == len(f.Tiers)-1
	if i > 0 {
		below = f.Tiers[i-1].Size
	}
	for _, other := range f.Tiers[:i] {
		if other.Name == t.Name {
			doc.Errorf(path+".name", "two tiers are called %q", t.Name)
		}
	}
	switch {
	case t.Size < 1 || t.Size > maxChips:
		doc.Errorf(path+".size", "must be 1 to %d chips, got %d", maxChips, t.Size)
		return
	case i > 0 && t.Size <= below:
		doc.Errorf(path+".size", "must be more than the tier below (%d), got %d", below, t.Size)
		return
	case last && (t.Size < f.Chips || f.Unit == nil && t.Size != f.Chips):
		doc.Errorf(path+".size", "the last tier must span all %d chips, got %d", f.Chips, t.Size)
	case below > 0 && t.Size%below != 0 && !(last && (f.Partial || f.Unit != nil)):
		doc.Errorf(path+".size", "must be whole domains of the tier below (%d chips each), got %d; partial: true lets the last be partly filled", below, t.Size)
	}
	if t.extents() {
		t.checkDims(doc, path, (t.Size+below-1)/max(below, 1))
	} else if len(t.Dims) > 0 {
		doc.Errorf(path+".dims", "are for a full mesh or a torus, not for a %s", t.Shape)
	}
	if i > 0 && t.Shape == Torus && f.Tiers[i-1].Shape == Torus && len(t.Dims) != len(f.Tiers[i-1].Dims) {
		doc.Errorf(path+".dims", "a torus of tori needs as many extents as the one below (%d), got %d", len(f.Tiers[i-1].Dims), len(t.Dims))
	}
}

func (t *tierFile) checkDims(doc *spec.Doc, path string, members int) {
	if len(t.Dims) < 1 || len(t.Dims) > maxDims {
		doc.Errorf(path+".dims", "a %s needs 1 to %d extents, got %d", t.Shape, maxDims, len(t.Dims))
		return
	}
	product := 1
	for _, d := range t.Dims {
		if d < 1 || d > maxChips {
			doc.Errorf(path+".dims", "extents must be 1 to %d, got %d", maxChips, d)
			return
		}
		product = min(product*d, maxChips+1)
	}
	if product != members {
		doc.Errorf(path+".dims", "multiply to %d, but the tier joins %d members", product, members)
	}
}

// extents says that the shape's members stand in rows; of an unknown one nothing is known.
func (t *tierFile) extents() bool {
	j, err := shapeIn(joinings, t.Shape)
	return err == nil && j.extents
}

func (t *tierFile) check(doc *spec.Doc, path string) {
	if t.Name == "" || strings.ContainsAny(t.Name, " .,=/:") || slices.Contains(reservedNames(), t.Name) {
		doc.Errorf(path+".name", "must be a word without dots, commas or spaces that is no part or preset of --tau, got %q", t.Name)
	}
	if _, err := shapeIn(joinings, t.Shape); err != nil {
		doc.Errorf(path+".shape", "%v", err)
	}
	checkPositive(doc, path+".bandwidth", float64(t.Bandwidth))
	checkFabric(doc, path+".fabric", t.Fabric)
	if o := t.Oversubscription; o != nil && !(*o >= 1 && *o <= 1e6) {
		doc.Errorf(path+".oversubscription", "must be 1 (none) to 1000000, got %v", *o)
	}
	t.Tau.check(doc, path+".tau", t.Shape, t.extents())
}

func (t *tauFile) check(doc *spec.Doc, path string, shape Shape, oneLink bool) {
	switch {
	case len(t.Hops) < 1 || len(t.Hops) > maxHops:
		doc.Errorf(path+".hops", "must be 1 to %d links, got %d", maxHops, len(t.Hops))
	case oneLink && len(t.Hops) != 1:
		doc.Errorf(path+".hops", "a %s has one hop, the link between neighbours, got %d", shape, len(t.Hops))
	}
	checkDelay(doc, path+".endpoint", t.Endpoint)
	checkDelay(doc, path+".software", t.Software)
	if v := t.NsPerMetre; v != nil && !(*v >= 0 && *v <= 1000) {
		doc.Errorf(path+".ns_per_metre", "must be 0 to 1000, got %v", *v)
	}
	for i, h := range t.Hops {
		at := fmt.Sprintf("%s.hops[%d]", path, i)
		checkDelay(doc, at+".switch", h.Switch)
		checkDelay(doc, at+".serdes", h.SerDes)
		checkDelay(doc, at+".fec", h.FEC)
		checkDelay(doc, at+".optics", h.Optics)
		if !(h.Metres >= 0 && h.Metres <= maxMetres) || math.IsNaN(h.Metres) {
			doc.Errorf(at+".metres", "must be 0 to %g, got %v", maxMetres, h.Metres)
		}
	}
}

func checkDelay(doc *spec.Doc, path string, d spec.Duration) {
	if d < 0 || d > maxTau {
		doc.Errorf(path, "must be 0 to %s, got %s", maxTau, d)
	}
}

// WithChip is the same system built of another chip: its links stay, its peaks,
// memory and operator constants are the chip's.
func (t *Topology) WithChip(c *Chip) *Topology {
	out := *t
	out.Chip = c
	out.Assumptions = slices.Clone(t.ownAssumptions())
	out.Assumptions = append(out.Assumptions, c.Assumptions...)
	return &out
}

// ownAssumptions are those of the system without its chip's.
func (t *Topology) ownAssumptions() []string {
	if t.Chip == nil {
		return t.Assumptions
	}
	return t.Assumptions[:len(t.Assumptions)-len(t.Chip.Assumptions)]
}
