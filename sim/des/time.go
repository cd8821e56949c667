package des

import "math"

// Time is a moment of the simulation in nanoseconds from its start.
type Time int64

// Never is later than every moment that can be reached.
const Never Time = math.MaxInt64

// Seconds is the time as a float, for reports.
func (t Time) Seconds() float64 { return float64(t) / 1e9 }

// Longest is what every length is cut down to: 36 years, eight of which the clock holds.
const Longest Time = 1 << 60

// FromSeconds rounds a length in seconds to the nearest nanosecond, and to Longest where it
// is longer; a cost is rounded here and nowhere else.
func FromSeconds(s float64) Time { return Time(math.Round(min(s*1e9, float64(Longest)))) }
