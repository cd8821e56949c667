package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/clustersim/clustersim/sim/metrics"
)

// requestRow is one finished request. Times are from the start of the run in whole
// nanoseconds; the five spans add up to finish − arrival. tpot_ms is missing for a
// request of one token.
type requestRow struct {
	Number          uint64   `parquet:"number"`
	ArrivalNS       int64    `parquet:"arrival_ns"`
	FirstTokenNS    int64    `parquet:"first_token_ns"`
	FinishNS        int64    `parquet:"finish_ns"`
	InputTokens     int64    `parquet:"input_tokens"`
	OutputTokens    int64    `parquet:"output_tokens"`
	CachedTokens    int64    `parquet:"cached_tokens"`
	TTFTMS          float64  `parquet:"ttft_ms"`
	TPOTMS          *float64 `parquet:"tpot_ms,optional"`
	E2EMS           float64  `parquet:"e2e_ms"`
	QueueNS         int64    `parquet:"queue_ns"`
	PrefillNS       int64    `parquet:"prefill_ns"`
	KVTransferNS    int64    `parquet:"kv_transfer_ns"`
	DecodeNS        int64    `parquet:"decode_ns"`
	PreemptedNS     int64    `parquet:"preempted_ns"`
	Preemptions     int32    `parquet:"preemptions"`
	PrefillInstance int32    `parquet:"prefill_instance"`
	DecodeInstance  int32    `parquet:"decode_instance"`
	Measured        bool     `parquet:"measured"`
}

func (r *requestRow) set(c *metrics.Completion) {
	*r = requestRow{
		Number: c.Number, ArrivalNS: int64(c.Arrival), FirstTokenNS: int64(c.FirstToken), FinishNS: int64(c.Finish),
		InputTokens: c.InputTokens, OutputTokens: c.OutputTokens, CachedTokens: c.CachedTokens,
		TTFTMS: float64(c.FirstToken-c.Arrival) / 1e6, E2EMS: float64(c.Finish-c.Arrival) / 1e6,
		QueueNS: int64(c.Queue), PrefillNS: int64(c.Prefill), KVTransferNS: int64(c.KVTransfer),
		DecodeNS: int64(c.Decode), PreemptedNS: int64(c.Preempted), Preemptions: c.Preemptions,
		PrefillInstance: c.PrefillInstance, DecodeInstance: c.DecodeInstance, Measured: c.Measured,
	}
	if tpot, ok := c.TPOT(); ok {
		tpot /= 1e6
		r.TPOTMS = &tpot
	}
}

// requestColumns are the columns of the text formats, in parquet's order and by its
// names. A value that is missing appends nothing.
var requestColumns = []struct {
	name   string
	append func(b []byte, r *requestRow) []byte
}{
	{"number", func(b []byte, r *requestRow) []byte { return strconv.AppendUint(b, r.Number, 10) }},
	{"arrival_ns", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.ArrivalNS, 10) }},
	{"first_token_ns", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.FirstTokenNS, 10) }},
	{"finish_ns", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.FinishNS, 10) }},
	{"input_tokens", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.InputTokens, 10) }},
	{"output_tokens", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.OutputTokens, 10) }},
	{"cached_tokens", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.CachedTokens, 10) }},
	{"ttft_ms", func(b []byte, r *requestRow) []byte { return appendFloat(b, r.TTFTMS) }},
	{"tpot_ms", func(b []byte, r *requestRow) []byte {
		if r.TPOTMS == nil {
			return b
		}
		return appendFloat(b, *r.TPOTMS)
	}},
	{"e2e_ms", func(b []byte, r *requestRow) []byte { return appendFloat(b, r.E2EMS) }},
	{"queue_ns", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.QueueNS, 10) }},
	{"prefill_ns", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.PrefillNS, 10) }},
	{"kv_transfer_ns", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.KVTransferNS, 10) }},
	{"decode_ns", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.DecodeNS, 10) }},
	{"preempted_ns", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, r.PreemptedNS, 10) }},
	{"preemptions", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, int64(r.Preemptions), 10) }},
	{"prefill_instance", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, int64(r.PrefillInstance), 10) }},
	{"decode_instance", func(b []byte, r *requestRow) []byte { return strconv.AppendInt(b, int64(r.DecodeInstance), 10) }},
	{"measured", func(b []byte, r *requestRow) []byte { return strconv.AppendBool(b, r.Measured) }},
}

// appendFloat writes the shortest decimal that reads back as the same number.
func appendFloat(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'f', -1, 64) }

// rowEncoder writes rows in one format to a stream; end completes the format.
type rowEncoder struct {
	write func(*requestRow) error
	end   func() error
}

// rowFormats are the formats of --requests-out by extension.
var rowFormats = []struct {
	ext     string
	packs   bool // may be compressed as a whole
	encoder func(io.Writer) (rowEncoder, error)
}{
	{".csv", true, csvRows},
	{".jsonl", true, jsonlRows},
	{".parquet", false, parquetRows},
}

