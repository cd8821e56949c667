package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/report"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

// runFlags are those of a single run.
type runFlags struct {
	scenario      *scenarioInput
	output        string
	dir           string
	requestsOut   string
	files         outputs
	metricsAddr   string
	speed         float64
	findCapacity  bool
	sloStrict     bool
	seeds         int
	printScenario bool
}

const runExamples = `  # the whole supernode under load, with the best layout found
  clustersim --model v4 --topo supernode8912

  # replay a recorded trace, as JSON, with one row a request
  clustersim --model v3 --topo cloudmatrix384 --trace azure_conv.csv.zst --output json --requests-out rows.parquet

  # what if every optical hop took 10 ns
  clustersim --model v4 --topo supernode8912 --tau optics=10ns

  # a layout of one's own, and the rate it sustains within the SLO
  clustersim --model llama-3.1-8b --topo hgx-h100:8 --tp 1 --pp 1 --slo ttft=1s,tpot=30ms --find-capacity

  # how sure a percentile is: mean and 95 % interval of five seeds
  clustersim --model qwen3-32b --topo hgx-h100:8 --rate 4 --seeds 5

  # keep the resolved scenario and run it again
  clustersim --model v4 --topo supernode8912 --print-scenario > scenario.yaml
  clustersim scenario.yaml --rate 500`

func newRunCommand() *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "run [scenario.yaml]",
		Short: "Run one scenario: a model, a topology and a workload",
		Long: `Runs a scenario from a file, from flags, or from a file with flags on top.
Without --trace and --workload the chat profile is offered at 80 % of capacity;
without a layout the best one within the SLO is searched for.

Rates are of a window, which the result names: a closed loop without its ramp and its
drain (--requests counts the measured ones; clients go on until each has had about ten
answers), an open loop while its measured requests arrive, or, where these come faster
than they are served, the run from the first admission to the last completion.
workload.window: all asks for the latter, as benchmarks' clients count.

Every run ends: after a year of simulated time (limits.simulated) or ten billion events
(limits.events) what there is is printed, marked partial with the reason; exit code 1.`,
		Example: runExamples,
		Args:    wantsScenario,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && c.Flags().NFlag() == 0 {
				return c.Help()
			}
			return f.run(c, args)
		},
	}
	f.scenario = addScenarioFlags(c)
	addOutputFlag(c, &f.output, "text, json or csv", "text", "json", "csv")
	c.Flags().StringVar(&f.dir, "out", "", "folder `DIR` that receives result.json and scenario.yaml; of an earlier run's only with --force")
	c.Flags().StringVar(&f.requestsOut, "requests-out", "", "`FILE` that receives one row a request: .csv, .jsonl or .parquet")
	addForceFlag(c, &f.files)
	addMetricsFlag(c, &f.metricsAddr)
	c.Flags().Float64Var(&f.speed, "speed", 0, "`X` simulated seconds a wall second at most; 0 is as fast as possible")
	c.Flags().BoolVar(&f.findCapacity, "find-capacity", false, "search the highest rate with 90 % of requests within the SLO, to 2 %; without --rate the run is at 80 % of it")
	addSeedsFlag(c, &f.seeds)
	c.Flags().BoolVar(&f.sloStrict, "slo-strict", false, "exit with 3 when less than 90 % of requests are within the SLO")
	c.Flags().BoolVar(&f.printScenario, "print-scenario", false, "print the resolved scenario and stop")
	return c
}

func (f *runFlags) run(c *cobra.Command, args []string) (err error) {
	write, err := report.Find(f.output)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if err := checkSeeds(f.seeds); err != nil {
		return err
	}
	s, err := f.scenario.scenario(c, args)
	if err != nil {
		return err
	}
	if err := f.checkFiles(s, args); err != nil {
		return err
	}
	w, end, err := watch(c, observing{Addr: f.metricsAddr, Speed: f.speed, Progress: terminal(c.ErrOrStderr())})
	if err != nil {
		return err
	}
	defer end()
	opt := f.scenario.options(c)
	search := newPhases(c, searching)
	s, p, err := plan.Complete(c.Context(), s, opt, plan.Options{Progress: search.say, FindCapacity: f.findCapacity})
	search.close()
	if err != nil {
		return err
	}
	if f.printScenario {
		return printScenario(c, s)
	}
	return f.carryOut(c, s, p, w, write)
}

// mostSeeds is how many seeds one command takes.
const mostSeeds = 1000

func addSeedsFlag(c *cobra.Command, into *int) {
	c.Flags().IntVar(into, "seeds", 1, "run with `N` seeds, --seed and those that follow it, and give mean and 95 % interval; rows, metrics and --speed are the first one's")
}

