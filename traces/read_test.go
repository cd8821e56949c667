package traces

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/spec"
)

func open(text string, opts Options) (Source, error) {
	return Read("f", io.NopCloser(strings.NewReader(text)), opts)
}

func read(t testing.TB, text string, opts Options) []Request {
	t.Helper()
	s, err := open(text, opts)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, s)
}

// drain reads to the first error, io.EOF excepted.
func drain(s Source, err error) error {
	if err != nil {
		return err
	}
	for {
		if _, err := s.Next(); errors.Is(err, io.EOF) {
			return s.Close()
		} else if err != nil {
			return errors.Join(err, s.Close())
		}
	}
}

const (
	azureText = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n" +
		"2023-11-16 18:17:04.0319600,3180,8\r\n\r\n2023-11-17 00:00:00,1,1\r\n"
	mooncakeText = `{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]}` + "\n" +
		`{"timestamp": 3000, "input_length": 700, "output_length": 6, "hash_ids": [0, 18446744073709551615], "extra": {"a": [1, "}"]}}` + "\n"
	requestsText = `{"arrival_time_ns":46926808,"input_toks":33,"output_toks":532,"hash_ids":[1,2]}` + "\n" +
		`{"arrival_time_ns":347938951,"input_toks":1,"output_toks":772,"hash_ids":[]}`
	ownText = `{"clustersim_trace":1,"block_tokens":512}` + "\n\n" +
		`{"arrival_s":0.25,"input_tokens":1500,"output_tokens":200,"session":7,"prefix":[11,12]}` + "\n" +
		`{"output_tokens":2,"arrival_s":1e1,"input_tokens":3.0}` + "\n"
)

const vidurText = "arrived_at,num_prefill_tokens,num_decode_tokens\n2.603621,261,48\n3,722,344\n"

const bailianText = `{"chat_id": 0, "parent_chat_id": -1, "timestamp": 0.65, "input_length": 40, "output_length": 188, "type": "text", "turn": 1, "hash_ids": [0, 1, 2]}
{"chat_id": 1, "parent_chat_id": -1, "timestamp": 1.873, "input_length": 295, "output_length": 337, "type": "text", "turn": 1}
`

// Columns besides, in any order, do not matter; without arrivals there is no trace.
func TestVidurColumns(t *testing.T) {
	s, err := open("num_decode_tokens,pd_ratio,arrived_at,num_prefill_tokens\n48,5.4,2.5,261\n", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, s); !equalRequests(got, []Request{{Arrival: 2500e6, InputTokens: 261, OutputTokens: 48}}) {
		t.Errorf("%+v", got)
	}
}

// A request each 0.5 s is two a second, whatever the unit and the keys of the file.
func TestRateOfEvenArrivals(t *testing.T) {
	for name, line := range map[string]string{
		"vidur":    "%[1]g,100,10\n",
		"bailian":  `{"chat_id":%[2]d,"parent_chat_id":-1,"timestamp":%[1]g,"input_length":100,"output_length":10}` + "\n",
		"mooncake": `{"timestamp":%[2]d00,"input_length":100,"output_length":10}` + "\n",
	} {
		var text strings.Builder
		if name == "vidur" {
			text.WriteString("arrived_at,num_prefill_tokens,num_decode_tokens\n")
		}
		for i := range 121 {
			fmt.Fprintf(&text, line, float64(i+1)/2, 5*(i+1))
		}
		s, err := open(text.String(), Options{})
		if err != nil {
			t.Fatal(name, err)
		}
		stats, err := Measure(s, nil)
		if err != nil || stats.Requests != 121 || math.Abs(stats.Rate-2) > 1e-9 || math.Abs(stats.SpanS-60) > 1e-9 {
			t.Errorf("%s: %v, %d requests in %g s, %g/s; want 121 in 60 s, 2/s", name, err, stats.Requests, stats.SpanS, stats.Rate)
		}
	}
}

// A file with Mooncake's keys and seconds says so by its decimals, unless the format is
// named.
func TestSecondsInMooncakesKeys(t *testing.T) {
	const text = `{"timestamp": 0, "input_length": 1, "output_length": 1}
{"timestamp": 2.5, "input_length": 1, "output_length": 1}
`
	for format, want := range map[string]des.Time{"": 25e5, "mooncake": 25e5, "bailian": 25e8} {
		var said []string
		s, err := open(text, Options{Format: format, Warn: func(text string) { said = append(said, text) }})
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, s); len(got) != 2 || got[1].Arrival != want {
			t.Errorf("%q: %+v, want the second at %d ns", format, got, want)
		}
		if warned := len(said) == 1 && strings.Contains(said[0], "--trace-format bailian"); warned != (format == "") {
			t.Errorf("%q: %q", format, said)
		}
	}
}

