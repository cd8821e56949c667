package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/validate"
)

const validateExamples = `  # the published deployments that ship
  clustersim validate

  # every figure of a file, in tables with the worst rows and their causes
  clustersim validate inferencex_dsr1.csv

  # cases of one's own beside it, for a program
  clustersim validate cases.yaml inferencex_dsr1.csv --output json

  # the first 20 aggregated rows on H200, as another engine would serve them
  clustersim validate inferencex_dsr1.csv --filter hardware=h200 --filter disagg=False --limit 20 --engine ideal

  # what a user would write, without launch scripts: how far the profiles themselves are
  clustersim validate inferencex_dsr1.csv --as-user --by engine

  # one table, of every pair of chip and engine, for a page
  clustersim validate --by hardware,engine --output markdown`

// validateFlags are those of a comparison with measurements.
type validateFlags struct {
	output, engine, by      string
	recipe                  string
	metricsAddr             string
	list, asUser            bool
	filters                 []string
	limit, workers          int
	modelDirs, topologyDirs []string
}

func newValidateCommand() *cobra.Command {
	f := &validateFlags{}
	c := &cobra.Command{
		Use:   "validate [FILE.csv|CASES.yaml|DIR|LIST…]",
		Short: "Compare predictions with published measurements",
		Long: `Runs every deployment of the files as its row states it and compares what is
predicted with what was measured. Files are InferenceX's rows of DeepSeek-R1,
aiconfigurator's silicon points, or case lists in YAML (version: 1, cases: …); the
kind shows in the header. A folder is a run of vLLM that logged every request
(meta.json, config.json, requests.jsonl): it is replayed request by request, and
whole distributions are compared. Without a file the case lists that ship are run, or those
that are named (--list). Rows that do not state enough are listed with the
reason, and so is what a case assumes beyond its row. Errors of predictions do not
change the exit code.

Regimes are those of the prediction: light is at most 8 requests under way an
instance, overload more than a tenth of requests' time spent waiting, knee what
lies between.`,
		Example: validateExamples,
		RunE:    f.run,
	}
	addOutputFlag(c, &f.output, "text, json, csv or markdown", "text", "json", "csv", "markdown")
	c.Flags().BoolVar(&f.list, "list", false, "name the case lists that ship, and run nothing")
	c.Flags().StringVar(&f.by, "by", "", "one table, grouped by these in place of each in turn: "+strings.Join(validate.Keys(), ", "))
	c.Flags().StringArrayVar(&f.filters, "filter", nil, "COLUMN=VALUE: only rows of the file whose column has the value (repeatable)")
	c.Flags().IntVar(&f.limit, "limit", 0, "first N rows that can be predicted, of all files together; 0 is all")
	c.Flags().StringVar(&f.recipe, "recipe", "", "launch script to start every row with, in place of its own: `NAME` of a recipe (recipe list), or its YAML file")
	c.Flags().BoolVar(&f.asUser, "as-user", false, "predict from what a user would write, without launch scripts: engines run on their profiles' own values")
	c.Flags().StringVar(&f.engine, "engine", "", "engine profile to predict every row with, in place of its own")
	c.Flags().IntVar(&f.workers, "workers", 0, "rows at a time; 0 is one a core")
	addMetricsFlag(c, &f.metricsAddr)
	addModelDirs(c, &f.modelDirs)
	addTopologyDirs(c, &f.topologyDirs)
	offerBy(c, "by", offerParts(validate.Keys))
	offerFor(c, "engine", engineRefs)
	offerFor(c, "recipe", recipe.ShippedNames)
	c.Flags().SortFlags = false
	return c
}

