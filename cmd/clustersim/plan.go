package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/report"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/typeset"
)

const planExamples = `  # the layouts of the whole supernode, best first
  clustersim plan --model v4 --topo supernode8912

  # which layouts keep 20 ms a token, and what rules the others out
  clustersim plan --model llama-3.1-8b --topo hgx-h100:8 --slo ttft=500ms,tpot=20ms --all

  # pool sizes for a layout of one's own
  clustersim plan --model v3 --topo cloudmatrix384 --mode disaggregated --set deployment.decode.ep=320`

func newPlanCommand() *cobra.Command {
	var output, metricsAddr string
	var all bool
	c := &cobra.Command{
		Use:   "plan [scenario.yaml]",
		Short: "Search the layout and pool sizes with the highest capacity within the SLO",
		Long: `Prices layouts (TP, DP, EP, PP, aggregated and disaggregated pools, prompt tokens a
step) for the workload with the cost model, and lists them by the requests a second that
they sustain within the SLO. The best few are measured: probe runs find, to a tenth, the
highest rate at which 90 % of requests are within the SLO. They come first, in the order
of what was found; the others follow by estimate. What the scenario fixes of a layout
stays fixed. Its lengths, prefixes and SLO count; its rate, number of
requests and of clients do not, since capacity is what is looked for.`,
		Example: planExamples,
		Args:    wantsScenario,
	}
	in := addScenarioFlags(c)
	addOutputFlag(c, &output, "text, json or csv", planFormats...)
	addMetricsFlag(c, &metricsAddr)
	c.Flags().BoolVar(&all, "all", false, "list every layout, also those that cannot run")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !slices.Contains(planFormats, output) {
			return fmt.Errorf("--output: %w", spec.UnknownName("format", output, planFormats))
		}
		s, err := in.scenario(c, args)
		if err != nil {
			return err
		}
		_, end, err := watch(c, observing{Addr: metricsAddr})
		if err != nil {
			return err
		}
		defer end()
		search := newPhases(c, searching)
		s, p, err := plan.Complete(c.Context(), s, in.options(c), plan.Options{LayoutOnly: true, Probe: true, Progress: search.say})
		search.close()
		if err != nil {
			return err
		}
		shown := planShown{p, s, s.Deployment.Why}
		return shown.write(c.OutOrStdout(), output, all)
	}
	return c
}

// planFormats are those of a plan, the default first.
var planFormats = []string{"text", "json", "csv"}

// planShown is the JSON of plan, a stable surface.
type planShown struct {
	*plan.Plan
	Scenario *scenario.Scenario `json:"scenario"` // with the best layout
	Why      string             `json:"why"`
}

// readPlan reads what plan wrote as JSON; name is what errors call it.
func readPlan(name string, data []byte) (*planShown, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	p := &planShown{Plan: &plan.Plan{}}
	if err := dec.Decode(p); err != nil {
		return nil, positioned(name, data, err)
	}
	if p.Scenario == nil {
		return nil, fmt.Errorf("%s: has no scenario: it is no whole plan, or an earlier version's", name)
	}
	p.Scenario.Deployment.Why = p.Why
	return p, nil
}

func (p *planShown) write(w io.Writer, output string, all bool) error {
	switch output {
	case "json":
		return failed(writeJSON(w, p))
	case "csv":
		return failed(p.csv(w))
	}
	page := typeset.NewPage(w)
	return errors.Join(writePlan(page, p.Scenario, p.Plan, all), failed(page.Flush()))
}

// csv writes one row a layout, those that cannot run too.
func (p *planShown) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"layout", "fits", "meets_slo", "capacity_requests_per_s", "output_tokens_per_s_per_chip", "ttft_ms", "tpot_ms", "bound", "why_not"}}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for i := range p.Candidates {
		c := &p.Candidates[i]
		rows = append(rows, []string{c.Text, strconv.FormatBool(c.Fits), strconv.FormatBool(c.MeetsSLO), number(c.CapacityRequestsPerS),
			number(c.OutputTokensPerSPerChip), number(c.TTFTMs), number(c.TPOTMs), c.Bound, c.WhyNot})
	}
	return out.WriteAll(rows)
}

// searching is what a search for a layout is called until it says what it is at.
const searching = "searching layouts"

// shownLayouts is how many layouts the table has when not all are asked for.
const shownLayouts = 12

func writePlan(w io.Writer, s *scenario.Scenario, p *plan.Plan, all bool) error {
	asked := s.Clone()
	if err := plant.Resolve(asked, p.Options.Source); err != nil {
		return err
	}
	offered, err := sim.Offered(asked)
	if err != nil {
		return err
	}
	if err := report.Asked(w, asked, &offered); err != nil {
		return failed(err)
	}
	if why := s.Deployment.Why; why != "" {
		fmt.Fprintf(w, "\n%s\n", why)
	}
	fmt.Fprintln(w)
	return failed(writeCandidates(w, p, all))
}

func writeCandidates(w io.Writer, p *plan.Plan, all bool) error {
	for _, text := range p.Warnings {
		fmt.Fprintf(w, "warning: %s\n", text)
	}
	if len(p.Candidates) > 0 {
		writeCaches(w, p.Candidates[0].KV.Pools)
	}
	if len(p.Warnings) > 0 && len(p.Candidates) == 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "At the highest load within the SLO: BY probes is measured by simulation, BY estimate is the cost model's. Latencies are estimates.")
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "REQUESTS/S\tBY\tTOKENS/S/CHIP\tTTFT ms\tTPOT ms\tLAYOUT\tBOUND")
	shown, hidden := 0, 0
	for i := range p.Candidates {
		c := &p.Candidates[i]
		if !c.Fits {
			continue
		}
		if !all && shown >= shownLayouts {
			hidden++
			continue
		}
		shown++
		bound := c.Bound
		if !c.MeetsSLO {
			bound = c.WhyNot
		}
		by := "estimate"
		if c.Probed {
			by = "probes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.0f\t%.1f\t%s\t%s\n", plan.Figure(c.CapacityRequestsPerS), by, plan.Figure(c.OutputTokensPerSPerChip), c.TTFTMs, c.TPOTMs, c.Text, bound)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if hidden > 0 {
		fmt.Fprintf(w, "… and %d more (--all)\n", hidden)
	}
	return writeRuledOut(w, p, all)
}

// writeCaches says what the caches of a deployment hold, in a line a pool.
func writeCaches(w io.Writer, pools map[string]*result.KVPool) {
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		fmt.Fprintf(w, "KV cache of %s: %s\n", name, pools[name].Text())
	}
	if len(pools) > 0 {
		fmt.Fprintln(w)
	}
}

// writeRuledOut lists what cannot run: all of it, or how much.
func writeRuledOut(w io.Writer, p *plan.Plan, all bool) error {
	var out []*plan.Candidate
	for i := range p.Candidates {
		if c := &p.Candidates[i]; !c.Fits {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil
	}
	if !all {
		_, err := fmt.Fprintf(w, "\n%d layouts cannot run (--all says why)\n", len(out))
		return err
	}
	fmt.Fprintf(w, "\ncannot run:\n")
	for _, c := range out {
		if _, err := fmt.Fprintf(w, "  %s: %s\n", c.Text, strings.ReplaceAll(c.WhyNot, "\n", "\n    ")); err != nil {
			return err
		}
	}
	return nil
}
