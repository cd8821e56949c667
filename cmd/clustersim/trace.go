package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/traces"
)

func newTraceCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "trace",
		Short: "Inspect, convert and generate request traces",
		Long: "Traces are files, - for standard input, or the sample that ships with the program (sample).\n" +
			"zstd and gzip are recognised, and so are these formats:\n\n" + formatList() +
			"\nWorkload profiles to generate from: " + strings.Join(traces.Profiles(), ", ") + ".",
	}, newTraceInspect(), newTraceConvert(), newTraceGenerate())
}

func formatList() string {
	var b strings.Builder
	for _, f := range traces.Formats() {
		fmt.Fprintf(&b, "  %-11s %s\n", f.Name, f.Description)
	}
	return b.String()
}

// readFlags are those of every command that reads a trace.
type readFlags struct {
	opts            traces.Options
	start, duration textFlag[spec.Duration, *spec.Duration]
}

func (f *readFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.opts.Format, "trace-format", "auto", "format of the trace, to force one")
	offerFor(c, "trace-format", traceFormats)
	c.Flags().IntVar(&f.opts.Limit, "trace-limit", 0, "stop after so many requests (0 for all)")
	c.Flags().Float64Var(&f.opts.RateScale, "rate-scale", 1, "times the recorded rate")
	c.Flags().Uint64Var(&f.opts.Seed, "seed", 1, "seed of formats that are drawn (servegen)")
	c.Flags().Var(&f.start, "start", "leave out what was recorded before, such as 10m")
	c.Flags().Var(&f.duration, "duration", "recorded time to read from the start on, such as 1h")
}

func (f *readFlags) open(c *cobra.Command, ref string) (traces.Source, error) {
	if c.Flags().Changed("rate-scale") && f.opts.RateScale == 0 {
		return nil, errors.New("trace: rate_scale: must be over 0, got 0")
	}
	opts := f.opts
	opts.Start, opts.Duration = f.start.value, f.duration.value
	opts.Stdin = c.InOrStdin()
	opts.Warn = func(text string) { c.PrintErrln("warning: " + text) }
	source, err := openTrace(c.Context(), ref, opts)
	if err != nil {
		return nil, err
	}
	return interruptible{source, c.Context()}, nil
}

// openTrace opens a trace such that a pipe that gives nothing can be interrupted.
func openTrace(ctx context.Context, ref string, opts traces.Options) (traces.Source, error) {
	info, err := os.Stat(ref)
	if err != nil || info.Mode().IsRegular() || info.IsDir() {
		return traces.Open(ref, opts)
	}
	file, err := os.Open(ref)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return traces.Read(ref, struct {
		io.Reader
		io.Closer
	}{&interruptibleReader{ctx: ctx, from: file}, file}, opts)
}

// interruptible is a source that ends with the context's error when it is cancelled.
type interruptible struct {
	traces.Source
	ctx context.Context
}

func (s interruptible) Next() (traces.Request, error) {
	if s.ctx != nil && s.ctx.Err() != nil {
		return traces.Request{}, s.ctx.Err()
	}
	return s.Source.Next()
}

// textFlag is a flag of a type that reads and writes itself as text.
type textFlag[T any, P interface {
	*T
	UnmarshalText([]byte) error
	MarshalText() ([]byte, error)
}] struct{ value T }

func (f *textFlag[T, P]) Set(s string) error { return P(&f.value).UnmarshalText([]byte(s)) }
func (f *textFlag[T, P]) Type() string       { return "text" }
func (f *textFlag[T, P]) String() string {
	text, err := P(&f.value).MarshalText()
	if err != nil || string(text) == "0s" {
		return ""
	}
	return string(text)
}

func newTraceInspect() *cobra.Command {
	var flags readFlags
	var output string
	c := &cobra.Command{
		Use:     "inspect TRACE",
		Short:   "Measure a trace: rate, burstiness, lengths, shared prefixes",
		Example: "  clustersim trace inspect sample\n  clustersim trace inspect azure_conv.csv.zst --output json",
		Args:    wants("TRACE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := textOrJSON(output); err != nil {
				return err
			}
			source, err := flags.open(c, args[0])
			if err != nil {
				return err
			}
			p := newTraceProgress(c.ErrOrStderr())
			stats, err := traces.Measure(source, p.tick)
			p.done()
			if err := errors.Join(err, source.Close()); err != nil {
				return err
			}
			return writeShown(c.OutOrStdout(), output, stats, func(w io.Writer) { fmt.Fprint(w, statsText(stats)) })
		},
	}
	flags.add(c)
	addOutputFlag(c, &output, "text or json", "text", "json")
	return c
}

func statsText(s traces.Stats) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s"+format+"\n", append([]any{name}, args...)...)
	}
	line("requests", "%d in %.1f s", s.Requests, s.SpanS)
	line("rate", "%.3f requests/s, peak %.3f over %g s", s.Rate, s.PeakRate, s.PeakWindowS)
	line("gaps", "CV %.3f (Poisson 1), burstiness %+.3f", s.CV, s.Burstiness)
	fmt.Fprintf(&b, "%-14s%10s%10s%10s%10s%10s%16s\n", "tokens", "mean", "p50", "p90", "p99", "max", "total")
	for _, row := range []struct {
		name string
		l    traces.Lengths
	}{{"  input", s.Input}, {"  output", s.Output}} {
		line(row.name, "%10.1f%10d%10d%10d%10d%16d", row.l.Mean, row.l.P50, row.l.P90, row.l.P99, row.l.Max, row.l.Total)
	}
	if s.Sessions > 0 {
		line("sessions", "%d", s.Sessions)
	}
	if s.Prefix.Blocks > 0 {
		line("prefixes", "%.4f of blocks seen before (%d of %d tokens, %d unique)", s.Prefix.HitRate, s.Prefix.Blocks, s.Prefix.BlockTokens, s.Prefix.Unique)
	} else {
		line("prefixes", "none recorded")
	}
	return b.String()
}

