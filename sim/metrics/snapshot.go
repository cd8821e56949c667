package metrics

import (
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
)

// Phase is which work a step did. A step that processes any prompt token counts
// as prefill, all others as decode.
type Phase int

// The phases in the order of reports.
const (
	Prefill Phase = iota
	Decode
	NumPhases
)

// PhaseNames are the phases' names in results and metrics.
var PhaseNames = [NumPhases]string{"prefill", "decode"}

// Completion is one finished request. The five spans cover Arrival to Finish
// without gap or overlap.
type Completion struct {
	Number                                        uint64
	Arrival, FirstToken, Finish                   des.Time
	Queue, Prefill, KVTransfer, Decode, Preempted des.Time
	InputTokens, OutputTokens, CachedTokens       int64
	Gaps                                          int64 // output events after the first
	Preemptions                                   int32
	PrefillInstance, DecodeInstance               int32
	Initial, Measured                             bool // in flight at the start; counted in latencies
}

// Counts are the requests of a run; Arrived + Initial = Completed + Rejected +
// Lost + InFlight at its end.
type Counts struct {
	Initial, Arrived, Completed, Rejected, Lost, InFlight int64
}

// Instance is the state of one serving instance for gauges.
type Instance struct {
	Pool               int // index into Snapshot.Pools
	Running, Waiting   int64
	KVUsed, KVCapacity int64
}

// Ledger is where the instances' time of one pool went, by phase.
type Ledger struct {
	Causes       [NumPhases][cause.Count]int64 // ns, summed over instances
	Tau, Hidden  [NumPhases]int64
	Steps        [NumPhases]int64
	Flops, Bytes float64                // of all ranks
	LinkBytes    [cost.MaxTiers]float64 // sent over each tier
	// Of these, sent to another pool outside of steps; and what came from one.
	Sent, Received [cost.MaxTiers]float64
}

// Snapshot is a copy of a run's counters at one moment, safe to hand to another
// goroutine.
type Snapshot struct {
	Now                                    des.Time
	Events                                 int64
	Target                                 int64    // requests to be measured, 0 when not known
	TargetTime                             des.Time // end of the trace or duration, 0 when not known
	Requests                               Counts
	Measured                               int64 // measured requests completed
	AllArrived                             bool  // of an open loop's measured requests
	PromptTokens, GenerationTokens         int64
	PrefixQueries, PrefixHits, Preemptions int64 // blocks, blocks, events
	Pools                                  []string
	Instances                              []Instance
	Ledgers                                []Ledger // one a pool
	TTFT, ITL, TPOT, E2E                   Histogram
	Use                                    Use // since the last Fill
}
