package main

import (
	"testing"

	"github.com/spf13/cobra"
)

// Every command has an example in its help.
func TestEveryCommandHasAnExample(t *testing.T) {
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if seen++; c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.Flags().Lookup("format") != nil {
			t.Errorf("%s has --format; a format of what is printed is --output", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	root := newRootCommand()
	addCompletion(root)
	walk(root)
	if seen < 30 {
		t.Errorf("%d commands, want at least 30", seen)
	}
}
