package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/report"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/sweep"
	"github.com/clustersim/clustersim/sim/validate"
)

// newReportCommand prints what a command has stored, in any format.
func newReportCommand() *cobra.Command {
	names := make([]string, len(report.Formats))
	for i, f := range report.Formats {
		names[i] = f.Name
	}
	var output string
	c := &cobra.Command{
		Use:   "report FILE.json|DIR",
		Short: "Print what was stored: a result, a sweep, a plan or a validation",
		Long: `Prints what run, sweep, plan or validate wrote with --output json, or run and sweep with
--out, as text, JSON or CSV: what is printed is what the command itself prints, but that
a sweep's columns of settings are sorted. "-" reads standard input. A folder that --out
filled stands for what is in it; of a sweep that was cut off it has the points that ended.`,
		Example: `  clustersim --model v4 --topo supernode8912 --out results
  clustersim report results --output csv

  # a validation that has been stored, as tables
  clustersim validate ascend --output json > ascend.json
  clustersim report ascend.json`,
		Args: wants("FILE.json|DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(names, output) {
				return fmt.Errorf("--output: %w", spec.UnknownName("report format", output, names))
			}
			name, data, err := readStored(args[0], c.InOrStdin())
			if err != nil {
				return err
			}
			write, err := storedAs(name, data, output)
			if err != nil {
				return err
			}
			return failed(write(c.OutOrStdout()))
		},
	}
	addOutputFlag(c, &output, strings.Join(names, ", "), names...)
	return c
}

// storedAs reads a document by the keys that only its kind has, and gives what writes it
// in a format that reports have.
func storedAs(name string, data []byte, output string) (func(io.Writer) error, error) {
	var kind struct{ Points, Candidates, Summary json.RawMessage }
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, positioned(name, data, err)
	}
	switch {
	case kind.Points != nil:
		s, err := sweep.Read(name, data)
		if err != nil {
			return nil, err
		}
		write, err := sweep.Find(output)
		return func(w io.Writer) error { return write(w, s) }, err
	case kind.Candidates != nil:
		p, err := readPlan(name, data)
		if err != nil {
			return nil, err
		}
		return func(w io.Writer) error { return p.write(w, output, false) }, nil
	case kind.Summary != nil:
		r, err := validate.ReadReport(name, data)
		if err != nil {
			return nil, err
		}
		write, err := validate.Find(output)
		return func(w io.Writer) error { return write(w, r) }, err
	}
	r, err := parseResult(name, data)
	if err != nil {
		return nil, err
	}
	write, err := report.Find(output)
	return func(w io.Writer) error { return write(w, r) }, err
}

// readStored reads a file, standard input for "-", or what a folder that --out filled
// stands for.
func readStored(name string, stdin io.Reader) (string, []byte, error) {
	if name == "-" {
		data, err := spec.Data.ReadAll("standard input", stdin)
		return "standard input", data, err
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		data, err := spec.Data.Read(os.Open(name))
		return name, data, err
	}
	for _, inside := range []string{"result.json", "sweep.json"} {
		inside = filepath.Join(name, inside)
		if _, err := os.Stat(inside); err == nil {
			data, err := spec.Data.Read(os.Open(inside))
			return inside, data, err
		}
	}
	if points := filepath.Join(name, pointsFile); exists(points) {
		data, err := spec.Data.Read(os.Open(points))
		if err != nil {
			return "", nil, err
		}
		data, err = sweep.Partial(data)
		return points, data, err
	}
	return "", nil, fmt.Errorf("%s: is a folder without result.json, sweep.json or points.jsonl; --out of run and sweep fills one", name)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// readResult reads a result from a file or, for "-", from standard input.
func readResult(name string, stdin io.Reader) (*result.Result, error) {
	var data []byte
	var err error
	if name == "-" {
		name = "standard input"
		data, err = spec.Data.ReadAll(name, stdin)
	} else {
		if name, err = inFolder(name); err != nil {
			return nil, err
		}
		data, err = spec.Data.Read(os.Open(name))
	}
	if err != nil {
		return nil, err
	}
	return parseResult(name, data)
}

// inFolder is the result in a folder that --out filled, or the file itself.
func inFolder(name string) (string, error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return name, nil // reading it says what is wrong
	}
	inside := filepath.Join(name, "result.json")
	if _, err := os.Stat(inside); err == nil {
		return inside, nil
	}
	if _, err := os.Stat(filepath.Join(name, "sweep.json")); err == nil {
		return "", fmt.Errorf("%s: holds a sweep, not one result", name)
	}
	return "", fmt.Errorf("%s: is a folder without result.json; run --out fills one", name)
}

// parseResult refuses what is not a whole result of this version.
func parseResult(name string, data []byte) (*result.Result, error) {
	var kind struct {
		Version *int              `json:"version"`
		Points  []json.RawMessage `json:"points"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, positioned(name, data, err)
	}
	switch {
	case kind.Points != nil:
		return nil, fmt.Errorf("%s: holds %d points of a sweep, not one result", name, len(kind.Points))
	case kind.Version == nil:
		return nil, fmt.Errorf("%s: is no result: it has no version", name)
	case *kind.Version != result.Version:
		return nil, fmt.Errorf("%s: version: want %d, got %d", name, result.Version, *kind.Version)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	r := &result.Result{}
	if err := dec.Decode(r); err != nil {
		return nil, positioned(name, data, err)
	}
	if err := checkStored(name, data); err != nil {
		return nil, err
	}
	return r, conserved(name, &r.Requests)
}

// positioned adds file, line and column to an error of encoding/json.
func positioned(name string, data []byte, err error) error {
	offset := int64(len(data))
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	case !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s: %w", place(name, data, offset), err)
}