func (f *validateFlags) run(c *cobra.Command, args []string) error {
	write, err := validate.Find(f.output)
	switch {
	case err != nil:
		return fmt.Errorf("--output: %w", err)
	case f.limit < 0:
		return fmt.Errorf("--limit: must not be negative, got %d", f.limit)
	case f.workers < 0:
		return fmt.Errorf("--workers: must not be negative, got %d", f.workers)
	case f.asUser && f.recipe != "":
		return fmt.Errorf("--as-user leaves launch scripts out, and --recipe %s is one; give one of the two", f.recipe)
	case f.list && len(args) > 0:
		return fmt.Errorf("--list names what ships and takes no file, got %s", said(args))
	case f.list:
		return listCases(c.OutOrStdout())
	}
	by, err := validate.ParseKeys(f.by)
	if err != nil {
		return fmt.Errorf("--by: %w", err)
	}
	if len(args) == 0 {
		args = validate.ShippedNames()
	}
	w, end, err := watch(c, observing{Addr: f.metricsAddr})
	if err != nil {
		return err
	}
	defer end()
	sets, err := f.read(args)
	if err != nil {
		return err
	}
	bar := newRunBar(c, "runs", w)
	keep(c.Context())
	report, err := validate.Run(c.Context(), sets, validate.Options{
		Run: sim.Options{Source: plant.Source{ModelDirs: f.modelDirs, TopologyDirs: f.topologyDirs}}, Workers: f.workers, By: by, Done: bar.show,
	})
	bar.close()
	if report == nil {
		return err
	}
	// Cases that broke an invariant are told of below, beside what came of the others.
	if printed := write(c.OutOrStdout(), report); printed != nil {
		return failed(printed)
	}
	if err != nil {
		return err
	}
	if report.Partial {
		return exit{exitInterrupted, fmt.Errorf("interrupted; the rows that had finished are reported")}
	}
	return nil
}

// listCases names the shipped case lists.
func listCases(w io.Writer) error {
	for _, name := range validate.ShippedNames() {
		file, data, err := validate.Shipped(name)
		if err != nil {
			return err
		}
		set, err := validate.Read(file, data, validate.ReadOptions{})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%-20s %3d cases, %2d rows skipped\n", name, len(set.Cases), len(set.Skipped)); err != nil {
			return failed(err)
		}
	}
	return nil
}

// read reads all files; every one's faults are reported.
func (f *validateFlags) read(files []string) ([]*validate.Set, error) {
	if f.recipe != "" {
		if _, err := recipe.Load(f.recipe); err != nil {
			return nil, fmt.Errorf("--recipe: %w", err)
		}
	}
	o := validate.ReadOptions{Engine: f.engine, AsUser: f.asUser, Recipe: f.recipe, ModelDirs: f.modelDirs, TopologyDirs: f.topologyDirs}
	for _, text := range f.filters {
		filter, err := validate.ParseFilter(text)
		if err != nil {
			return nil, fmt.Errorf("--filter %w", err)
		}
		o.Filters = append(o.Filters, filter)
	}
	var sets []*validate.Set
	left, rows := f.limit, 0
	for _, name := range files {
		set, err := readMeasurements(name, o)
		if err != nil {
			return nil, err
		}
		rows += len(set.Cases) + len(set.Skipped)
		if f.limit > 0 {
			set.Cases = set.Cases[:min(left, len(set.Cases))]
			left -= len(set.Cases)
		}
		sets = append(sets, set)
	}
	switch {
	case rows == 0 && len(f.filters) > 0:
		return nil, fmt.Errorf("--filter %s: no row has that", strings.Join(f.filters, " --filter "))
	case rows == 0:
		return nil, fmt.Errorf("%s: no row to predict", said(files))
	}
	return sets, nil
}

// readMeasurements reads a file, or the shipped case list of that name.
func readMeasurements(name string, o validate.ReadOptions) (*validate.Set, error) {
	if slices.Contains(validate.ShippedNames(), name) {
		if _, err := os.Stat(name); err != nil {
			file, data, err := validate.Shipped(name)
			if err != nil {
				return nil, err
			}
			return validate.Read(file, data, o)
		}
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: no such file, and %w", name, spec.UnknownName("case list", name, validate.ShippedNames()))
	case err != nil:
		return nil, err
	case info.IsDir():
		return validate.ReadReplay(filepath.Clean(name), os.DirFS(name), o)
	case filepath.Base(name) == "requests.jsonl":
		return validate.ReadReplay(filepath.Dir(name), os.DirFS(filepath.Dir(name)), o)
	}
	data, err := spec.Data.Read(os.Open(name))
	if err != nil {
		return nil, err
	}
	return validate.Read(name, data, o)
}
