package sim

import (
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/spec"
)

// ResultVersion is the version of the result's JSON.
const ResultVersion = 1

// Result is what a run reports. Its JSON is a stable surface.
type Result struct {
	Version     int            `json:"version"`
	RunID       string         `json:"run_id"`
	Partial     bool           `json:"partial"`
	Scenario    *Scenario      `json:"scenario"`
	Inputs      []Input        `json:"inputs"`
	Seed        uint64         `json:"seed"`
	Warnings    []string       `json:"warnings"`
	Requests    Requests       `json:"requests"`
	SimulatedS  float64        `json:"simulated_s"`
	WarmupS     float64        `json:"warmup_s,omitempty"` // of it, before the measured window: left out
	Throughput  Throughput     `json:"throughput"`
	Latency     Latency        `json:"latency"`
	Goodput     Goodput        `json:"goodput"`
	Capacity    *Capacity      `json:"capacity,omitempty"`
	Causes      Causes         `json:"causes"`
	Utilisation Utilisation    `json:"utilisation"`
	KV          KV             `json:"kv"`
	Energy      *Energy        `json:"energy,omitempty"`
	Deployment  DeploymentInfo `json:"deployment"`
}

// Input is one file or shipped description that the run read.
type Input struct {
	Kind   string `json:"kind"` // model, topology, chip, engine, trace
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Requests counts requests: initial + arrived = completed + rejected + lost + in_flight.
type Requests struct {
	Initial   int64 `json:"initial"`
	Arrived   int64 `json:"arrived"`
	Completed int64 `json:"completed"`
	Rejected  int64 `json:"rejected"`
	Lost      int64 `json:"lost"`
	InFlight  int64 `json:"in_flight"`
	Measured  int64 `json:"measured"` // requests that the latencies are taken over
}

// Throughput is over the measured window, whoever the tokens belong to.
type Throughput struct {
	InputTokensPerS         float64 `json:"input_tokens_per_s"`
	OutputTokensPerS        float64 `json:"output_tokens_per_s"`
	RequestsPerS            float64 `json:"requests_per_s"`
	OutputTokensPerSPerChip float64 `json:"output_tokens_per_s_per_chip"`
}

// Latency holds the distributions of request latencies, in milliseconds.
type Latency struct {
	TTFT Distribution `json:"ttft_ms"`
	TPOT Distribution `json:"tpot_ms"`
	ITL  Distribution `json:"itl_ms"`
	E2E  Distribution `json:"e2e_ms"`
}

// Distribution is a summary of one latency.
type Distribution struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	// MaxAtLeast says that the longest was still in flight at the end: the maximum
	// is a lower bound, the percentiles are exact.
	MaxAtLeast bool `json:"max_at_least,omitempty"`
	Censored   bool `json:"censored,omitempty"` // measured requests were still in flight at the end
}

// Goodput is the share and rate of requests that met the SLO.
type Goodput struct {
	Fraction     float64 `json:"fraction"`
	RequestsPerS float64 `json:"requests_per_s"`
	SLO          SLO     `json:"slo"`
}

// Capacity is the highest offered rate with ≥ 90 % of requests in SLO.
type Capacity struct {
	RequestsPerS            float64 `json:"requests_per_s"`
	OutputTokensPerSPerChip float64 `json:"output_tokens_per_s_per_chip"`
}

// Causes says where the time of instances (by phase) and of requests went.
type Causes struct {
	Prefill Shares       `json:"prefill"`
	Decode  Shares       `json:"decode"`
	NS      CausesNS     `json:"ns"`
	Request RequestSpans `json:"request"`
}

// Shares are fractions of a phase's time that sum to 1 (all 0 when the phase never ran).
type Shares struct {
	Compute       float64 `json:"compute"`
	HBMWeights    float64 `json:"hbm_weights"`
	HBMKV         float64 `json:"hbm_kv"`
	HBMAct        float64 `json:"hbm_act"`
	CommBandwidth float64 `json:"comm_bandwidth"`
	CommLatency   float64 `json:"comm_latency"`
	Launch        float64 `json:"launch"`
	Host          float64 `json:"host"`
	Imbalance     float64 `json:"imbalance"`
	Idle          float64 `json:"idle"`
}

// CausesNS are the same in nanoseconds, summed over instances.
type CausesNS struct {
	Prefill PhaseNS `json:"prefill"`
	Decode  PhaseNS `json:"decode"`
}

// PhaseNS is one phase's time: the causes sum to it; Tau is part of CommLatency,
// Hidden is what overlap took off the critical path.
type PhaseNS struct {
	Compute       int64 `json:"compute"`
	HBMWeights    int64 `json:"hbm_weights"`
	HBMKV         int64 `json:"hbm_kv"`
	HBMAct        int64 `json:"hbm_act"`
	CommBandwidth int64 `json:"comm_bandwidth"`
	CommLatency   int64 `json:"comm_latency"`
	Launch        int64 `json:"launch"`
	Host          int64 `json:"host"`
	Imbalance     int64 `json:"imbalance"`
	Idle          int64 `json:"idle"`
	Tau           int64 `json:"tau"`
	Hidden        int64 `json:"hidden"`
}