// requestWriter writes one row a request to a file. The first error stops it, gives
// back the room that the rows took, and is what close returns.
type requestWriter struct {
	file    *pending
	row     requestRow
	encoder rowEncoder
	closers []func() error // after the encoder's end, in order
	err     error
}

// rowFormatOf finds the format and compression that a file's extensions name.
func rowFormatOf(name string) (pack string, encoder func(io.Writer) (rowEncoder, error), err error) {
	base := strings.ToLower(name)
	for _, ext := range [...]string{".zst", ".gz"} {
		if short, ok := strings.CutSuffix(base, ext); ok {
			base, pack = short, ext
		}
	}
	for _, f := range rowFormats {
		if !strings.HasSuffix(base, f.ext) {
			continue
		}
		if pack != "" && !f.packs {
			return "", nil, fmt.Errorf("--requests-out %s: %s is compressed inside; leave %s out", name, f.ext[1:], pack)
		}
		return pack, f.encoder, nil
	}
	return "", nil, fmt.Errorf("--requests-out %s: want an extension .csv, .jsonl (either with .zst or .gz) or .parquet", name)
}

// newRequestWriter begins the file, in the format and compression of its extensions.
func newRequestWriter(o *outputs, name string) (*requestWriter, error) {
	pack, encoder, err := rowFormatOf(name)
	if err != nil {
		return nil, err
	}
	file, err := o.create(name, 0o666)
	if err != nil {
		return nil, failed(fmt.Errorf("--requests-out: %w", err))
	}
	w := &requestWriter{file: file}
	if err := w.open(file, pack, encoder); err != nil {
		return nil, failed(errors.Join(err, file.drop()))
	}
	return w, nil
}

func (w *requestWriter) open(to io.Writer, pack string, encoder func(io.Writer) (rowEncoder, error)) (err error) {
	buffer := bufio.NewWriterSize(to, 1<<16)
	w.closers = []func() error{buffer.Flush}
	out := io.Writer(buffer)
	switch pack {
	case ".zst":
		z, err := zstd.NewWriter(buffer)
		if err != nil {
			return err
		}
		out, w.closers = z, append([]func() error{z.Close}, w.closers...)
	case ".gz":
		z := gzip.NewWriter(buffer)
		out, w.closers = z, append([]func() error{z.Close}, w.closers...)
	}
	w.encoder, err = encoder(out)
	return err
}

// write adds a request.
func (w *requestWriter) write(c *metrics.Completion) {
	if w.err != nil {
		return
	}
	w.row.set(c)
	if err := w.encoder.write(&w.row); err != nil {
		w.fail(err)
	}
}

// fail keeps the first error and removes the rows, so that what else is written has
// their room.
func (w *requestWriter) fail(err error) {
	w.err = errors.Join(err, w.file.drop())
}

// close completes the file and gives it its name.
func (w *requestWriter) close() error {
	if w.err == nil {
		if err := w.end(); err != nil {
			w.fail(err)
		} else {
			w.err = w.file.commit()
		}
	}
	if w.err != nil {
		return failed(fmt.Errorf("--requests-out %s is not written: %w", w.file.name, w.err))
	}
	return nil
}

func (w *requestWriter) end() error {
	if err := w.encoder.end(); err != nil {
		return err
	}
	for _, c := range w.closers {
		if err := c(); err != nil {
			return err
		}
	}
	return nil
}

func csvRows(out io.Writer) (rowEncoder, error) {
	var line []byte
	for i, c := range requestColumns {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(line, c.name...)
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return rowEncoder{}, err
	}
	write := func(r *requestRow) error {
		line = line[:0]
		for i := range requestColumns {
			if i > 0 {
				line = append(line, ',')
			}
			line = requestColumns[i].append(line, r)
		}
		line = append(line, '\n')
		_, err := out.Write(line)
		return err
	}
	return rowEncoder{write, func() error { return nil }}, nil
}

func jsonlRows(out io.Writer) (rowEncoder, error) {
	var line, value []byte
	write := func(r *requestRow) error {
		line = append(line[:0], '{')
		for i := range requestColumns {
			if value = requestColumns[i].append(value[:0], r); len(value) == 0 {
				continue
			}
			if len(line) > 1 {
				line = append(line, ',')
			}
			line = append(line, '"')
			line = append(line, requestColumns[i].name...)
			line = append(line, '"', ':')
			line = append(line, value...)
		}
		line = append(line, '}', '\n')
		_, err := out.Write(line)
		return err
	}
	return rowEncoder{write, func() error { return nil }}, nil
}

func parquetRows(out io.Writer) (rowEncoder, error) {
	p := parquet.NewGenericWriter[requestRow](out, parquet.Compression(&parquet.Zstd))
	batch := make([]requestRow, 0, 1024)
	flush := func() error {
		_, err := p.Write(batch)
		batch = batch[:0]
		return err
	}
	write := func(r *requestRow) error {
		if batch = append(batch, *r); len(batch) < cap(batch) {
			return nil
		}
		return flush()
	}
	end := func() error {
		if err := flush(); err != nil {
			return err
		}
		return p.Close()
	}
	return rowEncoder{write, end}, nil
}
