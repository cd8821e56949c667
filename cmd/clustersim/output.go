package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/spec"
)

// sink is standard output. It remembers the first write that failed: a result that
// did not arrive is a failure, whatever the command that wrote it made of that.
type sink struct {
	to  io.Writer
	err error
}

func (s *sink) Write(p []byte) (n int, err error) {
	if s.err == nil {
		n, s.err = s.to.Write(p)
	}
	return n, s.err
}

// addOutputFlag declares --output with its formats, the default first.
func addOutputFlag(c *cobra.Command, into *string, usage string, formats ...string) {
	c.Flags().StringVar(into, "output", formats[0], "`FORMAT` of what is printed: "+usage)
	offerFor(c, "output", list(formats...))
}

// checkNew refuses a file to write that is there already or whose folder is not:
// better before minutes of work than after. No name is no file.
func checkNew(flag, name string) error {
	if name == "" {
		return nil
	}
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("--%s: %s exists", flag, name)
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	return nil
}

// textOrJSON refuses any other format.
func textOrJSON(output string) error {
	if output != "text" && output != "json" {
		return fmt.Errorf("--output: %w", spec.UnknownName("format", output, []string{"text", "json"}))
	}
	return nil
}

// writeShown renders data as text or JSON.
func writeShown(w io.Writer, output string, data any, text func(io.Writer)) error {
	if err := textOrJSON(output); err != nil {
		return err
	}
	if output == "json" {
		return failed(writeJSON(w, data))
	}
	text(w)
	return nil
}

// writeJSON writes a value as people read it.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// file is one file of a folder that a command fills.
type file struct {
	name string
	data []byte
}

// makeFolder makes the folder that --out names, if it names one, before anything is
// computed for it.
func makeFolder(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return failed(fmt.Errorf("--out %s: want a folder that can be written: %w", dir, err))
	}
	return nil
}

// writeFiles writes a folder's files.
func writeFiles(dir string, files []file) error {
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.data, 0o666); err != nil {
			return failed(err)
		}
	}
	return nil
}
