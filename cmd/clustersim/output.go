package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/typeset"
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

// Columns is how many characters a line of text may have: as many as the terminal, or as
// what goes to a file or a pipe has everywhere.
func (s *sink) Columns() int {
	if p, is := s.to.(*printable); is && terminal(p.to) != nil {
		return columns(p.to)
	}
	return typeset.Default
}

// addOutputFlag declares --output with its formats, the default first.
func addOutputFlag(c *cobra.Command, into *string, usage string, formats ...string) {
	c.Flags().StringVar(into, "output", formats[0], "`FORMAT` of what is printed: "+usage)
	offerFor(c, "output", list(formats...))
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
	page := typeset.NewPage(w)
	text(page)
	return failed(page.Flush())
}

// writeYAML writes a value as YAML that can be edited, or as JSON with the same names.
func writeYAML(w io.Writer, output string, v any) error {
	text, err := yaml.Dump(v)
	if err != nil {
		return failed(err)
	}
	var shown map[string]any
	if err := yaml.Load(text, &shown); err != nil {
		return failed(err)
	}
	if err := textOrJSON(output); err != nil {
		return err
	}
	if output == "json" {
		return failed(writeJSON(w, shown))
	}
	_, err = w.Write(text)
	return failed(err)
}

// writeJSON writes a value as people read it.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
