package main

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/typeset"
	"github.com/clustersim/clustersim/topologies"
)

func newChipCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "chip",
		Short: "List chips and print one's peaks, memory and operator constants",
	}, newChipList(), newChipShow())
}

func newChipList() *cobra.Command {
	var f topoFlags
	c := &cobra.Command{
		Use: "list", Short: "List the chips", Args: wants(),
		RunE: func(c *cobra.Command, _ []string) error {
			var rows []chipShown
			for _, name := range topologies.ChipNames(f.dirs...) {
				chip, err := topologies.LoadChip(name, f.dirs...)
				if err != nil {
					return err
				}
				rows = append(rows, newChipShown(chip))
			}
			return writeShown(c.OutOrStdout(), f.output, rows, func(w io.Writer) { printChips(w, rows) })
		},
	}
	f.bind(c)
	return c
}

func newChipShow() *cobra.Command {
	var f topoFlags
	c := &cobra.Command{
		Use:     "show NAME",
		Short:   "Print a chip's peaks, memory, operator constants and assumptions",
		Example: "  clustersim chip show 950dt\n  clustersim chip show h100 --output json",
		Args:    wants("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			from := topologies.NewSource(f.dirs, nil)
			chip, err := from.LoadChip(args[0])
			if err != nil {
				return err
			}
			if err := cost.CheckChip(chip, from); err != nil {
				return err
			}
			shown := newChipShown(chip)
			return writeShown(c.OutOrStdout(), f.output, shown, shown.print)
		},
	}
	f.bind(c)
	c.ValidArgsFunction = offer(func() []string { return topologies.ChipRefs(f.dirs...) })
	return c
}

// transferShown is what scales the constants of an ancestor beside the peaks.
type transferShown struct {
	Compute float64 `json:"compute"`
	Memory  float64 `json:"memory"`
	Floors  float64 `json:"floors"`
	Source  string  `json:"source,omitempty"`
}

func newTransferShown(c *topologies.Chip) transferShown {
	t := c.Inherited()
	return transferShown{t.Compute, t.Memory, t.Floors, t.Source}
}

// chipShown is the JSON of chip show, a stable surface.
type chipShown struct {
	Name               string   `json:"name"`
	Aliases            []string `json:"aliases"`
	topologies.Silicon          // every key of the file about the package, under its own name
	Confidence         string   `json:"confidence"`
	Source             string   `json:"source"`
	Lineage            []string `json:"lineage"` // itself, then whose operator constants it inherits
	topologies.Software
	Inherited       transferShown                    `json:"inherited"`
	MemoryBytes     int64                            `json:"memory_bytes"`
	MemoryBandwidth spec.Bandwidth                   `json:"memory_bandwidth"`
	MemoryBytesPerS float64                          `json:"memory_bandwidth_bytes_per_s"`
	PeakPerS        map[topologies.Precision]float64 `json:"peak_operations_per_s"`
	PowerW          float64                          `json:"power_w,omitempty"`
	Operators       []operatorShown                  `json:"operators"`
	Assumptions     []string                         `json:"assumptions"`
}

type operatorShown struct {
	Class          string             `json:"class"`
	Variant        string             `json:"variant"`
	Constants      map[string]float64 `json:"constants"`
	Rows           int                `json:"rows"`
	MedianErrorPct float64            `json:"median_error_pct"`
	P90ErrorPct    float64            `json:"p90_error_pct"`
	Source         string             `json:"source"`
	Assumed        bool               `json:"assumed"`
}

func newChipShown(c *topologies.Chip) chipShown {
	s := chipShown{
		Name: c.Name, Aliases: append([]string{}, c.Aliases...), Silicon: c.Silicon, Software: c.Software, Confidence: c.Confidence, Source: c.Source,
		Lineage: c.Lineage(), Inherited: newTransferShown(c), MemoryBytes: int64(c.Memory.Capacity),
		MemoryBandwidth: c.Memory.Bandwidth, MemoryBytesPerS: float64(c.Memory.Bandwidth), PeakPerS: map[topologies.Precision]float64{},
		PowerW: float64(c.Power), Operators: []operatorShown{}, Assumptions: append([]string{}, c.Assumptions...),
	}
	for p, v := range c.Peak {
		s.PeakPerS[p] = float64(v)
	}
	for _, class := range slices.Sorted(maps.Keys(c.Operators)) {
		for _, variant := range slices.Sorted(maps.Keys(c.Operators[class])) {
			k := c.Operators[class][variant]
			s.Operators = append(s.Operators, operatorShown{class, variant, k.Values, k.Rows, k.MedianErrorPct, k.P90ErrorPct, k.Source, k.Assumed})
		}
	}
	return s
}

