package spec

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Bytes is an amount of memory. Text forms carry their unit: `80GiB` (binary),
// `144GB` (decimal), `584B`.
type Bytes int64

// Bandwidth is a rate in bytes a second, one direction. Text forms tell bytes
// from bits by the case of the b: `900GB/s` is 900e9 bytes a second, `400Gb/s`
// an eighth of 400e9.
type Bandwidth float64

// Duration is a length of time in nanoseconds. Text forms: `2s`, `50ms`,
// `2.1us`, `10ns`.
type Duration int64

// Compute is an arithmetic rate in operations a second: `989TFLOPS`, `1504TOPS`.
type Compute float64

// Power is in watts: `700W`, `1.4kW`.
type Power float64

// What a unit's text looks like, for errors.
const (
	wantBytes     = "a size such as 80GiB, 144GB or 584B"
	wantBandwidth = "a bandwidth such as 900GB/s or 400Gb/s"
	wantDuration  = "a duration such as 2s, 50ms, 2.1us or 10ns"
	wantCompute   = "a rate such as 989TFLOPS or 1504TOPS"
	wantPower     = "a power such as 700W"
)

var decimalPrefix = map[string]float64{"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}

var binaryPrefix = map[string]float64{"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50}

// quantity splits "12.5GB/s" into its number and the prefix left when one of
// the suffixes has been taken off.
func quantity(text, want string, suffixes ...string) (value float64, prefix, suffix string, err error) {
	text = strings.TrimSpace(text)
	end := numberEnd(text)
	value, err = strconv.ParseFloat(strings.ReplaceAll(text[:end], "_", ""), 64)
	if err != nil || math.IsInf(value, 0) || math.IsNaN(value) {
		return 0, "", "", fmt.Errorf("%q does not start with a finite number; want %s", text, want)
	}
	rest := strings.TrimSpace(text[end:])
	for _, s := range suffixes {
		if p, ok := strings.CutSuffix(rest, s); ok {
			return value, p, s, nil
		}
	}
	if rest == "" {
		return 0, "", "", fmt.Errorf("%q has no unit; want %s", text, want)
	}
	return 0, "", "", fmt.Errorf("%q: unknown unit %q; want %s", text, rest, want)
}

// numberEnd is where the number that text begins with ends.
func numberEnd(text string) int {
	end := 0
	for end < len(text) && strings.IndexByte("+-.0123456789eE_", text[end]) >= 0 {
		// "1E" could be the prefix exa; an exponent needs a digit or a sign behind it.
		if (text[end] == 'e' || text[end] == 'E') && (end+1 >= len(text) || strings.IndexByte("+-0123456789", text[end+1]) < 0) {
			break
		}
		end++
	}
	return end
}

func scaled(text, want string, value float64, prefix string, binary bool) (float64, error) {
	factor, ok := decimalPrefix[prefix]
	if !ok && binary {
		factor, ok = binaryPrefix[prefix]
	}
	if !ok {
		return 0, fmt.Errorf("%q: unknown unit prefix %q; want %s", text, prefix, want)
	}
	if value < 0 {
		return 0, fmt.Errorf("%q must not be negative", text)
	}
	if value *= factor; math.IsInf(value, 0) {
		return 0, fmt.Errorf("%q is too large; want %s", text, want)
	}
	return value, nil
}

// UnmarshalText reads a size with its unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	if n, ok := wholeBytes(string(text)); ok {
		*b = n
		return nil
	}
	v, prefix, _, err := quantity(string(text), wantBytes, "B")
	if err != nil {
		return err
	}
	v, err = scaled(string(text), wantBytes, v, prefix, true)
	if err != nil {
		return err
	}
	if v >= math.MaxInt64 {
		return fmt.Errorf("%q is larger than %d bytes", text, int64(math.MaxInt64))
	}
	*b = Bytes(math.Round(v))
	return nil
}