func TestFormatsAreRecognisedAndRead(t *testing.T) {
	for _, c := range []struct {
		text  string
		block int
		want  []Request
	}{
		{azureText, 0, []Request{{InputTokens: 4808, OutputTokens: 10}, {Arrival: 52e6, InputTokens: 3180, OutputTokens: 8},
			{Arrival: 20576_020_040_000, InputTokens: 1, OutputTokens: 1}}},
		{"\ufeff" + azureText[:78], 0, []Request{{InputTokens: 4808, OutputTokens: 10}}},
		{mooncakeText, 512, []Request{{InputTokens: 600, OutputTokens: 5, Prefix: []uint64{0, 1}},
			{Arrival: 3e9, InputTokens: 700, OutputTokens: 6, Prefix: []uint64{0, math.MaxUint64}}}},
		{vidurText, 0, []Request{{Arrival: 2603621 * 1000, InputTokens: 261, OutputTokens: 48}, {Arrival: 3e9, InputTokens: 722, OutputTokens: 344}}},
		{bailianText, 16, []Request{{Arrival: 650e6, InputTokens: 40, OutputTokens: 188, Prefix: []uint64{0, 1, 2}},
			{Arrival: 1873e6, InputTokens: 295, OutputTokens: 337}}},
		{requestsText, 16, []Request{{Arrival: 46926808, InputTokens: 33, OutputTokens: 532, Prefix: []uint64{1, 2}},
			{Arrival: 347938951, InputTokens: 1, OutputTokens: 772}}},
		{ownText, 512, []Request{{Arrival: 250e6, InputTokens: 1500, OutputTokens: 200, Session: 7, Prefix: []uint64{11, 12}},
			{Arrival: 10e9, InputTokens: 3, OutputTokens: 2}}},
	} {
		s, err := open(c.text, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if s.BlockTokens() != c.block {
			t.Errorf("block tokens %d, want %d", s.BlockTokens(), c.block)
		}
		if got := readAll(t, s); !equalRequests(got, c.want) {
			t.Errorf("%.40q…:\ngot  %+v\nwant %+v", c.text, got, c.want)
		}
	}
}

func equalRequests(a, b []Request) bool {
	return slices.EqualFunc(a, b, func(x, y Request) bool {
		return x.Arrival == y.Arrival && x.InputTokens == y.InputTokens && x.OutputTokens == y.OutputTokens &&
			x.Session == y.Session && slices.Equal(x.Prefix, y.Prefix)
	})
}

func own(lines ...string) string { return strings.Join(lines, "\n") }

func TestBadTraces(t *testing.T) {
	const row = `{"arrival_s":1,"input_tokens":3,"output_tokens":2}`
	for _, c := range []struct{ text, want string }{
		{"", "f: has no requests"},
		{" \n\n", "f: has no requests"},
		{"hello\nworld", `f:1: not a trace that is known (clustersim, azure, vidur, bailian, mooncake, requests, servegen); it begins "hello"`},
		{"num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n3772,54,3826,69.85\n", "f:1: has lengths of requests but no arrivals"},
		{`{"a":1}`, "not a trace that is known"},
		{vidurText + "now,1,1\n", `f:4: arrived_at: must be seconds, such as 2.603621, within the clock's 146 years, got "now"`},
		{vidurText + "-1,1,1\n", "f:4: arrived_at: must not be negative"},
		{vidurText + "2,1,1\n", "f:4: arrived_at: out of order"},
		{vidurText + "4,1\n", "f:4: has 2 fields, want 3"},
		{"arrived_at,num_prefill_tokens\n1,2\n", "f:1: columns must be arrived_at,num_prefill_tokens,num_decode_tokens"},
		{bailianText + `{"chat_id":3,"timestamp":4,"input_length":16,"output_length":1,"hash_ids":[1,2]}`, "f:3: hash_ids: has 2 ids, but 16 tokens are at most 1 blocks of 16"},
		{`{"timestamp": 0, "input_length": 799, "output_length": 1, "hash_ids": [1,2,3]}`, "blocks of 512; ids of 16 tokens and timestamps in seconds are those of --trace-format bailian"},
		{"TIMESTAMP,ContextTokens,GeneratedTokens\n", "f: has no requests"},
		{"TIMESTAMP,ContextTokens\n2023-11-16 18:17:03,1\n", "f:1: columns must be TIMESTAMP,ContextTokens,GeneratedTokens"},
		{"TIMESTAMP,ContextTokens,GeneratedTokens,Extra\n", "f:1: columns must be"},
		{azureText + "2023-11-17 00:00:01,1\n", "f:6: has 2 fields, want 3"},
		{azureText + "2023-11-17 00:00:01,1,2,3\n", "f:6: has 4 fields, want 3"},
		{azureText + "2023-11-17 00:00:01,1,0\n", "f:6: GeneratedTokens: must be from 1 to 16777216 tokens, got 0"},
		{azureText + "2023-11-17 00:00:01,-5,1\n", "f:6: ContextTokens: must be from 1 to 16777216 tokens"},
		{azureText + "2023-11-17 00:00:01,NaN,1\n", `f:6: ContextTokens: must be a whole number from 1 to 16777216, got "NaN"`},
		{azureText + "2023-11-17 00:00:01,16777217,1\n", "f:6: ContextTokens: must be from 1"},
		{azureText + "2023-11-17 00:00:01,99999999999999999999999,1\n", "f:6: ContextTokens: must be"},
		{azureText + "2023-11-16 18:17:03.98,1,1\n", "f:6: TIMESTAMP: out of order"},
		{azureText + "2022-11-16 18:17:03.98,1,1\n", "f:6: TIMESTAMP: \"2022-11-16 18:17:03.98\" is before the first"},
		{azureText + "2023-02-30 18:17:03.98,1,1\n", "f:6: TIMESTAMP: \"2023-02-30 18:17:03.98\" is not a time"},
		{azureText + "yesterday,1,1\n", "is not a time such as"},
		{mooncakeText + `{"timestamp": 2999, "input_length": 1, "output_length": 1}`, "f:3: timestamp: out of order: 2.999 s"},
		{`{"timestamp": -1, "input_length": 1, "output_length": 1}`, "f:1: timestamp: must not be negative"},
		{`{"timestamp": 1e300, "input_length": 1, "output_length": 1}`, "f:1: timestamp: 1e300 is past the clock's 146 years"},
		{`{"timestamp": "0", "input_length": 1, "output_length": 1}`, "f:1: timestamp: is not a number"},
		{`{"timestamp": 0, "input_length": 1.5, "output_length": 1}`, "f:1: input_length: must be a whole number from 1 to 16777216, got 1.5"},
		{`{"timestamp": 0, "input_length": 1, "output_length": 0}`, "f:1: output_length: must be from 1"},
		{`{"timestamp": 0, "input_length": 1}`, "f:1: output_length: is missing"},
		{`{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1,2]}`, "f:1: hash_ids: has 2 ids, but 1 tokens are at most 1 blocks of 512"},
		{`{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [-1]}`, "f:1: hash_ids: id 0 must be a whole number from 0 to 18446744073709551615, got -1"},
		{`{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [18446744073709551616]}`, "id 0 must be"},
		{`{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1`, "f:1: hash_ids: lacks a comma or ]"},
		{mooncakeText + `{"timestamp": 4000, "input_le`, "f:3:30: not valid JSON"},
		{`{"arrival_time_ns":0,"input_toks":2,"output_toks":3,"input_toks":2}`, "f:1: input_toks: is given twice"},
		{own(row, `{"arrival_s":1,"input_tokens":3,"output_token":2}`), `f:2:47: unknown key "output_token"; did you mean "output_tokens"?`},
		{own(row, row+" x"), "f:2:52: not valid JSON: wants nothing behind the object"},
		{own(row, "[1]"), "f:2: must be a JSON object"},
		{own(row, `{"arrival_s":0.999999999,"input_tokens":3,"output_tokens":2}`), "f:2: arrival_s: out of order: 0.999999999 s is before the request above it, at 1 s"},
		{own(row, `{"arrival_s":1,"input_tokens":3,"output_tokens":2,"session":-3}`), "f:2: session: must be a whole number"},
		{own(row, `{"arrival_s":1,"input_tokens":3,"output_tokens":2,"prefix":[3]}`), "f:2: prefix: needs block_tokens in the header"},
		{own(row, `{"clustersim_trace":1,"block_tokens":16}`), "f:2: clustersim_trace: belongs in the first line"},
		{own(`{"clustersim_trace":2}`, row), "f:1: clustersim_trace: must be 1"},
		{own(`{"clustersim_trace":1,"block_tokens":0}`, row), "f:1: block_tokens: must be from 1"},
		{own(`{"block_tokens":16}`, row), "f:1: clustersim_trace: is missing"},
		{`{"clustersim_trace":1,"arrival_s":1}`, "must stand in a line of its own"},
		{`{"clustersim_trace":1}`, "f: has no requests"},
		{mooncakeText + strings.Repeat("\n", maxBlank), "f:1048578: 1048576 blank lines follow each other; at most 1048575 may"},
		{vidurText + strings.Repeat("\n", maxBlank), "blank lines follow each other"},
	} {
		if err := drain(open(c.text, Options{})); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q…\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{RateScale: -1}, "rate_scale: must be from"},
		{Options{RateScale: math.NaN()}, "rate_scale: must be from"},
		{Options{Limit: -1}, "limit: must not be negative"},
		{Options{Start: -1}, "start and duration"},
		{Options{Format: "azzure"}, `unknown trace format "azzure"; did you mean "azure"?`},
		{Options{Format: "mooncake"}, "must be a JSON object"},
		{Options{Start: spec.Duration(1e15)}, "has no requests at 277h46m40s"},
	} {
		if err := drain(open(azureText, c.opts)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.opts, err, c.want)
		}
	}
	if _, err := Open("no/such/file.csv", Options{}); err == nil || !strings.Contains(err.Error(), "no/such/file.csv") {
		t.Error(err)
	}
}

