// Package scenario is what is asked of a simulation: pure data, and nothing that
// simulates stands behind it.
//
// A Scenario names a model, a topology and a workload or trace, says how the model is
// deployed, and gives an SLO and a seed. Read takes it from YAML and reports every
// fault with its line; Set puts one value at a dotted path, which is how flags and
// sweeps write; Defaults fills in what does not need a model; Marshal prints it so
// that it reads back identically.
//
// What a scenario leaves open (layouts, pool sizes, rates, numbers of requests) a plan
// decides: see Scenario.Incomplete. What the names in it stand for is resolved by
// package plant, which also knows which engines and overlaps there are.
package scenario

import (
	"cmp"
	"math"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
	"github.com/clustersim/clustersim/traces"
)

// Version is the version of the scenario file.
const Version = 1

// DefaultRouting is how tokens fall on experts where a scenario does not say: as in
// DeepSeek-V3's own traffic, which is what every comparison with a measurement assumes of
// a mixture whose source states nothing.
const DefaultRouting = "power-law(1.01)"

// Scenario is everything a run depends on: three references (model, topology,
// workload) plus the deployment, SLO and seed. It prints and reads back
// identically; a printed, resolved scenario runs to the same result.
type Scenario struct {
	Version    int                     `yaml:"version" json:"version"`
	Model      string                  `yaml:"model" json:"model"`
	Topology   string                  `yaml:"topology" json:"topology"`
	Trace      *Trace                  `yaml:"trace,omitempty" json:"trace,omitempty"`
	Workload   *Workload               `yaml:"workload,omitempty" json:"workload,omitempty"`
	Deployment Deployment              `yaml:"deployment" json:"deployment"`
	KVCompress models.Compression      `yaml:"kv_compress,omitempty" json:"kv_compress"`
	Tau        topologies.TauOverrides `yaml:"tau,omitempty" json:"tau"`
	// Patches are laid over the descriptions that the scenario names, by path: see
	// PatchRoots.
	Patches spec.Patches `yaml:"patches,omitempty" json:"patches,omitempty"`
	Router  Router       `yaml:"router,omitempty" json:"router"`
	SLO     slo.Limits   `yaml:"slo,omitempty" json:"slo"`
	Limits  Limits       `yaml:"limits,omitempty" json:"limits,omitzero"`
	// Seed is that of every random draw; a scenario that gives none has 1.
	Seed uint64 `yaml:"seed" json:"seed"`

	seedZero bool // Seed is 0 because a file or Set gives it, which a literal cannot
}

// Limits end a run that would go on for ever, or for longer than anybody waits: what it has
// by then is its result, marked partial with the limit that was reached. What is 0 is
// the default: MostSimulated and MostEvents.
type Limits struct {
	Simulated spec.Duration `yaml:"simulated,omitempty" json:"simulated,omitempty"` // time of the simulation's clock
	Events    int64         `yaml:"events,omitempty" json:"events,omitempty"`       // arrivals, transfers, starts and ends of steps
}

const (
	// MostSimulated is a year. The clock holds 292, of which a limit may use 20.
	MostSimulated = spec.Duration(8760 * 3600 * 1e9)
	mostLimit     = 20 * MostSimulated
	// MostEvents are about an hour of one core.
	MostEvents = 10_000_000_000
)

// Most are the limits with their defaults filled in.
func (l Limits) Most() Limits {
	return Limits{Simulated: cmp.Or(l.Simulated, MostSimulated), Events: cmp.Or(l.Events, MostEvents)}
}

