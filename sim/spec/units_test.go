package spec

import (
	"encoding"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestUnitsRead(t *testing.T) {
	for _, c := range []struct {
		in   string
		unit encoding.TextUnmarshaler
		want float64
	}{
		{"584B", new(Bytes), 584}, {"80GiB", new(Bytes), 80 << 30}, {"144GB", new(Bytes), 144e9}, {"1.5 KiB", new(Bytes), 1536},
		{"1EB", new(Bytes), 1e18}, {"1e3B", new(Bytes), 1000}, {"1_000kB", new(Bytes), 1e6}, {"0B", new(Bytes), 0}, {" 2TiB ", new(Bytes), 2 << 40},
		{"900GB/s", new(Bandwidth), 900e9}, {"400Gb/s", new(Bandwidth), 50e9}, {"1GiB/s", new(Bandwidth), 1 << 30}, {"3.35TB/s", new(Bandwidth), 3.35e12},
		{"989TFLOPS", new(Compute), 989e12}, {"1504TOPS", new(Compute), 1504e12}, {"1.5PFLOPS", new(Compute), 1.5e15},
		{"700W", new(Power), 700}, {"1.4kW", new(Power), 1400},
		{"2s", new(Duration), 2e9}, {"50ms", new(Duration), 50e6}, {"2.1us", new(Duration), 2100}, {"2.1µs", new(Duration), 2100}, {"10ns", new(Duration), 10}, {"0", new(Duration), 0},
	} {
		if err := c.unit.UnmarshalText([]byte(c.in)); err != nil {
			t.Errorf("%q: %v", c.in, err)
		} else if got := valueOf(c.unit); math.Abs(got-c.want) > 1e-15*c.want {
			t.Errorf("%q: %v, want %v", c.in, got, c.want)
		}
	}
}

func TestUnitsRefuse(t *testing.T) {
	all := func() []encoding.TextUnmarshaler {
		return []encoding.TextUnmarshaler{new(Bytes), new(Bandwidth), new(Duration), new(Compute), new(Power)}
	}
	for _, in := range []string{"", " ", "80", "GB", "-1GB", "-1GB/s", "-1s", "-1W", "-1TFLOPS", "1XB", "NaNB", "InfGB/s", "1e999B", "0x1FB", "1..2W", "--3W", "1e400W", "3 parsecs"} {
		for _, u := range all() {
			if err := u.UnmarshalText([]byte(in)); err == nil {
				t.Errorf("%T read %q as %v", u, in, valueOf(u))
			} else if !strings.Contains(err.Error(), "want") && !strings.Contains(err.Error(), "negative") {
				t.Errorf("%T, %q: %v does not say what is wanted", u, in, err)
			}
		}
	}
	for _, in := range []string{"10EB", "9223372036854775808B", "8192PiB"} {
		if err := new(Bytes).UnmarshalText([]byte(in)); err == nil {
			t.Errorf("read %q, beyond 63 bits", in)
		}
	}
	for in, u := range map[string]encoding.TextUnmarshaler{"900GB": new(Bandwidth), "900GB/s": new(Bytes), "5GiFLOPS": new(Compute), "80Gb": new(Bytes), "1kiW": new(Power)} {
		if err := u.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%T read %q", u, in)
		}
	}
}

func valueOf(u any) float64 {
	switch u := u.(type) {
	case *Bytes:
		return float64(*u)
	case *Bandwidth:
		return float64(*u)
	case *Duration:
		return float64(*u)
	case *Compute:
		return float64(*u)
	case *Power:
		return float64(*u)
	}
	panic("not a unit")
}

type unit interface {
	encoding.TextUnmarshaler
	encoding.TextMarshaler
}

// roundTrip reads back what a value is written as; it must be the same to the last bit.
func roundTrip[T comparable](t interface{ Fatalf(string, ...any) }, v, back unit, want, got *T) {
	text, err := v.MarshalText()
	if err != nil {
		t.Fatalf("%v: %v", *want, err)
	}
	if err := back.UnmarshalText(text); err != nil || *got != *want {
		t.Fatalf("%v is written %s and read %v, %v", *want, text, *got, err)
	}
}

