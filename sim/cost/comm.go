package cost

import (
	"fmt"
	"math"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// comm is one collective on one rank: seconds of α and of bytes, the part of α
// that the topology's delays cause, and the bytes the rank sends over each tier.
type comm struct {
	latency, tau, bandwidth float64
	link                    [MaxTiers]float64
}

func (c *comm) total() float64 { return c.latency + c.bandwidth }

// comms prices an instance's communication: its ranks are contiguous, a TP group
// innermost, then the context-parallel ranks, the data-parallel ones and the pipeline
// stages.
type comms struct {
	topology *topologies.Topology
	libs     topologies.Libraries
	layout   Layout
	dies     int
	boundary int // tier of a send between stages
	context  int // tier of a send between context-parallel ranks
	linkRate [MaxTiers]float64
}

func newComms(c *Config) (comms, error) {
	if c.Libraries == nil {
		libs, err := LoadLibraries(c.Topology, c.Engine)
		if err != nil {
			return comms{}, err
		}
		c.Libraries = &libs
	}
	m := comms{topology: c.Topology, libs: *c.Libraries, layout: c.Layout, dies: max(1, c.Chip.Dies)}
	if len(c.Topology.Tiers) > MaxTiers {
		return comms{}, fmt.Errorf("topology: %s has %d tiers; a step keeps bytes of at most %d", c.Topology.Name, len(c.Topology.Tiers), MaxTiers)
	}
	for i, t := range c.Topology.Tiers {
		m.linkRate[i] = float64(t.Bandwidth) / float64(m.dies)
	}
	m.boundary = m.around(2 * c.Layout.TP * c.Layout.groups())
	m.context = m.around(c.Layout.TP * c.Layout.CP)
	return m, nil
}

// around is the innermost tier that holds so many contiguous ranks.
func (m *comms) around(ranks int) int {
	for i := range m.topology.Tiers {
		if ranks <= m.topology.Tiers[i].Size*m.dies {
			return i
		}
	}
	return len(m.topology.Tiers) - 1
}

// LoadLibraries reads the topology's default libraries with those that the engine
// names instead.
func LoadLibraries(t *topologies.Topology, e *Engine) (topologies.Libraries, error) {
	libs, err := t.DefaultLibraries()
	if err != nil {
		return libs, err
	}
	for _, x := range []struct {
		name string
		into **topologies.Library
	}{
		{e.Libraries.AllReduce, &libs.AllReduce}, {e.Libraries.Dispatch, &libs.Decode}, {e.Libraries.Prefill, &libs.Prefill},
	} {
		if x.name == "" {
			continue
		}
		l, err := t.Library(x.name)
		if err != nil {
			return libs, fmt.Errorf("engine %s: %w", e.Name, err)
		}
		if l.Fused != nil && l.Dispatch == nil {
			// A kernel with its communication inside; what it does not cover stays.
			libs.Fused = l
			continue
		}
		*x.into = l
	}
	if err := libs.Check(); err != nil {
		return libs, fmt.Errorf("engine %s: %w", e.Name, err)
	}
	return libs, nil
}

func (m *comms) assumptions() []string { return m.libs.Assumptions() }

// inside is how many of a group's ranks, stride apart, share a domain of a tier
// when they are spread evenly over as few domains as hold them.
func (m *comms) inside(tier, ranks, stride int) float64 {
	if tier < 0 {
		return 1
	}
	if tier == len(m.topology.Tiers)-1 {
		return float64(ranks)
	}
	room := max(1, m.topology.Tiers[tier].Size*m.dies/max(1, stride))
	return float64(ranks) / math.Ceil(float64(ranks)/float64(room))
}

// spread books bytes that a rank sends to all ranks of a group in equal shares.
func (m *comms) spread(c *comm, ranks, stride int, bytes float64) {
	for t := range m.topology.Tiers {
		c.link[t] += bytes * (m.inside(t, ranks, stride) - m.inside(t-1, ranks, stride)) / float64(ranks)
	}
}

// layered books what a collective that goes tier by tier must send at least:
// phases 2 for an all-reduce, 1 for a gather.
func (m *comms) layered(c *comm, ranks, stride int, bytes, phases float64) {
	for t := range m.topology.Tiers {
		below, here := m.inside(t-1, ranks, stride), m.inside(t, ranks, stride)
		if here > below {
			c.link[t] += phases * bytes / below * (here - below) / here
		}
	}
}

func priced(c topologies.Comm) comm {
	return comm{latency: c.Latency, tau: c.Tau, bandwidth: c.Bandwidth}
}

// allReduce sums bytes over a TP group.
func (m *comms) allReduce(ranks int, bytes float64) comm {
	c := priced(m.topology.AllReduce(m.libs.AllReduce, ranks, bytes, 1))
	m.layered(&c, ranks, 1, bytes, 2)
	return c
}

// allGather leaves bytes on every rank of a group of contiguous ranks.
func (m *comms) allGather(ranks int, bytes float64) comm {
	c := priced(m.topology.AllGather(m.libs.Collective, ranks, bytes, 1))
	m.layered(&c, ranks, 1, bytes, 1)
	return c
}

// reduceScatter sums bytes over a group of contiguous ranks and leaves each its part.
func (m *comms) reduceScatter(ranks int, bytes float64) comm {
	c := priced(m.topology.ReduceScatter(m.libs.Collective, ranks, bytes, 1))
	m.layered(&c, ranks, 1, bytes, 1)
	return c
}

// share leaves bytes on every context-parallel rank, gathered from equal shares.
func (m *comms) share(bytes float64) comm {
	l := m.layout
	c := priced(m.topology.AllGather(m.libs.Collective, l.CP, bytes, l.TP))
	m.layered(&c, l.CP, l.TP, bytes, 1)
	return c
}

// pass is the messages of a context-parallel rank to its two neighbours, bytes together:
// they share its port and are on their way at once.
func (m *comms) pass(bytes float64) comm {
	c := priced(m.topology.SendRecv(m.libs.Collective, m.context, bytes))
	c.link[m.context] = bytes
	return c
}

// send is one message to the next pipeline stage.
func (m *comms) send(bytes float64) comm {
	c := priced(m.topology.SendRecv(m.libs.Collective, m.boundary, bytes))
	c.link[m.boundary] = bytes
	return c
}

// exchanged is the dispatch and combine of one layer as topologies prices it, for
// tokens of one rank: what a token weighs on the way there (in the precision that
// the experts multiply in, scales included) and back (BF16).
func (m *comms) exchanged(e *experts, tokens float64) (there, back topologies.MoE) {
	width := float64(e.m.In)
	there = topologies.MoE{
		Ranks: m.layout.EP, Tokens: tokens, TopK: int(e.m.TopK), Stride: 1,
		Experts: int(e.m.Experts) + m.layout.Redundant, BytesPerCopy: 2 * width,
		Groups: int(e.m.TopKGroups), ExpertGroups: int(e.m.Groups), HotRank: e.skew.heaviest, HotDomain: e.skew.domain,
	}
	back = there
	switch {
	case !e.arithmetic.quantises:
	case e.arithmetic.precision == topologies.FP4:
		there.BytesPerCopy = width/2 + width/16
	default:
		there.BytesPerCopy = width + width/32
	}
	return there, back
}

// exchange is the dispatch and combine of one layer.
func (m *comms) exchange(e *experts, tokens float64, prefill bool) (dispatch, combine comm) {
	lib := m.libs.Decode
	if prefill {
		lib = m.libs.Prefill
	}
	there, back := m.exchanged(e, tokens)
	dispatch, combine = priced(m.topology.Dispatch(lib, there)), priced(m.topology.Combine(lib, back))
	m.copies(&dispatch, lib.Dispatch, there)
	m.copies(&combine, lib.Combine, back)
	return dispatch, combine
}

// copies books a dispatch's or combine's bytes by tier, counted the way the
// library sends: every pair, once a rank, or once a domain and then once a rank.
func (m *comms) copies(c *comm, l *topologies.MoELaw, x topologies.MoE) {
	how := "rank"
	if l != nil {
		how = l.Copies
	}
	token, n := x.Tokens*x.BytesPerCopy, float64(x.Ranks)
	copies := float64(x.TopK)
	if how != "pairs" {
		copies = x.Spread(n)
	}
	m.spread(c, x.Ranks, x.Stride, token*copies)
	if how != "node" {
		return
	}
	for t := 1; t < len(m.topology.Tiers); t++ {
		if domains := n / m.inside(t-1, x.Ranks, x.Stride); domains > 1 {
			c.link[t] = min(c.link[t], token*x.Spread(domains)*(domains-1)/domains)
		}
	}
}

// fused is a layer whose dispatch, experts and combine are one kernel with
// constants of its own (laws-communication §4), nil where no library has one.
func (m *comms) fused() *topologies.FusedLaw {
	if m.libs.Fused == nil {
		return nil
	}
	return m.libs.Fused.Fused
}

// wire is the time of a fused layer's bytes.
func (m *comms) wire(e *experts, tokens float64) float64 {
	there, back := m.exchanged(e, tokens)
	there.BytesPerCopy += back.BytesPerCopy
	return m.topology.Wire(m.libs.Fused, there)
}

// fusedFloor is its launch without the traversals of the fabric it was fitted on.
func (m *comms) fusedFloor() float64 {
	return max(0, m.fused().Chip.FloorUs*1e-6-2*m.libs.Fused.FittedTau.Inner.Seconds())
}

// fusedTerms are the memory and compute terms of a fused layer on one rank.
func (s *Stepper) fusedTerms(e *experts, pairs, touched float64) law.Time {
	f := s.comms.fused()
	flops := pairs * 2 * float64(e.m.Mats*e.m.In) * e.inter
	return law.Time{
		Launch:  s.comms.fusedFloor(),
		Weights: touched * e.bytes / (f.MemoryE * s.hbm()),
		Compute: flops / (f.Chip.ComputeE * peak(s.config.Chip, e.arithmetic.precision)),
	}
}