func zipped(t testing.TB, text string) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompressedAndCutShort(t *testing.T) {
	var b bytes.Buffer
	s, err := Generate(Workload{Profile: "chat", Rate: 5, Requests: 3000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(&b, s, nil); err != nil {
		t.Fatal(err)
	}
	want := read(t, b.String(), Options{})
	for name, data := range map[string][]byte{"zstd": zipped(t, b.String()), "gzip": gzipped(t, b.String())} {
		if got := read(t, string(data), Options{}); !equalRequests(got, want) {
			t.Errorf("%s: %d requests differ from %d", name, len(got), len(want))
		}
		for _, cut := range []int{5, 20, len(data) / 2, len(data) - 1} {
			if err := drain(open(string(data[:cut]), Options{})); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s cut at %d of %d: %v", name, cut, len(data), err)
			}
		}
		data[len(data)/2] ^= 0xff
		if err := drain(open(string(data), Options{})); err == nil {
			t.Errorf("%s with a flipped byte is read as if whole", name)
		}
	}
}

func TestReadErrorsAreReported(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, text := range []string{"", azureText[:60], azureText} {
		r := io.NopCloser(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)))
		if err := drain(Read("f", r, Options{})); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", len(text), err)
		}
	}
}

func TestLineTooLong(t *testing.T) {
	long := `{"arrival_s":1,"input_tokens":3,"output_tokens":2` + strings.Repeat(" ", maxLine) + "}"
	if err := drain(open(long, Options{})); err == nil || !strings.Contains(err.Error(), "f:1: is longer than 33554432 bytes") {
		t.Error(err)
	}
	fits := `{"arrival_s":1,"input_tokens":3,"output_tokens":2` + strings.Repeat(" ", 3<<20) + "}"
	if n := len(read(t, fits, Options{})); n != 1 {
		t.Error(n)
	}
}

