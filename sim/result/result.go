// Package result is what came out of a simulation: data with a JSON form that is a
// stable surface, and the sentence about what bounds it. Nothing that simulates
// stands behind it, so that a stored result can be read, compared and drawn by a
// program that links no engine.
package result

import (
	"github.com/clustersim/clustersim/sim/scenario"
)

// Version is the version of the result's JSON.
const Version = 1

// Result is what a run reports. Its JSON is a stable surface.
type Result struct {
	Version     int                `json:"version"`
	RunID       string             `json:"run_id"`
	Clustersim  string             `json:"clustersim"` // the program's version
	Partial     bool               `json:"partial"`
	Reason      string             `json:"partial_reason,omitempty"` // why it is partial
	Scenario    *scenario.Scenario `json:"scenario"`
	Inputs      []scenario.Input   `json:"inputs"`
	Seed        uint64             `json:"seed"`
	Warnings    []string           `json:"warnings"`
	Substituted []string           `json:"substituted,omitempty"` // of the warnings, formats that a chip does not have
	Workload    Workload           `json:"workload"`
	Requests    Requests           `json:"requests"`
	SimulatedS  float64            `json:"simulated_s"`
	Window      Window             `json:"window"`
	Throughput  Throughput         `json:"throughput"`
	Latency     Latency            `json:"latency"`
	Goodput     Goodput            `json:"goodput"`
	Seeds       *Seeds             `json:"seeds,omitempty"` // of several runs; all else is of the first seed
	Capacity    *Capacity          `json:"capacity,omitempty"`
	Causes      Causes             `json:"causes"`
	Bottleneck  *Bottleneck        `json:"bottleneck,omitempty"` // by a plan's estimate
	Utilisation Utilisation        `json:"utilisation"`
	KV          KV                 `json:"kv"`
	Energy      *Energy            `json:"energy,omitempty"`
	Deployment  DeploymentInfo     `json:"deployment"`
}

