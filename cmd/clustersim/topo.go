package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/typeset"
	"github.com/clustersim/clustersim/topologies"
)

func newTopoCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "topo",
		Short: "List systems and print one's tiers, path delays and bisection",
	}, newTopoList(), newTopoShow())
}

// topoFlags are those of topo and chip.
type topoFlags struct {
	output string
	chip   string
	tau    string
	dirs   []string
}

func (f *topoFlags) bind(c *cobra.Command) {
	addOutputFlag(c, &f.output, "text or json", "text", "json")
	addTopologyDirs(c, &f.dirs)
}

func newTopoList() *cobra.Command {
	var f topoFlags
	c := &cobra.Command{
		Use: "list", Short: "List the systems", Args: wants(),
		RunE: func(c *cobra.Command, _ []string) error {
			rows, err := topoRows(f.dirs)
			if err != nil {
				return err
			}
			return writeShown(c.OutOrStdout(), f.output, rows, func(w io.Writer) { printTopos(w, rows) })
		},
	}
	f.bind(c)
	return c
}

// topoRow is one line of topo list.
type topoRow struct {
	Name        string   `json:"name"`
	Aliases     []string `json:"aliases"`
	Chips       int      `json:"chips"`
	Chip        string   `json:"chip"`
	Confidence  string   `json:"confidence"`
	Description string   `json:"description"`
}

func topoRows(dirs []string) ([]topoRow, error) {
	var rows []topoRow
	for _, name := range topologies.Names(dirs...) {
		t, err := topologies.Load(name, dirs...)
		if err != nil {
			return nil, err
		}
		rows = append(rows, topoRow{name, append([]string{}, t.Aliases...), t.Chips, t.Chip.Name, t.Confidence, t.Description})
	}
	return rows, nil
}

func printTopos(w io.Writer, rows []topoRow) {
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "TOPOLOGY\tALIASES\tCHIPS\tCHIP\tCONFIDENCE\tWHAT IT IS")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", r.Name, strings.Join(r.Aliases, ", "), r.Chips, r.Chip, r.Confidence, r.Description)
	}
	t.Flush()
}

func newTopoShow() *cobra.Command {
	var f topoFlags
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Print a system's tiers, delay budget, path delays, bisection and assumptions",
		Long: `show prints what NAME is made of. NAME is a name, an alias, a YAML file, or any of
them with :N behind it for a system of N chips. Bandwidths are a chip's, one way;
delays are one way, of a small message.`,
		Example: "  clustersim topo show supernode8912\n  clustersim topo show hgx-h100:64 --tau optics=10ns\n  clustersim topo show nvl72 --output json",
		Args:    wants("NAME"),
		RunE:    func(c *cobra.Command, args []string) error { return showTopo(c.OutOrStdout(), args[0], f) },
	}
	f.bind(c)
	c.ValidArgsFunction = offerTopologies(&f.dirs)
	c.Flags().StringVar(&f.chip, "chip", "", "another chip to build the system of")
	c.Flags().StringVar(&f.tau, "tau", "", "changed delays: PART=VALUE, TIER.PART=VALUE, a preset (pluggable, lpo, npo, cpo, tcp, rdma, aspire100ns) or TIER=PRESET, separated by commas")
	offerFor(c, "chip", func() []string { return topologies.ChipRefs(f.dirs...) })
	offerBy(c, "tau", offerParts(tauPresets))
	return c
}

func showTopo(w io.Writer, name string, f topoFlags) error {
	t, err := topologies.Load(name, f.dirs...)
	if err != nil {
		return err
	}
	if f.chip != "" {
		chip, err := topologies.LoadChip(f.chip, f.dirs...)
		if err != nil {
			return fmt.Errorf("--chip: %w", err)
		}
		t = t.WithChip(chip)
	}
	overrides, err := topologies.ParseTau(f.tau)
	if err == nil {
		t, err = t.WithTau(overrides)
	}
	if err != nil {
		return fmt.Errorf("--tau: %w", err)
	}
	shown := newTopoShown(t)
	return writeShown(w, f.output, shown, func(w io.Writer) { shown.print(w, t) })
}

// topoShown is the JSON of topo show, a stable surface.
type topoShown struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Source      string         `json:"source"`
	Confidence  string         `json:"confidence"`
	Chips       int            `json:"chips"`
	Chip        string         `json:"chip"`
	Tiers       []tierShown    `json:"tiers"`
	PathNs      delayShown     `json:"path_ns"`
	Bisection   spec.Bandwidth `json:"bisection"`
	BisectionB  float64        `json:"bisection_bytes_per_s"`
	Libraries   []string       `json:"libraries"`
	Assumptions []string       `json:"assumptions"`
}

