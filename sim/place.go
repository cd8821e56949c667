package sim

import (
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// placement is the contiguous range of chips that a pool takes.
type placement struct {
	first, end int // the range, whole domains of the innermost tier
	used       int // chips in instances
}

// place gives a pool's instances their chips from first on. Instances that fit a
// domain of the innermost tier (a node, a cabinet, a rack) are packed into domains
// without straddling, the first where the pool before has left room for it; larger
// ones take whole domains.
func place(t *topologies.Topology, first, chips, instances int) placement {
	domain := t.Tiers[0].Size
	p := placement{first: first, used: chips * instances}
	if left := domain - first%domain; chips > left {
		p.first += left % domain
	}
	if chips > domain {
		p.end = p.first + (instances-1)*roundUp(chips, domain) + chips
		return p
	}
	at := p.first % domain
	here := min(instances, (domain-at)/chips)
	if p.end = p.first + here*chips; here < instances {
		each, rest := domain/chips, instances-here-1
		p.end = p.first - at + domain + rest/each*domain + (rest%each+1)*chips
	}
	return p
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// handover is the way of the KV cache from the prefill to the decode pool: the
// engine's software, then over the innermost tier that spans both.
func (r *run) handover() (route.Handover, error) {
	h, err := handoverBetween(r.inputs.Topology, &r.pools[0], &r.pools[1])
	h.Latency += des.FromSeconds(r.inputs.Engine.Fitted.HandoverMs / 1e3)
	return h, err
}

// Fits reports whether a run takes a request of so many tokens in all on instances
// of a cost model.
func Fits(st *cost.Stepper, tokens int64) bool { return serve.NewSpec(0, st, 0).Fits(tokens) }

// probeBytes is a transfer long enough to show the bandwidth alone.
const probeBytes = 1 << 40

func handoverBetween(t *topologies.Topology, from, to *poolRun) (route.Handover, error) {
	libraries, err := t.DefaultLibraries()
	if err != nil {
		return route.Handover{}, err
	}
	tier := t.Path(from.place.first, to.place.end-1).Tier
	one := t.Transfer(libraries.Transfer, max(tier, 0), probeBytes)
	rank := probeBytes / one.Bandwidth
	h := route.Handover{
		Latency: des.FromSeconds(one.Latency), Tier: min(max(tier, 0), cost.MaxTiers-1),
		Egress: rank * float64(from.spec.RankChips), Ingress: rank * float64(to.spec.RankChips),
	}
	h.Rate = min(h.Egress, h.Ingress)
	return h, nil
}

// peak is the package's rate at the fastest precision that the pool computes in.
func (p *poolRun) peak() float64 {
	var load cost.Load
	load.Sequences = 1
	for j := range p.spec.Breaks {
		load.Context[j] = 1 << cost.ContextShift
	}
	loads := make([]cost.Load, p.spec.Ranks)
	for i := range loads {
		loads[i] = load
	}
	var peak float64
	for _, op := range p.stepper.Explain(loads).Operators {
		peak = max(peak, float64(p.stepper.Config().Chip.Peak[topologies.Precision(op.Precision)]))
	}
	return peak
}

// deployed is a pool's hardware for the summary.
func (p *poolRun) deployed() deployed {
	chip := p.stepper.Config().Chip
	d := deployed{
		Name: p.name, Chips: p.place.used, ChipsPerInstance: p.stepper.Chips(),
		Peak: p.peak(), HBM: float64(chip.Memory.Bandwidth), TDP: float64(chip.Power),
		KVParts:    p.kvParts(),
		KVCapacity: p.spec.Memory.Free * int64(p.spec.Ranks) * int64(p.pool.Instances),
	}
	return d
}

// kvParts is how many chips of a rank hold different parts of a sequence's cache:
// TP·PP when heads and layers are cut, 1 when every chip keeps all of it.
func (p *poolRun) kvParts() float64 {
	const long = 1 << 20
	m := &p.spec.Memory
	return float64(m.TransferBytes(long)) / float64(m.SequenceBytes(long))
}

func (r *run) deployment() DeploymentInfo {
	t := r.inputs.Topology
	info := DeploymentInfo{Mode: r.scenario.Deployment.Mode, TopologyChips: t.Chips, Why: r.scenario.Deployment.Why}
	end := 0
	for i := range r.pools {
		p := &r.pools[i]
		info.Chips += p.place.used
		end = p.place.end
		switch p.name {
		case "prefill":
			info.Prefill = p.info()
		case "decode":
			info.Decode = p.info()
		default:
			info.Serve = p.info()
		}
	}
	info.Spare = end - info.Chips
	info.Unused = t.Chips - end
	return info
}

func (p *poolRun) info() *PoolInfo {
	c := p.stepper.Config()
	return &PoolInfo{
		Chip: c.Chip.Name, Instances: p.pool.Instances, ChipsPerInstance: p.stepper.Chips(), Engine: c.Engine.Name,
		Layout: PoolLayout{
			TP: c.Layout.TP, DP: c.Layout.DP, EP: c.Layout.EP, PP: c.Layout.PP, CP: c.Layout.CP,
			Redundant: c.Layout.Redundant, Overlap: string(c.Layout.Overlap),
		},
		WeightsPerChip: spec.Bytes(p.spec.Memory.WeightBytes * int64(max(1, c.Chip.Dies))),
		KVPerRank:      spec.Bytes(p.spec.Memory.Free),
		MaxTokens:      c.MaxTokens, MaxSequences: c.MaxSequences,
	}
}

// PoolEnd is the first chip behind a pool of instances of so many chips each that
// begins at chip first; it may lie beyond the topology.
func PoolEnd(t *topologies.Topology, first, chips, instances int) int {
	return place(t, first, chips, instances).end
}
