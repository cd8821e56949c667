package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/report"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/spec"
)

// newReportCommand prints a stored result in any format.
func newReportCommand() *cobra.Command {
	names := make([]string, len(report.Formats))
	for i, f := range report.Formats {
		names[i] = f.Name
	}
	var output string
	c := &cobra.Command{
		Use:   "report RESULT.json",
		Short: "Print a stored result",
		Long: `Prints a result that a run wrote with --output json or --out; "-" reads standard input.
A folder that --out filled stands for the result in it.`,
		Example: "  clustersim --model v4 --topo supernode8912 --out results\n  clustersim report results --output csv",
		Args:    wants("RESULT.json"),
		RunE: func(c *cobra.Command, args []string) error {
			write, err := report.Find(output)
			if err != nil {
				return fmt.Errorf("--output: %w", err)
			}
			r, err := readResult(args[0], c.InOrStdin())
			if err != nil {
				return err
			}
			return failed(write(c.OutOrStdout(), r))
		},
	}
	addOutputFlag(c, &output, strings.Join(names, ", "), names...)
	return c
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