// checkLength refuses an open loop that cannot end within its limits, or that is over before
// its first request.
func (s *Scenario) checkLength(fault Fault) {
	w := s.Workload
	if w == nil || !(w.Rate > 0) {
		return
	}
	most := s.Limits.Most().Simulated
	if seconds := float64(w.Requests) / w.Rate; seconds > most.Seconds() {
		fault("workload.requests", "%d requests at %g a second take %.4g hours, but limits.simulated is %v: at most %.0f requests",
			w.Requests, w.Rate, seconds/3600, most, math.Floor(most.Seconds()*w.Rate))
	}
	switch d := w.Duration; {
	case d > most:
		fault("workload.duration", "is %v, but limits.simulated is %v", d, most)
	case d > 0 && d.Seconds()*w.Rate < 1:
		fault("workload.duration", "%v at %g requests a second is over before the first of them: must be at least %v, or give requests", d, w.Rate,
			spec.Duration(math.Ceil(1e9/w.Rate)))
	}
}

func (l Limits) check(fault Fault) {
	if l.Simulated < 0 || l.Simulated > mostLimit {
		fault("limits.simulated", "must be above 0 and at most %v, got %v", mostLimit, l.Simulated)
	}
	if l.Events < 0 {
		fault("limits.events", "must be above 0, got %d", l.Events)
	}
}

// Trace is a recorded workload.
type Trace struct {
	File      string  `yaml:"file" json:"file"`
	Format    string  `yaml:"format,omitempty" json:"format"`         // auto sniffs
	Limit     int     `yaml:"limit,omitempty" json:"limit"`           // first N requests; 0 is all
	RateScale float64 `yaml:"rate_scale,omitempty" json:"rate_scale"` // 2 offers the trace twice as fast
	// From and To cut it by recorded time: what arrived before From is left out, which
	// becomes time zero, and what arrived at To or later; 0 is its end.
	From spec.Duration `yaml:"from,omitempty" json:"from,omitempty"`
	To   spec.Duration `yaml:"to,omitempty" json:"to,omitempty"`
}

// Workload is a generated one: open loop (Rate) or closed loop (Concurrency).
type Workload struct {
	Profile      string        `yaml:"profile,omitempty" json:"profile,omitempty"`
	Rate         float64       `yaml:"rate,omitempty" json:"rate,omitempty"` // requests a second
	Requests     int64         `yaml:"requests,omitempty" json:"requests,omitempty"`
	Duration     spec.Duration `yaml:"duration,omitempty" json:"duration,omitempty"`
	InputTokens  *traces.Dist  `yaml:"input_tokens,omitempty" json:"input_tokens,omitempty"`
	OutputTokens *traces.Dist  `yaml:"output_tokens,omitempty" json:"output_tokens,omitempty"`
	Arrivals     string        `yaml:"arrivals,omitempty" json:"arrivals,omitempty"` // poisson, gamma(cv), constant, burst
	Concurrency  int           `yaml:"concurrency,omitempty" json:"concurrency,omitempty"`
	ThinkTime    spec.Duration `yaml:"think_time,omitempty" json:"think_time,omitempty"`
	// Start is stationary (pools filled with in-flight requests) or empty.
	Start string `yaml:"start,omitempty" json:"start,omitempty"`
	// Window is what rates are measured over: steady leaves out what is not a steady state,
	// a closed loop's ramp and drain (its clients go on until the window is whole, and
	// requests counts the measured ones) or what follows the arrivals of an open loop; all is
	// the run from the first admission to the last completion (a closed loop ends when
	// requests have been sent), as benchmarks' clients count. Empty is steady; requests that
	// arrive all at once have no steady state.
	Window string `yaml:"window,omitempty" json:"window,omitempty"`
}

// AllAtOnce says that every request arrives at time zero: the workload has no rate.
func (w *Workload) AllAtOnce() bool {
	var a traces.Arrivals
	return w.Arrivals != "" && a.UnmarshalText([]byte(w.Arrivals)) == nil && a.AllAtOnce()
}

