package des

import "math"

// Time is a moment of the simulation in nanoseconds from its start.
type Time int64

// Never is later than every moment that can be reached.
const Never Time = math.MaxInt64

// Seconds is the time as a float, for reports.
func (t Time) Seconds() float64 { return float64(t) / 1e9 }

// FromSeconds rounds a length in seconds to the nearest nanosecond; a cost is
// rounded here and nowhere else.
func FromSeconds(s float64) Time { return Time(math.Round(s * 1e9)) }
