package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/typeset"
)

func newRouterCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "router",
		Short: "List the policies by which requests find their ranks, and say what one does",
	}, newRouterList(), newRouterShow())
}

// routerShown is a policy as it is printed.
type routerShown struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Details     string `json:"details,omitempty"`
	Balances    bool   `json:"balances"` // spreads requests evenly, whatever they are
	// Weight is the policy's own, for one that has a weight.
	Weight *float64 `json:"weight,omitempty"`
}

func showRouter(p *policy.Policy) routerShown {
	r := routerShown{Name: p.Name, Description: p.Doc, Details: p.Long, Balances: p.Balances}
	if p.Weighs {
		r.Weight = &p.Weight
	}
	return r
}

func newRouterList() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "list", Short: "List the routers, the default first", Args: wants(),
		RunE: func(c *cobra.Command, _ []string) error {
			var rows []routerShown
			for _, p := range policy.All() {
				rows = append(rows, showRouter(p))
			}
			return writeShown(c.OutOrStdout(), output, rows, func(w io.Writer) { printRouters(w, rows) })
		},
	}
	addOutputFlag(c, &output, "text or json", "text", "json")
	return c
}

func printRouters(w io.Writer, rows []routerShown) {
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "ROUTER\tA REQUEST GOES TO")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\n", r.Name, r.Description)
	}
	t.Flush()
}

func newRouterShow() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:     "show NAME",
		Short:   "Say what a router does: its formula, its units, its weight",
		Example: "  clustersim router show prefix-aware\n  clustersim scenario.yaml --router prefix-aware --set router.weight=4",
		Args:    wants("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := policy.Find(args[0])
			if err != nil {
				return err
			}
			shown := showRouter(p)
			return writeShown(c.OutOrStdout(), output, shown, func(w io.Writer) { printRouter(w, &shown) })
		},
	}
	addOutputFlag(c, &output, "text or json", "text", "json")
	c.ValidArgsFunction = offer(policy.Names)
	return c
}

func printRouter(w io.Writer, r *routerShown) {
	fmt.Fprintf(w, "%s: a request goes to %s.\n", r.Name, r.Description)
	if r.Details != "" {
		fmt.Fprintf(w, "\n%s\n", r.Details)
	}
	if r.Weight != nil {
		fmt.Fprintf(w, "\nrouter.weight: %g when not given, from 0 to %g\n", *r.Weight, policy.MaxWeight)
	}
}