type tierShown struct {
	Name             string              `json:"name"`
	Size             int                 `json:"size"`
	Shape            topologies.Shape    `json:"shape"`
	Dims             []int               `json:"dims,omitempty"`
	Bandwidth        spec.Bandwidth      `json:"bandwidth"`
	Oversubscription float64             `json:"oversubscription"`
	Fabric           string              `json:"fabric"`
	Medium           string              `json:"medium"`
	TauNs            topologies.TauParts `json:"tau_ns"`
	PathNs           delayShown          `json:"path_ns"`
	BytesPerS        float64             `json:"bandwidth_bytes_per_s"` // of a chip, one way
}

type delayShown struct {
	Worst     int64   `json:"worst"`
	Mean      int64   `json:"mean"`
	WorstHops float64 `json:"worst_hops"`
	MeanHops  float64 `json:"mean_hops"`
}

func newDelayShown(d topologies.Delays) delayShown {
	return delayShown{int64(d.Worst), int64(d.Mean), d.WorstHops, d.MeanHops}
}

func newTopoShown(t *topologies.Topology) topoShown {
	s := topoShown{
		Name: t.Name, Description: t.Description, Source: t.Source, Confidence: t.Confidence, Chips: t.Chips, Chip: t.Chip.Name,
		PathNs: newDelayShown(t.Delays()), Bisection: t.Bisection(), BisectionB: float64(t.Bisection()), Assumptions: append([]string{}, t.Assumptions...),
	}
	for i := range t.Tiers {
		x := &t.Tiers[i]
		s.Tiers = append(s.Tiers, tierShown{x.Name, x.Size, x.Shape, x.Dims, x.Bandwidth, x.Oversubscription, x.Fabric, x.Medium,
			x.Tau.Parts(), newDelayShown(t.TierDelays(i)), float64(x.Bandwidth)})
	}
	if ls, err := t.DefaultLibraries(); err == nil {
		for _, l := range ls.All() {
			s.Libraries = append(s.Libraries, l.Name)
		}
		s.Assumptions = append(s.Assumptions, ls.Assumptions()...)
	}
	return s
}

func (s topoShown) print(w io.Writer, t *topologies.Topology) {
	fmt.Fprintf(w, "%s: %s\n%d chips of %s (%s, %s BF16), confidence %s\nsource: %s\n\n",
		s.Name, s.Description, s.Chips, s.Chip, memoryText(t.Chip), t.Chip.Peak[topologies.BF16], s.Confidence, s.Source)
	tw := typeset.NewTable(w)
	fmt.Fprintln(tw, "TIER\tCHIPS\tSHAPE\tBANDWIDTH A CHIP\tWORST PATH\tMEAN PATH\tHOPS (WORST, MEAN)\tFABRIC")
	for _, x := range s.Tiers {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\t%.3g, %.3g\t%s, %s\n", x.Name, x.Size, shapeText(x), bandwidthText(x),
			spec.Duration(x.PathNs.Worst), spec.Duration(x.PathNs.Mean), x.PathNs.WorstHops, x.PathNs.MeanHops, x.Fabric, x.Medium)
	}
	fmt.Fprintf(tw, "all\t%d\t\t\t%s\t%s\t%.3g, %.3g\t\n", s.Chips, spec.Duration(s.PathNs.Worst), spec.Duration(s.PathNs.Mean), s.PathNs.WorstHops, s.PathNs.MeanHops)
	tw.Flush()
	fmt.Fprintf(w, "\nbisection %s one way; libraries: %s\n\n", s.Bisection, strings.Join(s.Libraries, ", "))
	tw = typeset.NewRightTable(w)
	fmt.Fprintln(tw, "τ of one traversal, ns\tendpoint\tsoftware\tswitch\tserdes\tfec\toptics\tpropagation\t")
	for _, x := range s.Tiers {
		p := x.TauNs
		fmt.Fprintf(tw, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t\n", x.Name, p.Endpoint, p.Software, p.Switch, p.SerDes, p.FEC, p.Optics, p.Propagation)
	}
	tw.Flush()
	printAssumptions(w, s.Assumptions)
}

func printAssumptions(w io.Writer, list []string) {
	if len(list) > 0 {
		fmt.Fprintf(w, "\nassumed:\n  %s\n", strings.Join(list, "\n  "))
	}
}

func memoryText(c *topologies.Chip) string {
	return fmt.Sprintf("%.4g GiB at %s", float64(c.Memory.Capacity)/(1<<30), c.Memory.Bandwidth)
}

func shapeText(x tierShown) string {
	dims := make([]string, len(x.Dims))
	for i, d := range x.Dims {
		dims[i] = fmt.Sprint(d)
	}
	return strings.TrimSpace(string(x.Shape) + " " + strings.Join(dims, "×"))
}

func bandwidthText(x tierShown) string {
	text, _ := x.Bandwidth.MarshalText()
	if x.Oversubscription > 1 {
		return fmt.Sprintf("%s / %.3g", text, x.Oversubscription)
	}
	return string(text)
}
