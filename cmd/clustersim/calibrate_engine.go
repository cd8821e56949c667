package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/typeset"
	"github.com/clustersim/clustersim/sim/validate"
)

// tuned are the numbers that `calibrate engine` moves unless told otherwise: those
// that TPOT and TTFT of ordinary deployments depend on.
var tuned = []string{"host_step_us", "host_sequence_us", "draft_sequence_us", "eager_kernel_us", "prefill_factor", "ttft_ms"}

type engineTuning struct {
	files    validateFlags // those of its flags that this command has
	names    []string
	heldOut  float64
	perGroup int
	steps    int
	write    string
	outputs  outputs

	metricsAddr string
}

func newCalibrateEngine() *cobra.Command {
	f := &engineTuning{}
	c := &cobra.Command{
		Use:   "engine --engine NAME FILE.csv|CASES.yaml…",
		Short: "Fit an engine profile's numbers to measured deployments",
		Long: `Moves an engine profile's fitted numbers until TPOT and TTFT of the files' deployments
come nearest, and prints the errors before and after: over the deployments that were
fitted and over those that were held out. Files are those that validate reads; of
them, the deployments of the engine count. Deployments that differ by load alone are
fitted or held out together and weigh as much as one.`,
		Example: `  # a new version of an engine, from measurements of one's own
  clustersim calibrate engine --engine vllm mine.yaml --write vllm-next.yaml
  clustersim validate mine.yaml --engine vllm-next.yaml

  # two numbers only, half of the deployments held out
  clustersim calibrate engine --engine sglang inferencex_dsr1.csv --fit ttft_ms,host_step_us --held-out 0.5`,
		Args: wantsFiles("FILE.csv", "CASES.yaml"),
		RunE: f.run,
	}
	fl := c.Flags()
	fl.StringVar(&f.files.engine, "engine", "", "profile to start from, by name or path (required)")
	fl.StringSliceVar(&f.names, "fit", tuned, "fitted numbers to move, separated by commas")
	fl.Float64Var(&f.heldOut, "held-out", 0.4, "share of deployments that are not fitted")
	fl.IntVar(&f.perGroup, "per-deployment", 4, "loads of a deployment that are fitted, spread over its range; 0 is all")
	fl.IntVar(&f.steps, "steps", 5, "steps of the search, at most")
	fl.StringVar(&f.write, "write", "", "FILE to write the profile to")
	addForceFlag(c, &f.outputs)
	fl.StringArrayVar(&f.files.filters, "filter", nil, "COLUMN=VALUE: only rows of the file whose column has the value (repeatable)")
	fl.IntVar(&f.files.workers, "workers", 0, "rows at a time; 0 is one a core")
	addMetricsFlag(c, &f.metricsAddr)
	addModelDirs(c, &f.files.modelDirs)
	addTopologyDirs(c, &f.files.topologyDirs)
	offerFor(c, "engine", cost.EngineNames)
	fl.SortFlags = false
	if err := c.MarkFlagRequired("engine"); err != nil {
		panic(err)
	}
	return c
}

func (f *engineTuning) run(c *cobra.Command, args []string) error {
	switch {
	case !(f.heldOut >= 0 && f.heldOut < 1):
		return fmt.Errorf("--held-out: must be at least 0 and below 1, got %g", f.heldOut)
	case f.perGroup < 0 || f.steps < 1:
		return fmt.Errorf("--per-deployment must not be negative and --steps must be positive, got %d and %d", f.perGroup, f.steps)
	}
	f.outputs.read(args...)
	f.outputs.read(f.files.engine)
	if err := f.outputs.check("--write", f.write); err != nil {
		return err
	}
	engine, err := cost.LoadEngine(f.files.engine)
	if err != nil {
		return fmt.Errorf("--engine: %w", err)
	}
	w, end, err := watch(c, observing{Addr: f.metricsAddr})
	if err != nil {
		return err
	}
	defer end()
	files := f.files
	files.engine = "" // rows keep their own: those of another engine are left out
	sets, err := files.read(args)
	if err != nil {
		return err
	}
	bar := newRunBar(c, "runs", w)
	found, err := validate.Tune(c.Context(), sets, validate.TuneOptions{
		Engine: engine, Names: f.names, PerGroup: f.perGroup, HeldOut: f.heldOut, Steps: f.steps,
		Run: validate.Options{Run: sim.Options{Source: plant.Source{ModelDirs: files.modelDirs, TopologyDirs: files.topologyDirs}}, Workers: files.workers, Done: bar.show},
	})
	bar.close()
	if err != nil {
		return err
	}
	keep(c.Context())
	printTuned(c.OutOrStdout(), found)
	if f.write == "" {
		return nil
	}
	return f.outputs.write(f.write, profile(f.files.engine, found, args), 0o666)
}

func printTuned(w io.Writer, found *validate.Tuned) {
	fmt.Fprintf(w, "%s: %d deployments fitted, %d held out\n\n", found.Engine.Name, found.Groups[0], found.Groups[1])
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "NUMBER\tBEFORE\tAFTER")
	for _, n := range found.Changes {
		fmt.Fprintf(t, "%s\t%.4g\t%.4g\n", n.Name, n.Before, n.After)
	}
	fmt.Fprintln(t, "\t\t\nMETRIC\tDEPLOYMENTS\tN\tBEFORE: MEDIAN |E|, BIAS, WITHIN 30 %\tAFTER")
	for _, e := range found.Errors {
		of := "fitted"
		if e.HeldOut {
			of = "held out"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", e.Metric, of, e.Before.N, short(&e.Before), short(&e.After))
	}
	t.Flush()
}

func short(s *validate.Stats) string {
	return fmt.Sprintf("%.1f %%, %+.1f %%, %.0f %%", 100*s.MedianAPE, 100*s.Bias, 100*s.Within30)
}

// profile is the text of an engine file on top of the one that was fitted.
func profile(base string, found *validate.Tuned, files []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s-fitted\nbase: %s\nfitted:\n  source: fitted by clustersim calibrate engine to %s\n", found.Engine.Name, base, strings.Join(files, ", "))
	for _, e := range found.Errors {
		if e.HeldOut {
			fmt.Fprintf(&b, "  # %s of held-out deployments: median error %.1f %%, bias %+.1f %%\n", e.Metric, 100*e.After.MedianAPE, 100*e.After.Bias)
		}
	}
	for _, n := range found.Changes {
		fmt.Fprintf(&b, "  %s: %.4g\n", n.Name, n.After)
	}
	return []byte(b.String())
}
