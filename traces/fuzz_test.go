package traces

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// FuzzRead feeds anything to Open's reader: it may refuse, but what it yields
// must keep the promises of Source.
func FuzzRead(f *testing.F) {
	seeds := []string{azureText, mooncakeText, requestsText, ownText, vidurText, bailianText, two(f), "num_prefill_tokens,x\n1,2", "{", "\x28\xb5\x2f\xfd", "\x1f\x8b"}
	for _, s := range seeds {
		for name := range 1 + len(formats) {
			f.Add([]byte(s), uint8(name))
		}
		f.Add(zipped(f, s), uint8(0))
		f.Add(gzipped(f, s), uint8(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, format uint8) {
		opts := Options{}
		if i := int(format) % (1 + len(formats)); i > 0 {
			opts.Format = formats[i-1].Name
		}
		s, err := Read("f", io.NopCloser(bytes.NewReader(data)), opts)
		if err != nil {
			return
		}
		last := int64(0)
		for range 1000 {
			r, err := s.Next()
			if err != nil {
				break
			}
			if int64(r.Arrival) < last || r.InputTokens < 1 || r.OutputTokens < 1 || r.InputTokens > MaxTokens || r.OutputTokens > MaxTokens {
				t.Fatalf("%+v after %d ns", r, last)
			}
			if len(r.Prefix) > 0 && (s.BlockTokens() < 1 || (len(r.Prefix)-1)*s.BlockTokens() >= int(r.InputTokens)) {
				t.Fatalf("%d ids of %d tokens for %d", len(r.Prefix), s.BlockTokens(), r.InputTokens)
			}
			last = int64(r.Arrival)
		}
		_ = s.Close()
	})
}

// parseLine is what the scanner makes of one line of our own format or Mooncake's.
func parseLine(line []byte, format *jsonFormat) (jsonLine, []uint64, error) {
	var l jsonLine
	j := jsonRows{in: &input{name: "f"}, format: format}
	err := j.parse(line, &l)
	return l, j.ids, err
}

// FuzzJSONLine holds the scanner to encoding/json: what it accepts is valid, and
// every value is the one that encoding/json finds.
func FuzzJSONLine(f *testing.F) {
	for _, s := range []string{mooncakeText, requestsText, ownText} {
		for line := range strings.Lines(s) {
			f.Add([]byte(line))
		}
	}
	for _, s := range []string{`{"timestamp":1e2,"x":"\ud800\n","input_length":0.0}`, `{"\u0074imestamp":-0}`, `{"a":[{"b":null}],"hash_ids":[ ]}`,
		`{"hash_ids":[01]}`, `{"timestamp":1,}`, `{"x":tru}`, `{"x":1 2}`, `{"timestamp":.5}`, `{"timestamp":1.}`, "{\"a\tb\":1}", `{"x":"` + "\xff" + `"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, format := range []*jsonFormat{&mooncakeFormat, &ownFormat} {
			l, ids, err := parseLine(line, format)
			if err != nil {
				continue
			}
			var want map[string]json.RawMessage
			if err := json.Unmarshal(line, &want); err != nil {
				t.Fatalf("%q is accepted, but: %v", line, err)
			}
			for c, field := range format.fields {
				if field.name == "" {
					continue
				}
				raw, ok := want[field.name]
				if ok != l.seen[c] {
					t.Fatalf("%q: %s seen %v, want %v", line, field.name, l.seen[c], ok)
				}
				if ok {
					compareField(t, column(c), raw, &l, ids, format)
				}
			}
		}
	})
}

func compareField(t *testing.T, c column, raw json.RawMessage, l *jsonLine, ids []uint64, format *jsonFormat) {
	t.Helper()
	if c == colPrefix {
		var want []uint64
		if err := json.Unmarshal(raw, &want); err != nil || !slices.Equal(want, ids) {
			t.Fatalf("%s: ids %v: %v", raw, ids, err)
		}
		return
	}
	want, ok := new(big.Rat).SetString(string(raw))
	if !ok {
		t.Fatalf("%s is not a number", raw)
	}
	got := new(big.Rat).SetInt64(l.number[c])
	slack := new(big.Rat)
	switch c {
	case colSession:
		got.SetInt(new(big.Int).SetUint64(l.session))
	case colArrival:
		got.SetInt64(l.arrival)
		want.Mul(want, new(big.Rat).SetFloat64(math.Pow10(format.places)))
		slack.SetFrac64(1, 2)
	}
	if bytes.ContainsAny(raw, "eE") { // by way of a float
		slack.Add(slack, new(big.Rat).Mul(new(big.Rat).Abs(want), big.NewRat(1, 1<<51)))
	}
	if got.Sub(got, want).Abs(got).Cmp(slack) > 0 {
		t.Fatalf("%s read as %d, %d or %d", raw, l.number[c], l.arrival, l.session)
	}
}

// TestLinesOfEncodingJSON is the other direction: what encoding/json writes is accepted.
func TestLinesOfEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := map[string]any{
			"timestamp": rapid.OneOf(rapid.Float64Range(0, 1e12).AsAny(), rapid.Int64Range(0, 1e12).AsAny()).Draw(t, "timestamp"),
			"hash_ids":  rapid.SliceOf(rapid.Uint64()).Draw(t, "ids"), "input_length": rapid.Int32().Draw(t, "input"),
			rapid.String().Draw(t, "key"): rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.Float64())).Draw(t, "value"),
		}
		line, err := json.MarshalIndent(m, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
		if err != nil {
			t.Skip("not JSON")
		}
		l, ids, err := parseLine(line, &mooncakeFormat)
		if err != nil || !slices.Equal(ids, m["hash_ids"].([]uint64)) || l.number[colInput] != int64(m["input_length"].(int32)) {
			t.Fatalf("%s: %v %v %v", line, l, ids, err)
		}
	})
}

// FuzzWallClock holds the reader of time stamps to time.Parse.
func FuzzWallClock(f *testing.F) {
	for _, s := range []string{"2023-11-16 18:17:03.9799600", "2024-02-29T00:00:00Z", "2024-05-12 00:00:00.003163+00:00", "2023-02-29 00:00:00",
		"1970-01-01 00:00:00-23:59", "2023-11-16 24:00:00", "2023-11-16 18:17:03.", "2023-11-16 18:17:60", "2023-11-1e 18:17:03"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := wallClock([]byte(text))
		if !ok {
			return
		}
		for _, layout := range []string{"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05.999999999Z07:00"} {
			if want, err := time.Parse(layout, text); err == nil {
				if want.UnixNano() != got {
					t.Fatalf("%s: %d, want %d", text, got, want.UnixNano())
				}
				return
			}
		}
		t.Fatalf("%q is accepted, but no layout of time.Parse reads it", text)
	})
}

// TestWallClockAccepts is the other direction.
func TestWallClockAccepts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 7e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		at = at.In(time.FixedZone("", 60*rapid.IntRange(-800, 800).Draw(t, "zone")))
		for _, layout := range []string{"2006-01-02 15:04:05.000000000Z07:00", "2006-01-02T15:04:05.999999999Z07:00"} {
			text := at.Format(layout)
			if got, ok := wallClock([]byte(text)); at.UTC().Year() > 1970 && (!ok || got != at.UnixNano()) {
				t.Fatalf("%s: %d %v, want %d", text, got, ok, at.UnixNano())
			}
		}
	})
}

// FuzzFixedPoint holds decimals without exponent to exact rationals.
func FuzzFixedPoint(f *testing.F) {
	for _, s := range []string{"0", "-0.5", "1.0000000005", "4611686018.427387904", "0.00000000049", "123456789.123456789", "-.5", "1.2.3", "9223372036854775808"} {
		f.Add(s, uint8(9))
	}
	f.Fuzz(func(t *testing.T, text string, places uint8) {
		p := int(places % 10)
		got, ok := fixedPoint([]byte(text), p)
		if !ok || strings.ContainsAny(text, "eE") {
			return
		}
		want, parsed := new(big.Rat).SetString(text)
		if !parsed {
			t.Fatalf("%q is accepted as %d", text, got)
		}
		want.Mul(want, new(big.Rat).SetInt64(int64(math.Pow10(p))))
		// Half away from zero, as big.Rat rounds to no decimals.
		if rounded := want.FloatString(0); rounded != big.NewInt(got).String() && rounded != "-0" {
			t.Fatalf("%s × 10^%d: %d, want %s", text, p, got, rounded)
		}
	})
}
