package topologies

import "github.com/clustersim/clustersim/sim/spec"

// Topology is a system of chips joined by nested tiers of links.
type Topology struct {
	Name        string
	Aliases     []string
	Description string
	Source      string
	Confidence  string
	Chip        *Chip
	Chips       int    // packages in the whole system
	Tiers       []Tier // innermost first; the last tier spans every chip
	// Assumptions are the unpublished values of this system and its chip, one
	// sentence each; results repeat them as warnings.
	Assumptions []string

	source *Source // it was loaded from, where its libraries are looked up too
}

// Shape is how the members of a tier are joined.
type Shape string

// The shapes; a member of a tier is a chip (innermost) or a domain of the tier below.
const (
	Switch   Shape = "switch"    // one hop through a switch layer
	FullMesh Shape = "full-mesh" // a direct link between every two members of a row, Dims rows
	Torus    Shape = "torus"     // a ring in each of Dims
	FatTree  Shape = "fat-tree"  // switch layers, Hops links long
)

// Tier is one level of the system: domains of Size chips whose members reach each
// other at Bandwidth a chip.
type Tier struct {
	Name             string
	Size             int // chips in one domain of this tier
	Shape            Shape
	Dims             []int          // extents of a torus or mesh, in members
	Bandwidth        spec.Bandwidth // per chip, one direction
	Oversubscription float64        // ≥ 1; what leaves the tier below is divided by it
	Medium           string
	// Fabric names the kind of link, one of the list in software.go: nvlink, ub, pcie …
	Fabric string
	// SharesPorts says that the tier below leaves by the same ports: what crosses
	// either counts against one bandwidth (CloudMatrix384's UB plane). Without it
	// the two have links of their own (NVLink and InfiniBand).
	SharesPorts bool
	// Detours says that a full mesh also sends by way of the members outside a
	// group (UB-Mesh's all-path routing), a relayed byte taking two links.
	Detours bool
	Tau     Tau
}

// Tau is the delay budget of one traversal of a tier, one way, for a small message.
type Tau struct {
	Endpoint spec.Duration // initiator and target, memory access included
	Software spec.Duration // doorbell or load-store issue, per message
	// Hops has one entry a link crossed, with the switch behind it. In a full mesh
	// or a torus it has exactly one, the link between neighbours, crossed as many
	// times as the way is long.
	Hops       []Hop
	NsPerMetre float64 // propagation; 4.9 in fibre
}

// Hop is one link with the switch it leads to, both ends included.
type Hop struct {
	Switch, SerDes, FEC, Optics spec.Duration
	Metres                      float64
}