// Workload is what was offered, as far as the scenario does not say it: the lengths that a
// profile stands for, or what a trace's file holds.
type Workload struct {
	InputTokens  string `json:"input_tokens,omitempty"`  // a distribution
	OutputTokens string `json:"output_tokens,omitempty"` // a distribution
	Arrivals     string `json:"arrivals,omitempty"`
	Sessions     bool   `json:"sessions,omitempty"` // of several turns with what came before as prefix
	Format       string `json:"format,omitempty"`   // of the trace
	// Of the requests that were offered, up to the last of them.
	Requests         int64   `json:"requests,omitempty"`
	SpanS            float64 `json:"span_s,omitempty"`
	MeanInputTokens  float64 `json:"mean_input_tokens,omitempty"`
	MeanOutputTokens float64 `json:"mean_output_tokens,omitempty"`
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

// Window is the interval of simulated time that rates, utilisation, causes, ITL and energy
// are of.
type Window struct {
	StartS float64  `json:"start_s"`
	EndS   float64  `json:"end_s"`
	Of     WindowOf `json:"of"`
	// QueueGrowth is how many requests more waited for their prompt or for a place to
	// decode at the last arrival of the window than at its start, as a share of those that
	// arrived. It is 0 in a closed loop.
	QueueGrowth float64 `json:"queue_growth"`
	// Sustained says that what arrived was served: the queue grew by no more than 2 % of
	// the arrivals and what chance makes of these. A rate at which it does is no capacity,
	// whatever the latencies of a run that ends are.
	Sustained bool `json:"sustained"`
}

// WindowOf is what part of a run a window is.
type WindowOf string

const (
	// WindowArrivals lasts from the end of the warm-up until the last measured request has
	// arrived: the steady state of an open loop.
	WindowArrivals WindowOf = "arrivals"
	// WindowSteady is a closed loop without its ramp and its drain: from when every client
	// has had an answer until ten mean lives of a request have passed and the asked number
	// of requests has ended, whichever is later.
	WindowSteady WindowOf = "steady"
	// WindowAll lasts from the first admission to the last completion: of recorded
	// traces, of requests that arrive all at once or faster than they are served, and where
	// the scenario asks for it.
	WindowAll WindowOf = "all"
)

// Words say what part of a run the window is.
func (w WindowOf) Words() string {
	switch w {
	case WindowArrivals:
		return "while the measured requests arrive"
	case WindowSteady:
		return "the closed loop without its ramp and its drain"
	}
	return "from the first admission to the last completion"
}

// Throughput is over the measured window, whoever the tokens belong to.
//
// Tokens are those that are processed and emitted: prompt tokens that the prefix cache has
// are not computed and not among the input tokens; kv.prefix_hit_rate says what share they
// are.
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

// Goodput is the share and rate of requests that met the SLO, which stands beside it as
// it was judged.
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

// CausesNS are the same in nanoseconds, summed over instances.
type CausesNS struct {
	Prefill PhaseNS `json:"prefill"`
	Decode  PhaseNS `json:"decode"`
}

// RequestSpans are fractions of the requests' time from arrival to last token.
type RequestSpans struct {
	Queue      float64 `json:"queue"`
	Prefill    float64 `json:"prefill"`
	KVTransfer float64 `json:"kv_transfer"`
	Decode     float64 `json:"decode"`
	Preempted  float64 `json:"preempted"`
}

// Utilisation is the share of what was deployed that was used in the measured window,
// all pools together, by pool, and by tier of links.
type Utilisation struct {
	MFU   float64            `json:"mfu"`
	MBU   float64            `json:"mbu"`
	Pools map[string]PoolUse `json:"pools"`
	Links map[string]LinkUse `json:"links"`
}

// PoolUse is one pool's: model FLOPs over the chips' peak, compulsory HBM bytes over
// their bandwidth, and the share of the instances' time that is in steps.
type PoolUse struct {
	MFU  float64 `json:"mfu"`
	MBU  float64 `json:"mbu"`
	Busy float64 `json:"busy"`
}

// LinkUse is a tier's: bytes over what a chip can send through it when all do, which is
// what oversubscription leaves. Mean is over all chips' links; Busiest is a link of the
// pool whose links carry most, in the fuller direction.
type LinkUse struct {
	Mean    float64 `json:"mean"`
	Busiest float64 `json:"busiest"`
}

// KV is the use of the cache of the decode (or serving) pool.
type KV struct {
	CapacityBytes int64   `json:"capacity_bytes"`
	PeakBytes     int64   `json:"peak_bytes"`
	BytesPerToken float64 `json:"bytes_per_token"`
	PrefixHitRate float64 `json:"prefix_hit_rate"`
	Preemptions   int64   `json:"preemptions"`
	// Pools are every pool's cache by its name, in the units that engines print at start-up.
	Pools map[string]*KVPool `json:"pools,omitempty"`
}

// Energy is given where the chip has a published power.
type Energy struct {
	JoulesPerOutputToken float64 `json:"joules_per_output_token"`
	WattsMean            float64 `json:"watts_mean"`
}

// DeploymentInfo is what was deployed on the topology.
type DeploymentInfo struct {
	Mode          string `json:"mode"` // aggregated or disaggregated
	Chips         int    `json:"chips"`
	Spare         int    `json:"spare"`
	Unused        int    `json:"unused"`
	TopologyChips int    `json:"topology_chips"`
	Why           string `json:"why,omitempty"` // how the layout was chosen, when it was
	// Pools are all there are, in the order in which they stand on the topology. Prefill,
	// Decode and Serve are those of these names.
	Pools   []PoolInfo `json:"pools"`
	Prefill *PoolInfo  `json:"prefill,omitempty"`
	Decode  *PoolInfo  `json:"decode,omitempty"`
	Serve   *PoolInfo  `json:"serve,omitempty"`
}

// PoolInfo describes one pool of instances.
type PoolInfo struct {
	Name             string     `json:"name"`
	Does             string     `json:"does"` // prefill, decode or mixed
	Chip             string     `json:"chip"`
	Instances        int        `json:"instances"`
	ChipsPerInstance int        `json:"chips_per_instance"`
	Chips            int        `json:"chips"` // of all instances
	Layout           PoolLayout `json:"layout"`
	Engine           string     `json:"engine"`
	MaxTokens        int        `json:"max_tokens"`    // prompt tokens of a rank and step
	MaxSequences     int        `json:"max_sequences"` // running on a rank
	WeightBytes      int64      `json:"weights_per_chip_bytes"`
	KVBytes          int64      `json:"kv_per_rank_bytes"`
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