func TestUnitsRoundTrip(t *testing.T) {
	values := rapid.OneOf(
		rapid.Float64Range(0, 1e20),
		rapid.Float64Range(0, math.MaxFloat64),
		rapid.Map(rapid.IntRange(0, 99_999), func(i int) float64 { return float64(i) * 1e8 }),
		rapid.Map(rapid.IntRange(0, 99_999), func(i int) float64 { return float64(i) / 1e3 * 1e12 }),
	)
	whole := rapid.OneOf(rapid.Int64Range(0, math.MaxInt64), rapid.Map(rapid.Int64Range(0, 1<<20), func(i int64) int64 { return i << 30 }))
	rapid.Check(t, func(t *rapid.T) {
		b, d := Bytes(whole.Draw(t, "bytes")), Duration(whole.Draw(t, "ns"))
		w, c, p := Bandwidth(values.Draw(t, "bandwidth")), Compute(values.Draw(t, "compute")), Power(values.Draw(t, "power"))
		var b2 Bytes
		var d2 Duration
		var w2 Bandwidth
		var c2 Compute
		var p2 Power
		roundTrip(t, &b, &b2, &b, &b2)
		roundTrip(t, &d, &d2, &d, &d2)
		roundTrip(t, &w, &w2, &w, &w2)
		roundTrip(t, &c, &c2, &c, &c2)
		roundTrip(t, &p, &p2, &p, &p2)
	})
}

func TestWrittenForms(t *testing.T) {
	for _, c := range []struct {
		v    encoding.TextMarshaler
		want string
	}{
		{Bytes(80 << 30), "80GiB"}, {Bytes(144e9), "144GB"}, {Bytes(584), "584B"}, {Bytes(0), "0B"}, {Bytes(math.MaxInt64), "9223372036854775807B"}, {Bytes(1<<53 + 1), "9007199254740993B"},
		{Bandwidth(900e9), "900GB/s"}, {Bandwidth(50e9), "50GB/s"}, {Bandwidth(3.35e12), "3.35TB/s"}, {Bandwidth(0.5), "0.5B/s"},
		{Compute(989e12), "989TFLOPS"}, {Power(1400), "1400W"}, {Duration(2100), "2.1us"}, {Duration(2e9), "2s"},
	} {
		if text, err := c.v.MarshalText(); err != nil || string(text) != c.want {
			t.Errorf("%T(%v) is written %q, %v; want %q", c.v, c.v, text, err, c.want)
		}
	}
}

func TestHumanForms(t *testing.T) {
	for want, got := range map[string]string{
		"0B": Bytes(0).String(), "999B": Bytes(999).String(), "1kB": Bytes(1000).String(), "1.23MB": Bytes(1_234_567).String(), "1GB": Bytes(999_600_000).String(),
		"900GB/s": Bandwidth(900e9).String(), "1.4kW": "1.4kW", "989TFLOPS": Compute(989e12).String(), "50ms": Duration(50e6).String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := Duration(1500).Seconds(); got != 1.5e-6 {
		t.Errorf("1500 ns are %v s", got)
	}
}

// Whatever a unit reads, it can write and read again to the same value, never below 0 or beyond finite.
func FuzzUnits(f *testing.F) {
	for _, s := range []string{"80GiB", "400Gb/s", "2.1us", "989TFLOPS", "1.4kW", "1e308EB/s", "-0GB/s", "1_2.5e-3KiB", "1E2EB", "9223372036854775807B", "1h2m", "0.5B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b, b2 Bytes
		var d, d2 Duration
		var w, w2 Bandwidth
		var c, c2 Compute
		var p, p2 Power
		if b.UnmarshalText([]byte(s)) == nil {
			roundTrip(t, &b, &b2, &b, &b2)
		}
		if d.UnmarshalText([]byte(s)) == nil {
			roundTrip(t, &d, &d2, &d, &d2)
		}
		if w.UnmarshalText([]byte(s)) == nil {
			roundTrip(t, &w, &w2, &w, &w2)
		}
		if c.UnmarshalText([]byte(s)) == nil {
			roundTrip(t, &c, &c2, &c, &c2)
		}
		if p.UnmarshalText([]byte(s)) == nil {
			roundTrip(t, &p, &p2, &p, &p2)
		}
		for _, v := range []float64{float64(b), float64(d), float64(w), float64(c), float64(p)} {
			if v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
				t.Fatalf("%q is read as %v", s, v)
			}
		}
	})
}
