package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
)

func drawCompletion(t *rapid.T) metrics.Completion {
	span := rapid.Int64Range(0, 1e12)
	c := metrics.Completion{
		Number: rapid.Uint64().Draw(t, "number"), Arrival: des.Time(span.Draw(t, "arrival")),
		Queue: des.Time(span.Draw(t, "queue")), Prefill: des.Time(span.Draw(t, "prefill")), KVTransfer: des.Time(span.Draw(t, "transfer")),
		Decode: des.Time(span.Draw(t, "decode")), Preempted: des.Time(span.Draw(t, "preempted")),
		InputTokens: rapid.Int64Range(0, 1e6).Draw(t, "in"), OutputTokens: rapid.Int64Range(1, 3).Draw(t, "out"),
		CachedTokens: rapid.Int64Range(0, 100).Draw(t, "cached"), Preemptions: rapid.Int32().Draw(t, "preemptions"),
		PrefillInstance: rapid.Int32().Draw(t, "from"), DecodeInstance: rapid.Int32().Draw(t, "to"), Measured: rapid.Bool().Draw(t, "measured"),
	}
	c.FirstToken = c.Arrival + c.Queue + c.Prefill
	c.Finish = c.FirstToken + c.KVTransfer + c.Decode + c.Preempted
	return c
}

// Every format gives every row back exactly.
func TestRequestsRoundTrip(t *testing.T) {
	for _, name := range []string{"r.csv", "r.jsonl", "r.parquet", "r.csv.zst", "r.csv.gz", "r.jsonl.zst", "r.JSONL.GZ"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			rapid.Check(t, func(t *rapid.T) {
				n := rapid.SampledFrom([]int{0, 1, 5, 1024, 1500}).Draw(t, "rows")
				some := rapid.SliceOfN(rapid.Custom(drawCompletion), 1, 5).Draw(t, "requests")
				w, err := newRequestWriter(&outputs{force: true}, path)
				if err != nil {
					t.Fatal(err)
				}
				want := make([]requestRow, n)
				for i := range want {
					c := some[i%len(some)]
					want[i].set(&c)
					w.write(&c)
				}
				if err := w.close(); err != nil {
					t.Fatal(err)
				}
				got := readRows(t, path)
				if len(got) != n {
					t.Fatalf("%d rows, want %d", len(got), n)
				}
				for i := range got {
					if !reflect.DeepEqual(got[i], want[i]) {
						t.Fatalf("row %d is %+v, want %+v", i, got[i], want[i])
					}
				}
			})
		})
	}
}

func readRows(t *rapid.T, path string) []requestRow {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ToLower(path)
	switch {
	case strings.HasSuffix(name, ".parquet"):
		rows, err := parquet.Read[requestRow](bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		return rows
	case strings.HasSuffix(name, ".zst"):
		z, err := zstd.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		data, err = io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
	case strings.HasSuffix(name, ".gz"):
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	var rows []requestRow
	if strings.Contains(name, ".csv") {
		records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records[1:] {
			rows = append(rows, rowOf(t, records[0], r))
		}
		return rows
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &fields); err != nil {
			t.Fatal(err)
		}
		var names, values []string
		for _, c := range requestColumns {
			names, values = append(names, c.name), append(values, string(fields[c.name]))
			delete(fields, c.name)
		}
		if len(fields) > 0 {
			t.Fatalf("unknown fields %v", fields)
		}
		rows = append(rows, rowOf(t, names, values))
	}
	return rows
}

// rowOf fills a row by the names of its parquet columns.
func rowOf(t *rapid.T, names, values []string) requestRow {
	var row requestRow
	v := reflect.ValueOf(&row).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("parquet"), ",")
		if names[i] != name {
			t.Fatalf("column %d is %s, in parquet %s", i, names[i], name)
		}
		var err error
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			var b bool
			b, err = strconv.ParseBool(values[i])
			f.SetBool(b)
		case reflect.Int64, reflect.Int32:
			var n int64
			n, err = strconv.ParseInt(values[i], 10, f.Type().Bits())
			f.SetInt(n)
		case reflect.Uint64:
			var n uint64
			n, err = strconv.ParseUint(values[i], 10, 64)
			f.SetUint(n)
		case reflect.Float64:
			var x float64
			x, err = strconv.ParseFloat(values[i], 64)
			f.SetFloat(x)
		case reflect.Pointer:
			if values[i] != "" {
				var x float64
				x, err = strconv.ParseFloat(values[i], 64)
				f.Set(reflect.ValueOf(&x))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return row
}

func TestRequestRowDefinitions(t *testing.T) {
	c := metrics.Completion{Arrival: 1e9, FirstToken: 1.25e9, Finish: 2.25e9, OutputTokens: 11}
	var r requestRow
	if r.set(&c); r.TTFTMS != 250 || r.E2EMS != 1250 || r.TPOTMS == nil || math.Abs(*r.TPOTMS-100) > 1e-12 {
		t.Errorf("%+v", r)
	}
	c.OutputTokens = 1
	if r.set(&c); r.TPOTMS != nil {
		t.Errorf("one token has a TPOT of %v", *r.TPOTMS)
	}
}

func TestRequestWriterErrors(t *testing.T) {
	dir := t.TempDir()
	var e exit
	for name, want := range map[string]string{
		"rows": "want an extension", "rows.txt": ".parquet", "rows.parquet.zst": "leave .zst out", "rows.zst": "want an extension",
	} {
		path := filepath.Join(dir, name)
		if _, err := newRequestWriter(&outputs{force: true}, path); err == nil || errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a usage error with %q", name, err, want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was created", name)
		}
	}
	if _, err := newRequestWriter(&outputs{}, filepath.Join(dir, "none", "rows.csv")); !errors.As(err, &e) || e.code != 1 {
		t.Errorf("missing folder: %v", err)
	}
}

// A full disk is seen at the end, in every format, and the rows' room is given back.
func TestRequestWriterReportsAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full")
	}
	defer full.Close()
	for _, f := range rowFormats {
		for _, pack := range []string{"", ".gz", ".zst"} {
			dir := t.TempDir()
			file, err := (&outputs{}).create(filepath.Join(dir, "rows"), 0o666)
			if err != nil {
				t.Fatal(err)
			}
			w := &requestWriter{file: file}
			if err := w.open(full, pack, f.encoder); err != nil {
				t.Fatal(err)
			}
			for i := range 5000 {
				w.write(&metrics.Completion{Number: uint64(i) * 0x9e3779b97f4a7c15, OutputTokens: 2})
			}
			if err := w.close(); err == nil || !strings.Contains(err.Error(), "no space left") {
				t.Errorf("%s%s: %v", f.ext, pack, err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%s%s leaves %v", f.ext, pack, left)
			}
		}
	}
}

func BenchmarkRequests(b *testing.B) {
	for _, f := range rowFormats {
		b.Run("format="+f.ext[1:], func(b *testing.B) {
			encoder, err := f.encoder(io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			c := metrics.Completion{Number: 1, FirstToken: 1e9, Finish: 9e9, InputTokens: 4000, OutputTokens: 500, Measured: true}
			var row requestRow
			b.ReportAllocs()
			for b.Loop() {
				c.Number++
				c.Finish += 1234567
				row.set(&c)
				if err := encoder.write(&row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
