package topologies

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// Library is a communication library with the constants of its laws chosen for
// one system's chip. Times in its file are in µs, bandwidths fractions of line rate.
type Library struct {
	Name        string
	Description string
	Source      string
	Residual    string // how well the laws meet the timings they were fitted to
	// FittedTau is one traversal's delay, inside the innermost domain and out of
	// it, on the systems the constants were fitted on. A fitted α less its
	// traversals of that is software, which stays when the topology changes.
	FittedTau FittedTau
	Ring      *RingLaw
	Shot      *ShotLaw
	Dispatch  *MoELaw
	Combine   *MoELaw
	Transfer  *TransferLaw
	Fused     *FusedLaw
	// Assumptions say, a sentence each, where the constants stand in for a chip
	// or links that nobody measured.
	Assumptions []string
	// Fallback prices what this one does not.
	Fallback *Library
}

// FittedTau is a traversal's delay on the fabric of the timings, see Library.
type FittedTau struct {
	Inner spec.Duration `yaml:"inner"`
	Outer spec.Duration `yaml:"outer"`
}

// libraryFile is a library as its YAML writes it.
type libraryFile struct {
	Name        string           `yaml:"name"`
	Aliases     []string         `yaml:"aliases"`
	Description string           `yaml:"description"`
	Source      string           `yaml:"source"`
	Confidence  string           `yaml:"confidence"`
	Residual    string           `yaml:"residual"`
	Fabrics     []string         `yaml:"fabrics"` // links the constants were fitted on
	FittedTau   FittedTau        `yaml:"fitted_tau"`
	Fallback    string           `yaml:"fallback"`
	Ring        *RingLaw         `yaml:"ring"`
	Shot        *ShotLaw         `yaml:"shot"`
	Dispatch    []MoELaw         `yaml:"dispatch"`
	Combine     []MoELaw         `yaml:"combine"`
	Transfer    *TransferLaw     `yaml:"transfer"`
	Fused       *FusedLaw        `yaml:"fused"`
	Assumptions []assumptionFile `yaml:"assumptions"`
}

// Libraries are the ones a serving engine on a system uses.
type Libraries struct {
	AllReduce  *Library // of a layer's activations across TP ranks
	Collective *Library // all-gather, reduce-scatter, all-to-all, pipeline boundary
	Decode     *Library // MoE dispatch and combine, few tokens a rank
	Prefill    *Library // the same, many tokens a rank
	Transfer   *Library // prefill → decode KV
	Fused      *Library // MoE layer with its communication inside; nil where there is none
}

// All lists the distinct libraries, in the order of the fields.
func (ls Libraries) All() []*Library {
	var out []*Library
	for _, l := range []*Library{ls.AllReduce, ls.Collective, ls.Decode, ls.Prefill, ls.Transfer, ls.Fused} {
		if l != nil && !slices.ContainsFunc(out, func(x *Library) bool { return x.Name == l.Name }) {
			out = append(out, l)
		}
	}
	return out
}

// Check reports a role that was given a library without a law for it: what nothing
// prices would be free.
func (ls Libraries) Check() error {
	ring := func(l *Library) bool { return l.ring() != nil }
	exchange := func(l *Library) bool { return l.Dispatch != nil || l.ring() != nil }
	for _, role := range []struct {
		name, wants string
		library     *Library
		has         func(*Library) bool
	}{
		{"all_reduce", "a ring law", ls.AllReduce, ring}, {"collective", "a ring law", ls.Collective, ring},
		{"dispatch", "a dispatch or a ring law", ls.Decode, exchange}, {"prefill_dispatch", "a dispatch or a ring law", ls.Prefill, exchange},
		{"transfer", "a transfer law", ls.Transfer, func(l *Library) bool { return l.transfer() != nil }},
		{"fused", "a fused law", ls.Fused, func(l *Library) bool { return l.Fused != nil }},
	} {
		if role.library != nil && !role.has(role.library) {
			return fmt.Errorf("libraries.%s: %s has no law for it (want %s, its own or its fallback's)", role.name, role.library.Name, role.wants)
		}
	}
	return nil
}

