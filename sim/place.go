package sim

import (
	"fmt"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/topologies"
)

// handover is the way of the KV cache from the prefill to the decode pool: the
// engine's software, then over the innermost tier that spans both.
func (r *run) handover() (route.Handover, error) {
	h, err := handoverBetween(r.plant.Topology, &r.pools[0], &r.pools[1])
	h.Latency += des.FromSeconds(r.plant.Engine.Fitted.HandoverMs / 1e3)
	return h, err
}

// Fits reports whether a run takes a request of so many tokens in all on instances
// of a cost model.
func Fits(st *cost.Stepper, tokens int64) bool { return serve.NewSpec(0, st, 0).Fits(tokens) }

// probeBytes is a transfer long enough to show the bandwidth alone.
const probeBytes = 1 << 40

// freeHandover says that an engine's hand-over takes no time of its own, because nobody has
// measured any.
func (r *run) freeHandover() string {
	if len(r.pools) < 2 || r.plant.Engine.Fitted.HandoverMs > 0 {
		return ""
	}
	return fmt.Sprintf("%s: the engine's own time to hand a cache over from prefill to decode is taken as 0: none is measured (SGLang's is 55 ms a request); engine.fitted.handover_ms sets it", r.plant.Engine.Name)
}

func handoverBetween(t *topologies.Topology, from, to *pool) (route.Handover, error) {
	libraries, err := t.DefaultLibraries()
	if err != nil {
		return route.Handover{}, err
	}
	tier := max(0, t.Path(from.Place.First, to.Place.End-1).Tier)
	latency, rank := Handover(t, libraries.Transfer, from.Place.First, to.Place.End-1)
	h := route.Handover{
		Latency: des.FromSeconds(latency), Tier: min(tier, cost.MaxTiers-1),
		Egress: rank * float64(from.spec.RankChips), Ingress: rank * float64(to.spec.RankChips),
	}
	h.Rate = min(h.Egress, h.Ingress)
	return h, nil
}

// Handover is the latency in seconds, and the bytes a second that one chip's links move,
// when caches go over the innermost tier that spans two chips.
func Handover(t *topologies.Topology, by *topologies.Library, from, to int) (latency, bytesPerS float64) {
	one := t.Transfer(by, max(0, t.Path(from, to).Tier), probeBytes)
	return one.Latency, probeBytes / one.Bandwidth
}

// hardware is what an instance has, for utilisation.
func (p *pool) hardware() metrics.Hardware {
	return metrics.Hardware{Chips: p.Stepper.Chips(), Peak: p.Peak(), HBM: float64(p.Stepper.Config().Chip.Memory.Bandwidth)}
}

// deployed is a pool for the summary.
func (p *pool) deployed() deployed {
	chip := p.Stepper.Config().Chip
	return deployed{
		Name: p.Name, Chip: chip.Name, Chips: p.Place.Used, ChipsPerInstance: p.Stepper.Chips(), TDP: float64(chip.Power),
		KVParts:    p.kvParts(),
		Held:       Holding(p.Stepper).Times(p.Asked.Instances),
		KVCapacity: p.spec.Memory.Free * int64(p.spec.Ranks) * int64(p.Asked.Instances),
	}
}

// kvParts is how many chips of a rank hold different parts of a sequence's cache:
// TP·PP when heads and layers are cut, 1 when every chip keeps all of it.
func (p *pool) kvParts() float64 {
	const long = 1 << 20
	m := &p.spec.Memory
	return float64(m.TransferBytes(long)) / float64(m.ExactBytes(long))
}

func (r *run) deployment() result.DeploymentInfo {
	t := r.plant.Topology
	info := result.DeploymentInfo{Mode: r.scenario.Deployment.Mode, TopologyChips: t.Chips, Why: r.scenario.Deployment.Why}
	end := 0
	info.Pools = make([]result.PoolInfo, len(r.pools))
	for i := range r.pools {
		p := &r.pools[i]
		info.Chips += p.Place.Used
		end = p.Place.End
		info.Pools[i] = p.info()
		switch p.Name {
		case "prefill":
			info.Prefill = &info.Pools[i]
		case "decode":
			info.Decode = &info.Pools[i]
		default:
			info.Serve = &info.Pools[i]
		}
	}
	info.Spare = end - info.Chips
	info.Unused = t.Chips - end
	return info
}

func (p *pool) info() result.PoolInfo {
	c := p.Stepper.Config()
	return result.PoolInfo{
		Name: p.Name, Does: string(c.Role), Chip: c.Chip.Name,
		Instances: p.Asked.Instances, ChipsPerInstance: p.Stepper.Chips(), Chips: p.Place.Used, Engine: c.Engine.Ref(),
		Layout: result.PoolLayout{
			TP: c.Layout.TP, DP: c.Layout.DP, EP: c.Layout.EP, PP: c.Layout.PP, CP: c.Layout.CP,
			Redundant: c.Layout.Redundant, Overlap: string(c.Layout.Overlap),
		},
		MaxTokens: c.MaxTokens, MaxSequences: c.MaxSequences,
		WeightBytes: p.spec.Memory.WeightBytes * int64(max(1, c.Chip.Dies)), KVBytes: p.spec.Memory.Free,
	}
}
