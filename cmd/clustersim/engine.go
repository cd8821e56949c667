package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/typeset"
)

func newEngineCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "engine",
		Short: "List serving engine profiles and print one's fitted numbers and choices",
	}, newEngineList(), newEngineShow())
}

func newEngineList() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "list", Short: "List the engine profiles", Args: wants(),
		RunE: func(c *cobra.Command, _ []string) error {
			var rows []engineRow
			for _, name := range cost.EngineNames() {
				e, err := cost.LoadEngine(name)
				if err != nil {
					return err
				}
				row := engineRow{Name: name, Aliases: []string{}, Version: e.Version, Description: e.Description, Source: e.Source}
				for alias, of := range cost.EngineAliases() {
					if of == name {
						row.Aliases = append(row.Aliases, alias)
					}
				}
				rows = append(rows, row)
			}
			return writeShown(c.OutOrStdout(), output, rows, func(w io.Writer) { printEngines(w, rows) })
		},
	}
	addOutputFlag(c, &output, "text or json", "text", "json")
	return c
}

// engineRow is one line of engine list.
type engineRow struct {
	Name        string   `json:"name"`
	Aliases     []string `json:"aliases"` // the newest version goes by the engine's name alone
	Version     string   `json:"version,omitempty"`
	Description string   `json:"description"`
	Source      string   `json:"source"`
}

func printEngines(w io.Writer, rows []engineRow) {
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "ENGINE\tALIASES\tWHAT IT IS")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Name, strings.Join(r.Aliases, ", "), r.Description)
	}
	t.Flush()
}

func newEngineShow() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Print an engine profile, ready to be edited",
		Long: `show prints every value of a profile: NAME is a shipped one or a YAML file. The text
is a profile itself. A file of one's own needs only what differs:

  name: vllm-eager
  base: vllm
  decode_launch: eager

and goes wherever an engine is named: --engine vllm-eager.yaml.`,
		Example: "  clustersim engine show sglang\n  clustersim engine show vllm-eager.yaml --output json",
		Args:    wants("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			e, err := cost.LoadEngine(args[0])
			if err != nil {
				return err
			}
			e.Base = "" // its values are all there
			return writeYAML(c.OutOrStdout(), output, e)
		},
	}
	addOutputFlag(c, &output, "text or json", "text", "json")
	c.ValidArgsFunction = offer(engineRefs)
	return c
}

// engineRefs are the names that an engine goes by, versions and aliases.
func engineRefs() []string {
	return append(slices.Sorted(maps.Keys(cost.EngineAliases())), cost.EngineNames()...)
}