// Assumptions are those of every library, once each.
func (ls Libraries) Assumptions() []string {
	var out []string
	for _, l := range ls.All() {
		for _, a := range l.Assumptions {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// DefaultLibraries are those that the chip's engines use in the system's innermost tier.
func (t *Topology) DefaultLibraries() (Libraries, error) {
	stack, err := t.stack()
	if err != nil {
		return Libraries{}, err
	}
	var out Libraries
	for _, want := range stack.named() {
		if *want.name == "" {
			continue
		}
		l, err := t.Library(*want.name)
		if err != nil {
			return Libraries{}, fmt.Errorf("chip %s: libraries.%s: %w", t.Chip.Name, want.key, err)
		}
		*want.into(&out) = l
	}
	if err := out.Check(); err != nil {
		return Libraries{}, fmt.Errorf("chip %s: %w", t.Chip.Name, err)
	}
	if out.Fused != nil && !out.Fused.Fused.timed { // no kernel of that kind runs on the chip's generation
		out.Fused = nil
	}
	return out, nil
}

// Library reads a communication library by name, alias or path and chooses its
// constants for the system's chip.
func (t *Topology) Library(ref string) (*Library, error) { return t.library(ref, nil) }

func (t *Topology) library(ref string, users []string) (*Library, error) {
	file, data, err := readNamed("library", libraryDir, ref, t.source.folders())
	if err != nil {
		return nil, err
	}
	return t.parseLibrary(file, data, users)
}

func (t *Topology) parseLibrary(name string, data []byte, users []string) (*Library, error) {
	var f libraryFile
	doc := spec.ParseOver(name, data, t.source.named("library", data), &f)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	f.check(doc)
	l := &Library{
		Name: f.Name, Description: f.Description, Source: f.Source, Residual: f.Residual, FittedTau: f.FittedTau,
		Ring: f.Ring, Shot: f.Shot, Transfer: f.Transfer, Fused: f.Fused,
		Assumptions: readAssumptions(doc, f.Name, f.Assumptions),
	}
	if f.Fallback != "" {
		l.Fallback = t.fallbackOf(doc, &f, users)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	if len(t.Tiers) == 1 { // nothing leaves the innermost domain
		l.Assumptions = slices.DeleteFunc(l.Assumptions, func(a string) bool { return strings.Contains(a, "_outer ") || strings.Contains(a, ".between ") })
	}
	l.bind(t, &f)
	return l, nil
}

func (t *Topology) fallbackOf(doc *spec.Doc, f *libraryFile, users []string) *Library {
	if slices.Contains(users, f.Name) {
		doc.Errorf("fallback", "the chain of fallbacks comes back to %s", f.Name)
		return nil
	}
	l, err := t.library(f.Fallback, append(slices.Clone(users), f.Name))
	if err != nil {
		doc.Wrap("fallback", err)
	}
	return l
}

// bind takes from each law the constants of the chip, of its family, or of its
// ancestors, and says when they are another's.
func (l *Library) bind(t *Topology, f *libraryFile) {
	own := true
	if l.Ring != nil {
		own = l.Ring.bind(t.Chip) && own
	}
	if l.Shot != nil {
		own = l.Shot.bind(t.Chip) && own
	}
	if f.Fused != nil {
		own = l.Fused.bind(t.Chip) && own
	}
	if len(f.Dispatch) > 0 {
		var ownDispatch, ownCombine bool
		l.Dispatch, ownDispatch = chooseMoE(f.Dispatch, t.Chip)
		l.Combine, ownCombine = chooseMoE(f.Combine, t.Chip)
		own = own && ownDispatch && ownCombine
	}
	if !own {
		l.Assumptions = append(l.Assumptions, fmt.Sprintf("%s: its constants are fitted on other chips and assumed for %s", l.Name, t.Chip.Name))
	}
	for _, tier := range t.Tiers {
		if len(f.Fabrics) > 0 && !slices.Contains(f.Fabrics, tier.Fabric) {
			l.Assumptions = append(l.Assumptions, fmt.Sprintf("%s: its constants are fitted on %s and assumed for the %s links of tier %s",
				l.Name, strings.Join(f.Fabrics, " and "), tier.Fabric, tier.Name))
		}
	}
	if l.Fallback != nil {
		l.Assumptions = append(l.Assumptions, l.Fallback.Assumptions...)
	}
}

// match finds the entry of a law's list for a chip: by its name, its family,
// then its ancestors' names and families. own is false when it is an ancestor's.
func match(n int, names func(i int) []string, c *Chip) (at int, own bool) {
	for from := c; from != nil; from = from.Parent {
		for _, want := range []string{from.Name, from.Family} {
			for i := range n {
				if slices.Contains(names(i), want) {
					return i, from == c
				}
			}
		}
	}
	return 0, false
}

// perChip picks a chip's µs constant from a list by name.
func perChip[T any](byChip map[string]T, c *Chip) (v T, own, ok bool) {
	for from := c; from != nil; from = from.Parent {
		if v, ok := byChip[from.Name]; ok {
			return v, from == c, true
		}
	}
	return v, false, false
}

func (f *libraryFile) check(doc *spec.Doc) {
	checkHead(doc, f.Name, f.Source, f.Confidence)
	for i, fabric := range f.Fabrics {
		checkFabric(doc, fmt.Sprintf("fabrics[%d]", i), fabric)
	}
	if f.Ring == nil && f.Shot == nil && len(f.Dispatch) == 0 && f.Transfer == nil && f.Fused == nil {
		doc.Errorf("", "has no law: want ring, shot, dispatch and combine, transfer or fused")
	}
	checkDelay(doc, "fitted_tau.inner", f.FittedTau.Inner)
	checkDelay(doc, "fitted_tau.outer", f.FittedTau.Outer)
	if f.Ring != nil {
		f.Ring.check(doc)
	}
	if f.Shot != nil {
		f.Shot.check(doc)
	}
	if (len(f.Dispatch) == 0) != (len(f.Combine) == 0) {
		doc.Errorf("combine", "dispatch and combine come together")
	}
	for i := range f.Dispatch {
		f.Dispatch[i].check(doc, fmt.Sprintf("dispatch[%d]", i))
	}
	for i := range f.Combine {
		f.Combine[i].check(doc, fmt.Sprintf("combine[%d]", i))
	}
	if f.Transfer != nil {
		f.Transfer.check(doc)
	}
	if f.Fused != nil {
		f.Fused.check(doc)
	}
}

// checkShare holds a fraction of line rate to above 0 and at most 1: nothing
// beats the link.
func checkShare(doc *spec.Doc, path string, v float64) {
	if !(v > 0 && v <= 1) {
		doc.Errorf(path, "must be above 0 and at most 1, got %v", v)
	}
}

func checkTime(doc *spec.Doc, path string, v float64) {
	if !(v >= 0 && v <= 1e7) || math.IsNaN(v) {
		doc.Errorf(path, "must be 0 to 10000000, got %v", v)
	}
}