// RequestSpans are fractions of the requests' time from arrival to last token.
type RequestSpans struct {
	Queue      float64 `json:"queue"`
	Prefill    float64 `json:"prefill"`
	KVTransfer float64 `json:"kv_transfer"`
	Decode     float64 `json:"decode"`
	Preempted  float64 `json:"preempted"`
}

// Utilisation is the share of the chips' peaks used while instances were deployed.
type Utilisation struct {
	MFU   float64            `json:"mfu"`
	MBU   float64            `json:"mbu"`
	Links map[string]float64 `json:"links"`
}

// KV is the use of the cache of the decode (or serving) pool.
type KV struct {
	CapacityBytes int64   `json:"capacity_bytes"`
	PeakBytes     int64   `json:"peak_bytes"`
	BytesPerToken float64 `json:"bytes_per_token"`
	PrefixHitRate float64 `json:"prefix_hit_rate"`
	Preemptions   int64   `json:"preemptions"`
}

// Energy is given where the chip has a published power.
type Energy struct {
	JoulesPerOutputToken float64 `json:"joules_per_output_token"`
	WattsMean            float64 `json:"watts_mean"`
}

// DeploymentInfo is what was deployed on the topology.
type DeploymentInfo struct {
	Mode          string    `json:"mode"` // aggregated or disaggregated
	Chips         int       `json:"chips"`
	Spare         int       `json:"spare"`
	Unused        int       `json:"unused"`
	TopologyChips int       `json:"topology_chips"`
	Why           string    `json:"why,omitempty"` // how the layout was chosen, when it was
	Prefill       *PoolInfo `json:"prefill,omitempty"`
	Decode        *PoolInfo `json:"decode,omitempty"`
	Serve         *PoolInfo `json:"serve,omitempty"`
}

// PoolInfo describes one pool of instances.
type PoolInfo struct {
	Chip             string     `json:"chip"`
	Instances        int        `json:"instances"`
	ChipsPerInstance int        `json:"chips_per_instance"`
	Layout           PoolLayout `json:"layout"`
	Engine           string     `json:"engine"`
	WeightsPerChip   spec.Bytes `json:"weights_per_chip"`
	KVPerRank        spec.Bytes `json:"kv_per_rank"`
	MaxTokens        int        `json:"max_tokens"`
	MaxSequences     int        `json:"max_sequences"`
}

// PoolLayout is a pool's parallel layout.
type PoolLayout struct {
	TP        int    `json:"tp"`
	DP        int    `json:"dp"`
	EP        int    `json:"ep"`
	PP        int    `json:"pp"`
	CP        int    `json:"cp"`
	Redundant int    `json:"redundant_experts"`
	Overlap   string `json:"overlap"`
}

// set takes one phase's causes from a ledger.
func (p *PhaseNS) set(l *metrics.Ledger, phase metrics.Phase) {
	c := &l.Causes[phase]
	p.Compute, p.HBMWeights, p.HBMKV, p.HBMAct = c[cost.Compute], c[cost.HBMWeights], c[cost.HBMKV], c[cost.HBMAct]
	p.CommBandwidth, p.CommLatency = c[cost.CommBandwidth], c[cost.CommLatency]
	p.Launch, p.Host, p.Imbalance, p.Idle = c[cost.Launch], c[cost.Host], c[cost.Imbalance], c[cost.Idle]
	p.Tau, p.Hidden = l.Tau[phase], l.Hidden[phase]
}

// set takes one phase's causes from a ledger as fractions of their sum.
func (s *Shares) set(l *metrics.Ledger, phase metrics.Phase) {
	var total int64
	for _, ns := range l.Causes[phase] {
		total += ns
	}
	if total == 0 {
		return
	}
	f := func(c cost.Cause) float64 { return float64(l.Causes[phase][c]) / float64(total) }
	s.Compute, s.HBMWeights, s.HBMKV, s.HBMAct = f(cost.Compute), f(cost.HBMWeights), f(cost.HBMKV), f(cost.HBMAct)
	s.CommBandwidth, s.CommLatency = f(cost.CommBandwidth), f(cost.CommLatency)
	s.Launch, s.Host, s.Imbalance, s.Idle = f(cost.Launch), f(cost.Host), f(cost.Imbalance), f(cost.Idle)
}

// List gives the fractions in the order of cost.CauseNames.
func (s *Shares) List() [cost.NumCauses]float64 {
	return [cost.NumCauses]float64{
		cost.Compute: s.Compute, cost.HBMWeights: s.HBMWeights, cost.HBMKV: s.HBMKV, cost.HBMAct: s.HBMAct,
		cost.CommBandwidth: s.CommBandwidth, cost.CommLatency: s.CommLatency,
		cost.Launch: s.Launch, cost.Host: s.Host, cost.Imbalance: s.Imbalance, cost.Idle: s.Idle,
	}
}