func printChips(w io.Writer, rows []chipShown) {
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "CHIP\tALIASES\tVENDOR\tYEAR\tBF16\tFP8\tFP4\tINT8\tMEMORY\tBANDWIDTH\tPOWER\tCONSTANTS OF\tCONFIDENCE")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%.4g GiB\t%s\t%s\t%s\t%s\n", r.Name, strings.Join(r.Aliases, ", "), r.Vendor, r.Year,
			r.peak(topologies.BF16), r.peak(topologies.FP8), r.peak(topologies.FP4), r.peak(topologies.INT8),
			float64(r.MemoryBytes)/(1<<30), r.MemoryBandwidth, r.power(), r.constantsOf(), r.Confidence)
	}
	t.Flush()
}

func (s chipShown) peak(p topologies.Precision) string {
	if s.Peak[p] == 0 {
		return "-"
	}
	return fmt.Sprintf("%.5g T", float64(s.Peak[p])/1e12)
}

func (s chipShown) power() string {
	if s.Power == 0 {
		return "-"
	}
	return fmt.Sprintf("%g W", float64(s.Power))
}

func (s chipShown) constantsOf() string {
	if len(s.Operators) > 0 || len(s.Lineage) < 2 {
		return "its own"
	}
	return strings.Join(s.Lineage[1:], ", ")
}

func (s chipShown) print(w io.Writer) {
	printChips(w, []chipShown{s})
	fmt.Fprintf(w, "\nsource: %s\n", s.Source)
	fmt.Fprintf(w, "package: %s\n", facts(reflect.ValueOf(s.Silicon), ""))
	fmt.Fprintf(w, "software: %s\n", facts(reflect.ValueOf(s.Software), ""))
	if s.Dies > 1 {
		fmt.Fprintf(w, "%d dies, each a rank\n", s.Dies)
	}
	if t := s.Inherited; t.Source != "" {
		fmt.Fprintf(w, "inherited constants: compute × %.3g, memory × %.3g, floors × %.3g\n  %s\n", t.Compute, t.Memory, t.Floors, t.Source)
	}
	if len(s.Operators) > 0 {
		t := typeset.NewTable(w)
		fmt.Fprintln(t, "\nOPERATOR\tVARIANT\tTIMINGS\tMEDIAN, P90 ERROR\tCONSTANTS")
		for _, o := range s.Operators {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", o.Class, o.Variant, o.timings(), o.errors(), constantsText(o.Constants))
		}
		t.Flush()
	}
	printAssumptions(w, s.Assumptions)
}

// facts writes what of a description is said, key by key as its file has it.
func facts(v reflect.Value, path string) string {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	var parts []string
	_, text := v.Interface().(fmt.Stringer)
	switch {
	case v.IsZero():
	case v.Kind() == reflect.Struct && !text:
		for i := range v.NumField() {
			key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			parts = append(parts, facts(v.Field(i), path+"."+key))
		}
	case v.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			parts = append(parts, facts(v.MapIndex(k), path+"."+k.String()))
		}
	default:
		return fmt.Sprintf("%s %v", strings.TrimPrefix(path, "."), v)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

func (o operatorShown) timings() string {
	if o.Assumed {
		return "assumed"
	}
	return fmt.Sprint(o.Rows)
}

func (o operatorShown) errors() string {
	if o.Rows == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g, %.3g %%", o.MedianErrorPct, o.P90ErrorPct)
}

func constantsText(values map[string]float64) string {
	parts := make([]string, 0, len(values))
	for _, k := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, fmt.Sprintf("%s=%.4g", k, values[k]))
	}
	return strings.Join(parts, " ")
}
