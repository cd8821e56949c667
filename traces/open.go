package traces

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/clustersim/clustersim/sim/spec"
)

// Options say which part of a trace is read and how.
type Options struct {
	Format    string            // a name of Formats; "" or "auto" to recognise it
	Limit     int               // stop after so many requests; 0 for all
	RateScale float64           // times the recorded rate: arrivals are divided by it; 0 means 1
	Start     spec.Duration     // leave out what was recorded earlier; it becomes time zero
	Duration  spec.Duration     // recorded time to read from Start on; 0 for all
	Seed      uint64            // of formats that are drawn (servegen)
	Stdin     io.Reader         // what "-" reads; nil means os.Stdin
	Warn      func(text string) // told of what was left out; nil to ignore it
}

// Limits of RateScale; beyond them no arrival is left to tell from another.
const (
	minRateScale = 1e-6
	maxRateScale = 1e6
)

func (o *Options) check() error {
	if o.RateScale == 0 {
		o.RateScale = 1
	}
	if !(o.RateScale >= minRateScale && o.RateScale <= maxRateScale) {
		return fmt.Errorf("trace: rate_scale: must be from %g to %g, got %v", minRateScale, maxRateScale, o.RateScale)
	}
	if o.Limit < 0 {
		return fmt.Errorf("trace: limit: must not be negative, got %d", o.Limit)
	}
	if o.Start < 0 || o.Duration < 0 || o.Start > math.MaxInt64/4 || o.Duration > math.MaxInt64/4 {
		return fmt.Errorf("trace: start and duration: must be from 0 to 73 years, got %s and %s", o.Start, o.Duration)
	}
	return nil
}

// Format is one way in which traces are recorded.
type Format struct {
	Name        string
	Description string
	sniff       func(head []byte) bool
	open        func(*input) (rows, error)
}

// Formats lists every format that Open reads, in the order in which they are tried.
func Formats() []Format { return formats[:] }

var formats = [...]Format{
	{"clustersim", "our own JSON lines: arrival_s, input_tokens, output_tokens, session, prefix", sniffOwn, openOwn},
	{"azure", "CSV: TIMESTAMP, ContextTokens, GeneratedTokens (AzurePublicDataset)", sniffAzure, openAzure},
	{"vidur", "CSV: arrived_at (s), num_prefill_tokens, num_decode_tokens", sniffVidur, openVidur},
	{"bailian", "JSON lines: timestamp (s), input_length, output_length, hash_ids of 16 tokens, parent_chat_id", sniffBailian, openBailian},
	{"mooncake", "JSON lines: timestamp (ms), input_length, output_length, hash_ids of 512 tokens", sniffMooncake, openMooncake},
	{"requests", "JSON lines: arrival_time_ns, input_toks, output_toks, hash_ids of 16 tokens", sniffRequests, openRequests},
	{"servegen", "tar of ServeGen client statistics, turned into arrivals", sniffServeGen, openServeGen},
}

// rows is one open trace, as recorded. Checks that all formats share are made by replay.
type rows interface {
	read(*Request) error // io.EOF at the end
	blockTokens() int
	// field is the error of one field of the row read last.
	field(f column, format string, args ...any) error
}

// column names the fields that every format has.
type column uint8

const (
	colArrival column = iota
	colInput
	colOutput
	colPrefix
)

//go:embed sample.jsonl
var sample []byte

// Open reads the trace at a path, on standard input ("-"), or the sample that
// ships with the program ("sample").
func Open(ref string, opts Options) (Source, error) {
	switch ref {
	case "sample":
		return Read("sample", io.NopCloser(bytes.NewReader(sample)), opts)
	case "-":
		if opts.Stdin == nil {
			opts.Stdin = os.Stdin
		}
		return Read("stdin", io.NopCloser(opts.Stdin), opts)
	}
	f, err := os.Open(ref)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return Read(ref, f, opts)
}

