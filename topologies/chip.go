package topologies

import (
	"cmp"

	"github.com/clustersim/clustersim/sim/spec"
)

// Precision names an arithmetic unit's operand format.
type Precision string

// The precisions a chip may have peaks for.
const (
	BF16 Precision = "bf16"
	FP8  Precision = "fp8"
	FP4  Precision = "fp4"
	INT8 Precision = "int8"
)

// CoreKind says what one of a chip's cores is, for laws with costs per thread block.
type CoreKind string

// SM is a core that runs thread blocks as one of an NVIDIA GPU does: laws count the
// cores that the file lists. OtherCore is larger or smaller than that: a chip of them
// counts as many SMs as its BF16 peak is worth.
const (
	SM        CoreKind = "sm"
	OtherCore CoreKind = "other"
)

// Silicon is what a chip's file says of the package itself. A field added here is a key
// of the file and a line of `chip show`, and a law can read it (sim/cost/law).
type Silicon struct {
	Vendor  string                     `yaml:"vendor" json:"vendor"`
	Family  string                     `yaml:"family" json:"family"` // generation, by which libraries choose constants: hopper, blackwell, davinci …
	Year    int                        `yaml:"year" json:"year"`
	Dies    int                        `yaml:"dies" json:"dies"`           // ranks a package has: 2 for Ascend 910C, otherwise 1
	Cores   int                        `yaml:"cores" json:"cores"`         // SMs, CUs or AI cores of the package; 0 when not published
	Core    CoreKind                   `yaml:"core" json:"core,omitempty"` // what one is; must be said where cores are given
	Peak    map[Precision]spec.Compute `yaml:"peak" json:"peak"`           // dense, of the package
	Memory  Memory                     `yaml:"memory" json:"memory"`
	DieLink DieLink                    `yaml:"die_link" json:"die_link,omitzero"` // between the dies of a package; zero when Dies is 1
	Power   spec.Power                 `yaml:"power" json:"power"`                // TDP, 0 when not published
}

// Chip is one package: peaks, memory, links, and the constants of its operator laws.
type Chip struct {
	Silicon
	Name        string
	Aliases     []string
	Source      string
	Confidence  string
	Assumptions []string
	// Ancestor names the chip whose operator constants this one inherits, scaled
	// by its own peaks; empty when it has constants of its own.
	Ancestor string
	// Transfer is what of the ancestor's constants is known not to carry over.
	Transfer Transfer
	// Operators holds fitted constants by operator class and variant. Which
	// classes there are, their forms and their constants' names is cost's business.
	Operators map[string]map[string]Constants
	// Software is what runs on the chip, its own or the nearest ancestor's.
	Software
	// Parent is what Ancestor names, loaded.
	Parent *Chip
}

// Software is what of a chip its software decides: the engine that serves on it where
// none is named, the libraries that communicate, and what kernels multiply in. A file
// that leaves a key out has its ancestor's; the chip's assumptions say so.
type Software struct {
	Engine     string           `yaml:"engine" json:"engine"`
	Libraries  map[Domain]Stack `yaml:"libraries" json:"libraries"`
	Arithmetic *Arithmetic      `yaml:"arithmetic" json:"arithmetic,omitempty"`
}

// Arithmetic is what kernels on a chip multiply in where its peaks do not say it.
type Arithmetic struct {
	// Integers: INT8 is multiplied (W8A8, W4A8). Otherwise it is a way to store
	// weights, which are multiplied in BF16.
	Integers bool `yaml:"integers" json:"integers"`
	// MXFP8: blocks of FP8 weights are multiplied in MXFP8, a weight that the
	// reference widens to BF16 among them.
	MXFP8 bool `yaml:"mxfp8" json:"mxfp8"`
	// WideIndexKeys: FP4 index keys are kept in FP8, though the chip has FP4 units.
	WideIndexKeys bool `yaml:"wide_index_keys" json:"wide_index_keys"`
}