func newTraceConvert() *cobra.Command {
	var flags readFlags
	var files outputs
	c := &cobra.Command{
		Use:     "convert TRACE OUT",
		Short:   "Write a trace in clustersim's own format (OUT: a path, .zst or .gz to compress, or -)",
		Example: "  clustersim trace convert azure_conv.csv.zst hour.jsonl.zst --start 10m --duration 1h",
		Args:    wants("TRACE", "OUT"),
		RunE: func(c *cobra.Command, args []string) error {
			files.read(args[0])
			if err := checkTraceFile(&files, "OUT", args[1]); err != nil {
				return err
			}
			source, err := flags.open(c, args[0])
			if err != nil {
				return err
			}
			return errors.Join(writeTrace(c, &files, args[1], source), source.Close())
		},
	}
	flags.add(c)
	addForceFlag(c, &files)
	return c
}

func newTraceGenerate() *cobra.Command {
	var w traces.Workload
	var out string
	var files outputs
	var input, output textFlag[traces.Dist, *traces.Dist]
	var arrivals textFlag[traces.Arrivals, *traces.Arrivals]
	var duration textFlag[spec.Duration, *spec.Duration]
	c := &cobra.Command{
		Use:     "generate",
		Short:   "Write a generated workload in clustersim's own format",
		Example: "  clustersim trace generate --workload chat --rate 20 --requests 10000 --out chat.jsonl.zst",
		Args:    wants(),
		RunE: func(c *cobra.Command, _ []string) error {
			w.Input, w.Output, w.Arrivals, w.Duration = input.value, output.value, arrivals.value, duration.value
			if w.Requests == 0 && w.Duration == 0 {
				return errors.New("workload: needs --requests or --duration, or it would never end")
			}
			files.read(w.Profile)
			if err := checkTraceFile(&files, "--out", out); err != nil {
				return err
			}
			source, err := traces.Generate(w)
			if err != nil {
				return err
			}
			return writeTrace(c, &files, out, interruptible{source, c.Context()})
		},
	}
	f := c.Flags()
	f.StringVar(&w.Profile, "workload", "chat", "profile ("+strings.Join(traces.Profiles(), ", ")+") or path of a YAML file")
	f.Float64Var(&w.Rate, "rate", 0, "requests a second")
	f.Int64Var(&w.Requests, "requests", 0, "how many requests (0 for no limit)")
	f.Var(&duration, "duration", "until when, such as 10m")
	f.Var(&input, "input-tokens", "prompt lengths: 4096, uniform(819,1024), lognormal(mean=4000,p99=20000), exp(500)")
	f.Var(&output, "output-tokens", "output lengths, likewise")
	f.Var(&arrivals, "arrivals", "poisson, gamma(CV), constant, burst or burst(N)")
	f.Uint64Var(&w.Seed, "seed", 1, "seed")
	f.StringVar(&out, "out", "-", "path, .zst or .gz to compress, or - for standard output")
	addForceFlag(c, &files)
	return c
}

// checkTraceFile looks at the file to write before there is any work.
func checkTraceFile(files *outputs, flag, path string) error {
	if path == "-" {
		return nil
	}
	return files.check(flag, path)
}

// writeTrace writes a source under its own name only when it is whole.
func writeTrace(c *cobra.Command, files *outputs, path string, source traces.Source) (err error) {
	p := newTraceProgress(c.ErrOrStderr())
	defer p.done()
	if path == "-" {
		_, err := traces.Write(c.OutOrStdout(), source, p.tick)
		return err
	}
	keep(c.Context()) // or a part of the file would stay
	f, err := files.create(path, 0o666)
	if err != nil {
		return failed(fmt.Errorf("%s cannot be written: %w", path, err))
	}
	pack, err := packer(path, f)
	if err != nil {
		return errors.Join(err, f.drop())
	}
	_, err = traces.Write(pack, source, p.tick)
	if err = errors.Join(err, pack.Close()); err != nil {
		return errors.Join(err, f.drop())
	}
	return failed(f.commit())
}

// packer compresses by the name's ending.
func packer(path string, f io.Writer) (io.WriteCloser, error) {
	switch filepath.Ext(path) {
	case ".zst":
		return zstd.NewWriter(f)
	case ".gz":
		return gzip.NewWriter(f), nil
	}
	return plainWriter{f}, nil
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }

// traceProgress counts requests on a terminal's standard error, from two seconds on.
type traceProgress struct {
	w        io.Writer
	terminal bool
	begin    time.Time
	shown    time.Time
	requests int64
}

func newTraceProgress(w io.Writer) *traceProgress {
	at, now := terminal(w), time.Now()
	return &traceProgress{w: at, terminal: at != nil, begin: now, shown: now.Add(1800 * time.Millisecond)}
}

// tick looks at the clock once in 4,096 requests, to cost nothing.
func (p *traceProgress) tick(r traces.Request) {
	p.requests++
	if !p.terminal || p.requests&4095 != 0 {
		return
	}
	if now := time.Now(); now.Sub(p.shown) > 200*time.Millisecond {
		p.shown = now
		fmt.Fprintf(p.w, "\r%d requests, trace time %.0f s, %.0f requests/s ", p.requests, r.Arrival.Seconds(), float64(p.requests)/now.Sub(p.begin).Seconds())
	}
}

// done wipes the line.
func (p *traceProgress) done() {
	if p.terminal && p.shown.Sub(p.begin) > 2*time.Second {
		fmt.Fprintf(p.w, "\r\033[K")
	}
}
