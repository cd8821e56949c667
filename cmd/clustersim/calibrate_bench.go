package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/calibrate/bench"
	"github.com/clustersim/clustersim/sim/result"
)

const benchExamples = `  # write the script, run it where the accelerator is, fit the chip's constants to its rows
  clustersim calibrate bench --model v4 --out bench
  python3 bench/bench_deepseek-v4-pro.py --hardware my-chip
  clustersim calibrate --kernels bench_deepseek-v4-pro.csv --chip my-chip.yaml

  # a model of one's own, from its Hugging Face config.json
  clustersim calibrate bench --model mine/config.json --out bench`

// benchFlags are those of calibrate bench.
type benchFlags struct {
	model, out string
	files      outputs
	dirs       []string
}

func newCalibrateBench() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench --model NAME --out DIR",
		Short: "Write a script that times a model's operators on one's own accelerator",
		Long: `Writes DIR/bench_MODEL.py, one Python file that needs PyTorch alone. It times the
operators that the model's layouts need, per rank and each shape once: projections
under tensor parallelism 1 to 16, experts under expert parallelism 1 to 64, attention,
the pieces of sparse attention and small operators, in every precision that the device
and its PyTorch have. It takes minutes, may be stopped and started again at any time,
checks itself against the device's own peaks, and writes the table that
"clustersim calibrate --kernels" reads. NVIDIA, ROCm and Ascend devices.`,
		Example: benchExamples,
		Args:    wants(),
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout()) },
	}
	c.Flags().StringVar(&f.model, "model", "", "model `NAME`, alias, YAML file or Hugging Face config.json")
	c.Flags().StringVar(&f.out, "out", "", "folder `DIR` for the script")
	addForceFlag(c, &f.files)
	addModelDirs(c, &f.dirs)
	c.Flags().SortFlags = false
	offerFor(c, "model", func() []string { return models.Refs(f.dirs...) })
	return c
}

func (f *benchFlags) run(stdout io.Writer) error {
	switch {
	case f.model == "":
		return errors.New("--model: name the model whose operators to time, for example --model v4")
	case f.out == "":
		return errors.New("--out: name the folder for the script, for example --out bench")
	}
	m, err := models.Load(f.model, f.dirs...)
	if err != nil {
		return err
	}
	f.files.read(f.model)
	if err := f.files.checkFolder("--out", f.out, bench.FileName(m)); err != nil {
		return err
	}
	name := filepath.Join(f.out, bench.FileName(m))
	var script bytes.Buffer
	if err := bench.Write(&script, m, result.Program()); err != nil {
		return failed(err)
	}
	if err := f.files.write(name, script.Bytes(), 0o777); err != nil {
		return err
	}
	families := bench.Families(m)
	fmt.Fprintf(stdout, benchReadme, name, len(families), m.Name, bench.Measurements(families), name, m.Name)
	return nil
}

// benchReadme: script, families, model, measurements, script, model.
const benchReadme = `%s: %d operators of one rank of %s, %d measurements at most

Copy it to the machine with the accelerator, where PyTorch for it is installed:
  python3 %s --hardware NAME
NAME is the chip as "clustersim chip list" or your chip's own file calls it. --quick is a
coarse grid, --minutes N stops after N minutes with the most telling shapes done, --list
prints what would be timed. Stop it at any time; started again, it goes on.

Then fit the chip's constants to what it wrote:
  clustersim calibrate --kernels bench_%s.csv --chip NAME
`