// wholeBytes reads a whole number with its unit exactly: a float holds no more than 2^53.
func wholeBytes(text string) (Bytes, bool) {
	text = strings.TrimSpace(text)
	end := len(text) - len(strings.TrimLeft(text, "0123456789"))
	prefix, isBytes := strings.CutSuffix(strings.TrimSpace(text[end:]), "B")
	factor := decimalPrefix[prefix] + binaryPrefix[prefix] // 0 when in neither
	n, err := strconv.ParseUint(text[:end], 10, 63)
	hi, lo := bits.Mul64(n, uint64(factor))
	return Bytes(lo), isBytes && factor > 0 && err == nil && hi == 0 && lo <= math.MaxInt64
}

// MarshalText writes the shortest exact form.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.exact()), nil }

func (b Bytes) exact() string {
	for _, u := range []struct {
		n    int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}} {
		if b != 0 && int64(b)%u.n == 0 {
			return strconv.FormatInt(int64(b)/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// String rounds for people: three significant digits, decimal units.
func (b Bytes) String() string { return human(float64(b)) + "B" }

// UnmarshalText reads a bandwidth; a small b means bits.
func (w *Bandwidth) UnmarshalText(text []byte) error {
	v, prefix, suffix, err := quantity(string(text), wantBandwidth, "B/s", "b/s")
	if err != nil {
		return err
	}
	v, err = scaled(string(text), wantBandwidth, v, prefix, true)
	if err != nil {
		return err
	}
	if suffix == "b/s" {
		v /= 8
	}
	*w = Bandwidth(v)
	return nil
}

// MarshalText writes a form that reads back to the same value.
func (w Bandwidth) MarshalText() ([]byte, error) {
	return []byte(exactDecimal(float64(w)) + "B/s"), nil
}

// String rounds for people.
func (w Bandwidth) String() string { return human(float64(w)) + "B/s" }

// UnmarshalText reads an arithmetic rate.
func (c *Compute) UnmarshalText(text []byte) error {
	v, prefix, _, err := quantity(string(text), wantCompute, "FLOPS", "OPS")
	if err != nil {
		return err
	}
	v, err = scaled(string(text), wantCompute, v, prefix, false)
	if err != nil {
		return err
	}
	*c = Compute(v)
	return nil
}

// MarshalText writes a form that reads back to the same value.
func (c Compute) MarshalText() ([]byte, error) {
	return []byte(exactDecimal(float64(c)) + "FLOPS"), nil
}

// String rounds for people.
func (c Compute) String() string { return human(float64(c)) + "FLOPS" }

// UnmarshalText reads a power.
func (p *Power) UnmarshalText(text []byte) error {
	v, prefix, _, err := quantity(string(text), wantPower, "W")
	if err != nil {
		return err
	}
	v, err = scaled(string(text), wantPower, v, prefix, false)
	if err != nil {
		return err
	}
	*p = Power(v)
	return nil
}

// MarshalText writes a form that reads back to the same value.
func (p Power) MarshalText() ([]byte, error) { return []byte(exactDecimal(float64(p)) + "W"), nil }

// UnmarshalText reads a duration in Go's notation; us and µs are the same.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%q is not a duration; want %s", text, wantDuration)
	}
	if v < 0 {
		return fmt.Errorf("%q must not be negative", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes Go's notation with us for microseconds.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is Go's notation with us for microseconds.
func (d Duration) String() string {
	return strings.ReplaceAll(time.Duration(d).String(), "µs", "us")
}

// Seconds is the duration as a float.
func (d Duration) Seconds() float64 { return float64(d) / 1e9 }

func exactDecimal(v float64) string {
	for _, u := range []string{"P", "T", "G", "M"} {
		s := strconv.FormatFloat(v/decimalPrefix[u], 'g', -1, 64)
		back, _ := strconv.ParseFloat(s, 64)
		if v >= decimalPrefix[u] && back*decimalPrefix[u] == v && len(s) < 8 && !strings.Contains(s, "e") {
			return s + u
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func human(v float64) string {
	prefix := ""
	for _, u := range []string{"k", "M", "G", "T", "P", "E"} {
		if math.Abs(v) < 999.5 {
			break
		}
		v, prefix = v/1e3, u
	}
	return strconv.FormatFloat(v, 'g', 3+boolInt(math.Abs(v) >= 999), 64) + prefix
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