// Deployment is how the model is laid out on the topology.
type Deployment struct {
	Mode      string    `yaml:"mode,omitempty" json:"mode"` // auto, aggregated, disaggregated
	Prefill   *Pool     `yaml:"prefill,omitempty" json:"prefill,omitempty"`
	Decode    *Pool     `yaml:"decode,omitempty" json:"decode,omitempty"`
	Serve     *Pool     `yaml:"serve,omitempty" json:"serve,omitempty"`
	Precision Precision `yaml:"precision,omitempty" json:"precision"`
	Engine    string    `yaml:"engine,omitempty" json:"engine"`
	MTP       MTP       `yaml:"mtp" json:"mtp"`
	Overlap   string    `yaml:"overlap,omitempty" json:"overlap"` // none, two-batch, wave, of all pools; empty is the engine's own
	Routing   string    `yaml:"routing,omitempty" json:"routing"` // uniform, power-law(a), histogram FILE; DefaultRouting when empty
	// Why is how the layout was chosen when a search chose it.
	Why string `yaml:"why,omitempty" json:"why,omitempty"`
	// Chosen are paths that a plan has decided: reports tell them from what was given.
	Chosen []string `yaml:"chosen,omitempty" json:"chosen,omitempty"`
}

// Pool is a set of equal instances on a contiguous range of chips.
type Pool struct {
	Instances    int     `yaml:"instances" json:"instances"`
	Chip         string  `yaml:"chip,omitempty" json:"chip,omitempty"` // the topology's own when empty
	TP           int     `yaml:"tp,omitempty" json:"tp"`
	DP           int     `yaml:"dp,omitempty" json:"dp"`
	EP           int     `yaml:"ep,omitempty" json:"ep"`
	PP           int     `yaml:"pp,omitempty" json:"pp"`
	CP           int     `yaml:"cp,omitempty" json:"cp"`
	MaxTokens    int     `yaml:"max_tokens,omitempty" json:"max_tokens"`       // chunk budget of a rank and step; the engine's own when 0
	MaxSequences int     `yaml:"max_sequences,omitempty" json:"max_sequences"` // running on a rank; the engine's own when 0
	Overlap      string  `yaml:"overlap,omitempty" json:"overlap"`             // the deployment's when empty
	Experts      Experts `yaml:"experts,omitempty" json:"experts"`
}

// Experts places routed experts on ranks.
type Experts struct {
	Redundant int    `yaml:"redundant,omitempty" json:"redundant"`         // copies beyond one of each
	Exchange  string `yaml:"exchange,omitempty" json:"exchange,omitempty"` // dispatch or gather; empty is dispatch
}

// Precision overrides stored formats; empty fields are the checkpoint's, as far as
// the chip has them.
type Precision struct {
	Weights         models.Format `yaml:"weights,omitempty" json:"weights,omitempty"`
	Attention       models.Format `yaml:"attention,omitempty" json:"attention,omitempty"`               // its projections; those of weights when empty
	AttentionOutput models.Format `yaml:"attention_output,omitempty" json:"attention_output,omitempty"` // those of attention when empty
	Experts         models.Format `yaml:"experts,omitempty" json:"experts,omitempty"`
	Router          models.Format `yaml:"router,omitempty" json:"router,omitempty"`
	KV              models.Format `yaml:"kv,omitempty" json:"kv,omitempty"`
	Indexer         models.Format `yaml:"indexer,omitempty" json:"indexer,omitempty"`
}

// MTP is speculative decoding with the model's own draft layers. The zero value leaves
// drafts to a plan where it has a layout to choose.
type MTP struct {
	Off            bool    `yaml:"-" json:"-"` // Drafts is 0 because a file, Set or a plan gives it
	Drafts         int     `yaml:"drafts" json:"drafts"`
	AcceptedLength float64 `yaml:"accepted_length,omitempty" json:"accepted_length,omitempty"` // mean tokens a step; published curve when 0
}

// Router picks instances and ranks for requests.
type Router struct {
	Policy string `yaml:"policy,omitempty" json:"policy"` // of package policy, the first when empty
	// Weight is that of a policy that has one: its own when nil.
	Weight *float64 `yaml:"weight,omitempty" json:"weight,omitempty"`
}

// Input is one file or shipped description that a run has read, by its digest.
type Input struct {
	Kind   string `json:"kind"` // model, topology, chip, engine, trace
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}