// TestOptionsByHand applies the options to the whole trace, read without them.
func TestOptionsByHand(t *testing.T) {
	var b bytes.Buffer
	s, _ := Generate(Workload{Profile: "chat", Rate: 5, Requests: 200, Seed: 8})
	if _, err := Write(&b, s, nil); err != nil {
		t.Fatal(err)
	}
	all := read(t, b.String(), Options{})
	rapid.Check(t, func(r *rapid.T) {
		opts := Options{Limit: rapid.IntRange(0, 250).Draw(r, "limit"), RateScale: rapid.Float64Range(0.01, 100).Draw(r, "scale"),
			Start: spec.Duration(rapid.Int64Range(0, 30e9).Draw(r, "start")), Duration: spec.Duration(rapid.Int64Range(0, 30e9).Draw(r, "duration"))}
		var want []Request
		for _, q := range all {
			q.Arrival -= des.Time(opts.Start)
			if q.Arrival >= 0 && (opts.Duration == 0 || q.Arrival < des.Time(opts.Duration)) && (opts.Limit == 0 || len(want) < opts.Limit) {
				q.Arrival = des.Time(math.Round(float64(q.Arrival) / opts.RateScale))
				want = append(want, q)
			}
		}
		src, err := open(b.String(), opts)
		if len(want) == 0 {
			if err == nil {
				r.Fatal("nothing left, and no error")
			}
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		if got := readAll(t, src); !equalRequests(got, want) {
			r.Fatalf("got %d requests, want %d", len(got), len(want))
		}
	})
}

// TestStartIsInAndEndIsOut for requests exactly on the edges.
func TestStartIsInAndEndIsOut(t *testing.T) {
	if got := read(t, mooncakeText, Options{Duration: 3e9}); len(got) != 1 {
		t.Errorf("%d requests before 3 s, want 1", len(got))
	}
	if got := read(t, mooncakeText, Options{Duration: 3e9 + 1}); len(got) != 2 {
		t.Errorf("%d requests up to 3 s, want 2", len(got))
	}
	if got := read(t, mooncakeText, Options{Start: 3e9}); len(got) != 1 || got[0].Arrival != 0 {
		t.Errorf("from 3 s on: %+v, want one at 0", got)
	}
}

// TestTwiceTheRateHalvesTimes on even nanoseconds, where halves are exact.
func TestTwiceTheRateHalvesTimes(t *testing.T) {
	once, twice := read(t, mooncakeText, Options{RateScale: 1}), read(t, mooncakeText, Options{RateScale: 2})
	for i := range once {
		if once[i].Arrival != 2*twice[i].Arrival {
			t.Errorf("%v at the recorded rate, %v at twice that", once[i].Arrival, twice[i].Arrival)
		}
	}
}

// TestWriteReadsBackEqual: any requests survive our own format, to the nanosecond.
func TestWriteReadsBackEqual(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		block := rapid.SampledFrom([]int{0, 1, 16, 512}).Draw(r, "block")
		var want []Request
		at := des.Time(0)
		for range rapid.IntRange(1, 20).Draw(r, "n") {
			at += des.Time(rapid.OneOf(rapid.Int64Range(0, 2), rapid.Int64Range(0, 1e17)).Draw(r, "gap"))
			q := Request{Arrival: at, InputTokens: rapid.Int32Range(1, MaxTokens).Draw(r, "in"),
				OutputTokens: rapid.Int32Range(1, MaxTokens).Draw(r, "out"), Session: rapid.Uint64().Draw(r, "session")}
			if block > 0 {
				most := min(20, (int(q.InputTokens)+block-1)/block)
				q.Prefix = rapid.SliceOfN(rapid.Uint64(), 0, most).Draw(r, "prefix")
			}
			want = append(want, q)
		}
		var b bytes.Buffer
		n, err := Write(&b, &listSource{requests: want, block: block}, nil)
		if err != nil || n != int64(len(want)) {
			r.Fatal(n, err)
		}
		src, err := open(b.String(), Options{})
		if err != nil {
			r.Fatal(err)
		}
		if src.BlockTokens() != block {
			r.Fatalf("block %d, want %d", src.BlockTokens(), block)
		}
		if got := readAll(t, src); !equalRequests(got, want) {
			r.Fatalf("wrote %+v\nread  %+v", want, got)
		}
	})
}

// listSource yields requests from memory.
type listSource struct {
	requests []Request
	block    int
	at       int
}

func (l *listSource) Next() (Request, error) {
	if l.at == len(l.requests) {
		return Request{}, io.EOF
	}
	l.at++
	return l.requests[l.at-1], nil
}
func (l *listSource) BlockTokens() int { return l.block }
func (l *listSource) Close() error     { return nil }

// TestSampleIsGenerated holds the shipped file to the command in the package comment.
func TestSampleIsGenerated(t *testing.T) {
	var b bytes.Buffer
	s, err := Generate(Workload{Profile: "chat", Rate: 4, Requests: 300, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(&b, s, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), sample) {
		t.Error("sample.jsonl differs from: clustersim trace generate --workload chat --rate 4 --requests 300 --seed 1")
	}
	if src, err := Open("sample", Options{}); err != nil || len(readAll(t, src)) != 300 {
		t.Error("the sample does not open", err)
	}
	if src, err := Open("-", Options{Stdin: bytes.NewReader(sample)}); err != nil || len(readAll(t, src)) != 300 {
		t.Error("standard input does not open", err)
	}
}
