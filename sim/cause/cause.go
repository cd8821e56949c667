// Package cause lists where time goes: the causes that a step's time on the critical
// path is split into. Everything that measures, books or prints time by cause takes
// their names and order from here.
//
// A cause is of the mean rank, what waiting for the slowest rank adds is Imbalance,
// and Idle is an instance with nothing to do. What each cost term belongs to is in
// package cost.
package cause

// Cause is where time on the critical path goes.
type Cause int

// The causes in the order of reports. Idle never comes from a step: an instance
// without work books it.
const (
	Compute Cause = iota
	HBMWeights
	HBMKV
	HBMAct
	CommBandwidth
	CommLatency
	Launch
	Host
	Imbalance
	Idle
	Count
)

// Names are the names of the causes in results and metrics.
var Names = [Count]string{
	"compute", "hbm_weights", "hbm_kv", "hbm_act", "comm_bandwidth", "comm_latency", "launch", "host", "imbalance", "idle",
}

// String is the cause's name.
func (c Cause) String() string { return Names[c] }