// Read is Open for an open file; name is what errors call it. The file is closed
// with the Source, or at once when Read fails.
func Read(name string, file io.ReadCloser, opts Options) (Source, error) {
	r := &replay{close: []func() error{file.Close}, opts: opts, name: name}
	if err := r.open(file); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *replay) open(file io.Reader) error {
	if err := r.opts.check(); err != nil {
		return err
	}
	format, err := formatNamed(r.opts.Format)
	if err != nil {
		return err
	}
	in := &input{name: r.name, opts: r.opts}
	if err := r.decompress(in, file); err != nil {
		return err
	}
	// What Peek cannot give is met again, with its error, by the reader.
	head, _ := in.r.Peek(headBytes)
	if bytes.HasPrefix(head, byteOrderMark) {
		_, _ = in.r.Discard(len(byteOrderMark))
		head = head[len(byteOrderMark):]
	}
	if format == nil {
		if format, err = recognise(in, head); err != nil {
			return err
		}
		in.sniffed = true
	}
	if r.rows, err = format.open(in); err != nil {
		return err
	}
	r.format = format.Name
	return r.prime()
}

// FormatOf is the name of the format that a source is read in, empty when it is not read
// from a file.
func FormatOf(s Source) string {
	if r, is := s.(*replay); is {
		return r.format
	}
	return ""
}

// headBytes is how far sniffing looks: past the first line of any known trace
// with a prompt of some hundred thousand tokens.
const headBytes = 64 << 10

var byteOrderMark = []byte{0xef, 0xbb, 0xbf}

func formatNamed(name string) (*Format, error) {
	if name == "" || strings.EqualFold(name, "auto") {
		return nil, nil
	}
	names := []string{"auto"}
	for i := range formats {
		if strings.EqualFold(formats[i].Name, name) {
			return &formats[i], nil
		}
		names = append(names, formats[i].Name)
	}
	return nil, spec.UnknownName("trace format", name, names)
}

func recognise(in *input, head []byte) (*Format, error) {
	for i := range formats {
		if formats[i].sniff(head) {
			return &formats[i], nil
		}
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	if bytes.Contains(first, []byte("num_prefill_tokens")) || bytes.Contains(first, []byte("pd_ratio")) {
		return nil, fmt.Errorf("%s:1: has lengths of requests but no arrivals, so it cannot be replayed; generate requests of such lengths: a workload with rate, input_tokens and output_tokens (--rate, --input-tokens, --output-tokens)", in.name)
	}
	if len(bytes.TrimSpace(head)) == 0 {
		if _, err := in.line(); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, fmt.Errorf("%s: has no requests: it is empty", in.name)
	}
	var names []string
	for _, f := range formats {
		names = append(names, f.Name)
	}
	return nil, fmt.Errorf("%s:1: not a trace that is known (%s); it begins %q", in.name, strings.Join(names, ", "), clip(first))
}

// clip keeps quotations in errors short.
func clip(text []byte) string {
	const most = 60
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

// maxWindow is the back-reference memory that a compressed file may ask for: the
// limit of the zstd command without --long.
const maxWindow = 128 << 20

// decompress puts the plain text of file behind in.
func (r *replay) decompress(in *input, file io.Reader) error {
	raw := bufio.NewReaderSize(file, headBytes)
	magic, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("trace: %s: %w", r.name, err)
	}
	switch {
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(raw, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(2))
		if err != nil {
			return fmt.Errorf("%s: zstd: %w", r.name, err)
		}
		r.close = append(r.close, func() error { z.Close(); return nil })
		in.r, in.packed = bufio.NewReaderSize(z, 4*headBytes), "zstd"
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(raw)
		if err != nil {
			return fmt.Errorf("%s: gzip: %w", r.name, err)
		}
		r.close = append(r.close, z.Close)
		in.r, in.packed = bufio.NewReaderSize(z, 4*headBytes), "gzip"
	default:
		in.r = bufio.NewReaderSize(raw, 4*headBytes)
	}
	return nil
}