// Multiplies is the chip's arithmetic; where neither the file nor an ancestor says any,
// what its peaks say holds.
func (c *Chip) Multiplies() Arithmetic {
	if c.Arithmetic == nil {
		return Arithmetic{}
	}
	return *c.Arithmetic
}

// Memory is a package's HBM. Usable is the share of Capacity that its driver gives to
// programs, the rest being error correction's and its own; 0 where it is not known: all.
type Memory struct {
	Capacity  spec.Bytes     `yaml:"capacity" json:"capacity"`
	Usable    float64        `yaml:"usable" json:"usable,omitempty"`
	Bandwidth spec.Bandwidth `yaml:"bandwidth" json:"bandwidth"`
}

// Visible is what programs see of the memory.
func (m *Memory) Visible() spec.Bytes { return spec.Bytes(float64(m.Capacity) * cmp.Or(m.Usable, 1)) }

// DieLink joins the dies of one package.
type DieLink struct {
	Bandwidth spec.Bandwidth `yaml:"bandwidth" json:"bandwidth"` // per die, one direction
	Tau       spec.Duration  `yaml:"tau" json:"tau"`             // one way, small message
}

// Constants are the fitted numbers of one operator class and variant, with where
// they come from and how well they fit.
type Constants struct {
	Values         map[string]float64
	Source         string
	Rows           int     // kernel timings fitted
	MedianErrorPct float64 // of |predicted/measured − 1|
	P90ErrorPct    float64
	Assumed        bool // taken from another chip or a vendor's figure
}

// Constants looks up the operator constants of a class and variant, here or in
// the nearest ancestor that has them. What an ancestor supplies is marked
// Assumed: the fractions of peak carry over, the chip's own peaks scale them,
// and no timing of this chip backs them.
func (c *Chip) Constants(class, variant string) (Constants, bool) {
	for from := c; from != nil; from = from.Parent {
		if k, ok := from.Operators[class][variant]; ok {
			k.Assumed = k.Assumed || from != c
			return k, true
		}
	}
	return Constants{}, false
}

// Transfer scales operator constants that come from an ancestor, where published
// micro-benchmarks or serving measurements say that its efficiencies do not carry
// over. Zero fields are 1.
type Transfer struct {
	Compute float64 `yaml:"compute"` // of the chip's peak that takes the place of the peak under the ancestor's efficiencies
	Memory  float64 `yaml:"memory"`  // of HBM bandwidth, likewise
	Floors  float64 `yaml:"floors"`  // on every time of a kernel that neither peak shortens: launch floors, serial terms
	Source  string  `yaml:"source"`
}

// Inherited is the product of the transfers from the chip to the ancestor that has
// constants, by field; 1 where nothing is said. Its source is the nearest one's.
func (c *Chip) Inherited() Transfer {
	t := Transfer{Compute: 1, Memory: 1, Floors: 1}
	for from := c; from != nil && len(from.Operators) == 0; from = from.Parent {
		t.Compute *= cmp.Or(from.Transfer.Compute, 1)
		t.Memory *= cmp.Or(from.Transfer.Memory, 1)
		t.Floors *= cmp.Or(from.Transfer.Floors, 1)
		t.Source = cmp.Or(t.Source, from.Transfer.Source)
	}
	return t
}

// Lineage is the chip's name followed by its ancestors', nearest first.
func (c *Chip) Lineage() []string {
	var names []string
	for from := c; from != nil; from = from.Parent {
		names = append(names, from.Name)
	}
	return names
}

// Flat is the chip with every operator constant of its lineage as its own and no
// ancestor: what Constants finds stays the same. Transfer factors are left behind, as
// for any chip with constants of its own.
func (c *Chip) Flat() *Chip {
	flat := *c
	flat.Parent, flat.Transfer = nil, Transfer{}
	flat.Operators = map[string]map[string]Constants{}
	for from := c; from != nil; from = from.Parent {
		for class, variants := range from.Operators {
			if flat.Operators[class] == nil {
				flat.Operators[class] = map[string]Constants{}
			}
			for variant := range variants {
				k, _ := c.Constants(class, variant)
				flat.Operators[class][variant] = k
			}
		}
	}
	return &flat
}
