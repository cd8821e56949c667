package topologies

import (
	"maps"
	"slices"

	"github.com/clustersim/clustersim/sim/spec"
)

// TransferLaw prices moving KV from one rank to another:
// t = a + bytes/(e·bw). A read is a request and its answer, two traversals; a
// write is one.
type TransferLaw struct {
	Way   string   `yaml:"way"` // read or write: what the library does by itself
	Read  *MoveLaw `yaml:"read"`
	Write *MoveLaw `yaml:"write"`
}

// MoveLaw is one direction of a TransferLaw, inside the innermost domain and out of it.
type MoveLaw struct {
	InnerUs float64 `yaml:"inner_us"`
	OuterUs float64 `yaml:"outer_us"`
	Inner   float64 `yaml:"e_inner"`
	Outer   float64 `yaml:"e_outer"`
}

func (l *TransferLaw) check(doc *spec.Doc) {
	if l.law() == nil {
		doc.Errorf("transfer.way", "must be read or write and have constants of that name, got %q", l.Way)
	}
	for i, m := range []*MoveLaw{l.Read, l.Write} {
		if m == nil {
			continue
		}
		path := "transfer." + []string{"read", "write"}[i]
		checkTime(doc, path+".inner_us", m.InnerUs)
		checkTime(doc, path+".outer_us", m.OuterUs)
		checkShare(doc, path+".e_inner", m.Inner)
		checkShare(doc, path+".e_outer", m.Outer)
	}
}

func (l *TransferLaw) law() *MoveLaw {
	switch l.Way {
	case "read":
		return l.Read
	case "write":
		return l.Write
	}
	return nil
}

// Transfer moves bytes of KV from one rank to one whose innermost common tier
// has index tier, in the direction the library uses.
func (t *Topology) Transfer(lib *Library, tier int, bytes float64) Comm {
	return t.move(lib, tier, bytes, lib.transfer() != nil && lib.transfer().Way == "write")
}

// TransferWrite is Transfer by writing, one traversal, where the library has it.
func (t *Topology) TransferWrite(lib *Library, tier int, bytes float64) Comm {
	return t.move(lib, tier, bytes, true)
}

func (l *Library) transfer() *TransferLaw {
	if l == nil {
		return nil
	}
	return l.Transfer
}

func (t *Topology) move(lib *Library, tier int, bytes float64, write bool) Comm {
	law := lib.transfer()
	if law == nil || bytes <= 0 || tier < 0 || tier >= len(t.Tiers) {
		return Comm{}
	}
	m, traversals := law.Read, 2.0
	if write && law.Write != nil || m == nil {
		m, traversals = law.Write, 1
	}
	x := &t.Tiers[tier]
	us, e := m.OuterUs, m.Outer
	if tier == 0 {
		us, e = m.InnerUs, m.Inner
	}
	a := alpha{software: lib.software(us, traversals, tier == 0), tau: traversals * t.worst(tier)}
	return a.sum(bytes / (e * t.flow(x)))
}

// FusedLaw has the constants of a kernel that runs a whole MoE layer, its
// dispatch and combine inside it:
//
//	t = floor + (mem^p + comp^p + comm^p)^(1/p)
//	mem = weights of the experts touched / (e_m·HBM), comp = FLOPs/(e_c·peak), comm = wire bytes/(e·bw)
//
// Putting them together is the cost model's; the wire's time is Wire.
type FusedLaw struct {
	For     map[string]FusedChip `yaml:"chips"`
	P       float64              `yaml:"p"`
	MemoryE float64              `yaml:"e_memory"`
	E       float64              `yaml:"e"`       // of line rate
	Exposed float64              `yaml:"exposed"` // of the shorter side, at many tokens

	Chip FusedChip `yaml:"-"`

	timed bool // on the chip or an ancestor of it
}

// FusedChip is what differs by chip.
type FusedChip struct {
	FloorUs  float64 `yaml:"floor_us"`
	ComputeE float64 `yaml:"e_compute"`
}

func (f *FusedLaw) bind(c *Chip) (own bool) {
	if f.Chip, own, f.timed = perChip(f.For, c); !f.timed {
		f.Chip = f.For["default"]
	}
	return own
}

func (f *FusedLaw) check(doc *spec.Doc) {
	checkShare(doc, "fused.e", f.E)
	checkShare(doc, "fused.e_memory", f.MemoryE)
	if !(f.P >= 1 && f.P <= 100) {
		doc.Errorf("fused.p", "must be 1 to 100, got %v", f.P)
	}
	if !(f.Exposed >= 0 && f.Exposed <= 1) {
		doc.Errorf("fused.exposed", "must be 0 to 1, got %v", f.Exposed)
	}
	if _, ok := f.For["default"]; !ok {
		doc.Errorf("fused.chips", "must have default, for chips that nobody timed")
	}
	for _, name := range slices.Sorted(maps.Keys(f.For)) {
		checkTime(doc, "fused.chips."+name+".floor_us", f.For[name].FloorUs)
		checkShare(doc, "fused.chips."+name+".e_compute", f.For[name].ComputeE)
	}
}

// Wire is the time in s of a fused layer's bytes between ranks: m.BytesPerCopy is
// the sum of the way there and the way back.
func (t *Topology) Wire(lib *Library, m MoE) float64 {
	if lib == nil || lib.Fused == nil || m.Ranks <= 1 || m.Tokens <= 0 {
		return 0
	}
	g := t.meet(m.Ranks, m.Stride)
	return g.exchange(m.Tokens*m.copies(copyPairs, m.Ranks)*m.BytesPerCopy, lib.Fused.E, lib.Fused.E)
}