func checkSeeds(n int) error {
	if n < 1 || n > mostSeeds {
		return fmt.Errorf("--seeds: must be 1 to %d, got %d", mostSeeds, n)
	}
	return nil
}

// checkFiles looks at every file to write before there is any work.
func (f *runFlags) checkFiles(s *scenario.Scenario, args []string) error {
	if err := checkTrace(s); err != nil {
		return err
	}
	f.files.read(args...)
	f.files.read(f.scenario.recipe)
	f.files.readScenario(s)
	if f.requestsOut != "" {
		if _, _, err := rowFormatOf(f.requestsOut); err != nil {
			return err
		}
		if err := f.files.mayWrite("--requests-out", f.requestsOut); err != nil {
			return err
		}
	}
	if err := f.files.checkFolder("--out", f.dir, "result.json", "scenario.yaml"); err != nil {
		return err
	}
	return f.files.check("--requests-out", f.requestsOut) // it may lie in the folder
}

// carryOut runs a complete scenario and delivers what comes out. Rows that could not be
// written do not keep the result back.
func (f *runFlags) carryOut(c *cobra.Command, s *scenario.Scenario, p *plan.Plan, w *observer, write func(io.Writer, *result.Result) error) error {
	keep(c.Context())
	var rows *requestWriter
	if f.requestsOut != "" {
		var err error
		if rows, err = newRequestWriter(&f.files, f.requestsOut); err != nil {
			return err
		}
	}
	r, err := f.simulate(c, s, p, w, rows)
	w.end()
	if err != nil {
		if rows != nil {
			rows.fail(err)
		}
		return err
	}
	r.Warnings = append(p.Warnings, r.Warnings...)
	if f.findCapacity {
		r.Capacity = p.Capacity
	}
	if err := f.deliver(c, s, r, rows, write); err != nil {
		return err
	}
	return f.verdict(c, r)
}

// simulate runs a complete scenario, watched by the observer.
func (f *runFlags) simulate(c *cobra.Command, s *scenario.Scenario, p *plan.Plan, w *observer, rows *requestWriter) (*result.Result, error) {
	opt := p.Options
	if f.metricsAddr != "" || f.speed > 0 || terminal(c.ErrOrStderr()) != nil {
		opt.Observe, opt.ObserveEvents, opt.ObserveInterval = w.observe, observeEvents, w.interval()
	}
	if rows != nil {
		opt.OnRequest = rows.write
	}
	w.begin(s.Model, p.Tiers)
	started := time.Now()
	r, err := sim.Repeat(c.Context(), s, opt, f.seeds, 0)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c.ErrOrStderr(), "simulated %.4g s in %.2f s\n", r.SimulatedS, time.Since(started).Seconds())
	return r, nil
}

// observeEvents is how many events pass between two snapshots: some tens of
// milliseconds of wall time.
const observeEvents = 100_000

// deliver prints the result, completes the rows and fills the folder: each of them
// whatever became of the others.
func (f *runFlags) deliver(c *cobra.Command, s *scenario.Scenario, r *result.Result, rows *requestWriter, write func(io.Writer, *result.Result) error) error {
	faults := []error{failed(write(c.OutOrStdout(), r))}
	if rows != nil {
		faults = append(faults, rows.close())
	}
	if f.dir != "" {
		var result bytes.Buffer
		if err := report.JSON(&result, r); err != nil {
			return failed(err)
		}
		scenario, err := s.Marshal()
		if err != nil {
			return failed(err)
		}
		faults = append(faults, f.files.writeAll(f.dir, []file{{"result.json", result.Bytes()}, {"scenario.yaml", scenario}}))
	}
	return errors.Join(faults...)
}

// verdict is the exit code of a run that has been reported.
func (f *runFlags) verdict(c *cobra.Command, r *result.Result) error {
	switch {
	case r.Partial && c.Context().Err() != nil:
		return exit{exitInterrupted, fmt.Errorf("interrupted; the result is partial")}
	case r.Partial:
		return failed(fmt.Errorf("%s; the result is partial (limits.simulated and limits.events of the scenario say how far a run goes)", r.Reason))
	}
	if f.sloStrict && r.Goodput.Fraction < plan.WithinSLO {
		return exit{exitSLOMissed, fmt.Errorf("%.1f %% of requests are within the SLO, %s; --slo-strict wants %.0f %%",
			100*r.Goodput.Fraction, r.Goodput.SLO, 100*plan.WithinSLO)}
	}
	return nil
}

func printScenario(c *cobra.Command, s *scenario.Scenario) error {
	text, err := s.Marshal()
	if err != nil {
		return failed(err)
	}
	_, err = c.OutOrStdout().Write(text)
	return failed(err)
}
