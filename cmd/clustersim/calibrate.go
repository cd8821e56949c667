package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/calibrate"
	"github.com/clustersim/clustersim/topologies"
)

const calibrateExamples = `  # how far the shipped constants of H100 are from a kernel table, and a better fit
  clustersim calibrate --kernels h100_gemm_perf.csv.zst --chip h100

  # several tables at once, the fit as a fragment for a chip's file
  clustersim calibrate --kernels gemm.csv --kernels moe.csv.zst --chip my-chip.yaml --write fitted.yaml

  # own timings, of calibrate bench, from standard input; Triton's experts instead of the fastest
  clustersim calibrate --kernels - --chip b200 --source triton < kernels.csv`

// calibrateFlags are those of a fit to kernel timings.
type calibrateFlags struct {
	kernels, sources, classes, dirs []string
	chip, output, write, said       string
	metricsAddr                     string
	workers                         int
	files                           outputs
}

func newCalibrateCommand() *cobra.Command {
	f := &calibrateFlags{}
	c := &cobra.Command{
		Use:   "calibrate --kernels FILE.csv[.zst] --chip NAME",
		Short: "Fit constants to measurements: a chip's to kernel timings, an engine's to serving",
		Long: `Reads timings of kernels, fits the constants of every operator class that they
cover, and prints how far predictions then are from measurements: by class and
format, on shapes left out of the fit, by the number of rows, and with the chip's
file as it stands. Rows that no class takes are listed with the reason.

Tables are aiconfigurator's kernel tables (any of their schemas of operators; the
kind shows in the columns) or kernels.csv (id, source, hardware, op, dtype, shape,
batch_or_tokens, ctx_or_isl, ranks, latency_us, tflops, gbps, notes), which
"clustersim calibrate bench" writes; plain, zstd or gzip. A chip of one's own is a
YAML file with its peaks and an ancestor, whose constants stand where no timing
decides.`,
		Example: calibrateExamples,
		RunE:    f.run,
	}
	c.AddCommand(newCalibrateEngine(), newCalibrateBench())
	c.Flags().StringArrayVar(&f.kernels, "kernels", nil, "table of kernel timings: a file, or - for standard input (repeatable)")
	c.Flags().StringVar(&f.chip, "chip", "", "chip that was timed: a name, or a YAML file")
	c.Flags().StringArrayVar(&f.sources, "source", nil, "kernel to fit where a table has several, by a part of its name; without it the fastest (repeatable)")
	c.Flags().StringSliceVar(&f.classes, "class", nil, "operator classes to fit; without it all (repeatable)")
	addOutputFlag(c, &f.output, "text, json or csv", "text", "json", "csv")
	c.Flags().StringVar(&f.write, "write", "", "FILE to write the operators block with the fitted constants to")
	addForceFlag(c, &f.files)
	c.Flags().StringVar(&f.said, "source-text", "", "where the timings come from, for the source: lines of --write; without it the files' names")
	c.Flags().IntVar(&f.workers, "workers", 0, "fits at a time; 0 is one a core")
	addMetricsFlag(c, &f.metricsAddr)
	addTopologyDirs(c, &f.dirs)
	c.Flags().SortFlags = false
	offerFor(c, "chip", func() []string { return topologies.ChipRefs(f.dirs...) })
	offerFor(c, "class", calibrate.Classes)
	return c
}

func (f *calibrateFlags) run(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(c, args[0])
	}
	write, err := calibrate.Find(f.output)
	switch {
	case err != nil:
		return fmt.Errorf("--output: %w", err)
	case len(f.kernels) == 0:
		return errors.New("--kernels: name a table of kernel timings, or - for standard input")
	case f.chip == "":
		return errors.New("--chip: name the chip that was timed, or its YAML file")
	case f.workers < 0:
		return fmt.Errorf("--workers: must not be negative, got %d", f.workers)
	}
	f.files.read(f.kernels...)
	f.files.read(f.chip)
	if err := f.files.check("--write", f.write); err != nil {
		return err
	}
	if err := calibrate.CheckClasses(f.classes); err != nil {
		return fmt.Errorf("--class: %w", err)
	}
	chip, err := topologies.LoadChip(f.chip, f.dirs...)
	if err != nil {
		return err
	}
	w, end, err := watch(c, observing{Addr: f.metricsAddr})
	if err != nil {
		return err
	}
	defer end()
	rows, err := f.read(c, chip)
	if err != nil {
		return err
	}
	bar := newRunBar(c, "fits", w)
	keep(c.Context())
	report, err := calibrate.Run(c.Context(), chip, rows, calibrate.Options{Sources: f.sources, Classes: f.classes, Workers: f.workers, Done: bar.show})
	bar.close()
	if report == nil {
		return err
	}
	if e := write(c.OutOrStdout(), report); e != nil {
		return failed(e)
	}
	if err != nil {
		return err
	}
	return f.writeFragment(report)
}

// read reads all tables; every one's faults are reported.
func (f *calibrateFlags) read(c *cobra.Command, chip *topologies.Chip) (*calibrate.Rows, error) {
	reader := calibrate.NewReader(chip, topologies.ChipNames())
	var faults []error
	for i, name := range f.kernels {
		if slices.Contains(f.kernels[:i], name) {
			faults = append(faults, fmt.Errorf("--kernels: %s is given twice; its rows would count twice", name))
			continue
		}
		faults = append(faults, readTable(reader, name, c.InOrStdin()))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return reader.Rows(), nil
}

func readTable(reader *calibrate.Reader, name string, stdin io.Reader) error {
	if name == "-" {
		return reader.Read("stdin", stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return reader.Read(name, file)
}

// writeFragment writes the fitted block, if a file is asked for.
func (f *calibrateFlags) writeFragment(report *calibrate.Report) error {
	if f.write == "" {
		return nil
	}
	said := f.said
	if said == "" {
		said = "fit to " + strings.Join(report.Files, ", ")
	}
	var text strings.Builder
	if err := calibrate.WriteOperators(&text, report, said); err != nil {
		return failed(err)
	}
	return f.files.write(f.write, []byte(text.String()), 0o666)
}
