package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/report"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/typeset"
)

// newDiffCommand prints two stored results side by side.
func newDiffCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "diff A.json B.json",
		Short: "Print two stored results side by side, with what differs of their scenarios",
		Long: `Prints the paths of the scenario and the inputs that differ between two results, which
runs wrote with --output json or --out, and what came out of each: latency, throughput,
goodput, causes, utilisation, cache and energy, with the change from the first to the
second. A folder that --out filled stands for the result in it; "-" reads standard input.`,
		Example: `  # what twice the memory bandwidth changes
  clustersim --model v4 --topo supernode8912 --out before
  clustersim --model v4 --topo supernode8912 --out after --set chip.memory.bandwidth=x2
  clustersim diff before after

  # the same as JSON
  clustersim diff before/result.json after/result.json --output json`,
		Args: wants("A.json", "B.json"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := textOrJSON(output); err != nil {
				return err
			}
			if args[0] == "-" && args[1] == "-" {
				return fmt.Errorf("one of the two results at most is on standard input")
			}
			var sides [2]side
			for i, name := range args {
				var err error
				if sides[i], err = readSide(name, c.InOrStdin()); err != nil {
					return err
				}
			}
			d := differ(&sides[0], &sides[1])
			return writeShown(c.OutOrStdout(), output, d, d.print)
		},
	}
	addOutputFlag(c, &output, "text or json", "text", "json")
	return c
}

// side is one of the results, by the paths of its JSON.
type side struct {
	name   string
	result *result.Result
	order  []string
	values map[string]string
}

func readSide(name string, stdin io.Reader) (side, error) {
	r, err := readResult(name, stdin)
	if err != nil {
		return side{}, err
	}
	if r.Partial {
		return side{}, fmt.Errorf("%s: is the partial result of an interrupted run; let it run to its end", name)
	}
	if r.Scenario == nil {
		return side{}, fmt.Errorf("%s: is no whole result: it has no scenario", name)
	}
	var text bytes.Buffer
	if err := report.CSV(&text, r); err != nil {
		return side{}, failed(err)
	}
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		return side{}, failed(err)
	}
	s := side{name: name, result: r, values: map[string]string{}}
	for _, row := range rows[1:] { // behind the head
		s.order, s.values[row[0]] = append(s.order, row[0]), row[1]
	}
	return s, nil
}

// difference is what the command prints.
type difference struct {
	A        sideHead       `json:"a"`
	B        sideHead       `json:"b"`
	Scenario []pathDiff     `json:"scenario"` // paths that differ
	Inputs   []pathDiff     `json:"inputs"`   // what was read that differs
	Measures []measuredDiff `json:"measures"` // all that either has
}

type sideHead struct {
	File     string `json:"file"`
	RunID    string `json:"run_id"`
	Model    string `json:"model"`
	Topology string `json:"topology"`
}

type pathDiff struct {
	Path string  `json:"path"`
	A    *string `json:"a"` // nil where it has none
	B    *string `json:"b"`
}

type measuredDiff struct {
	Path string   `json:"path"`
	A    *float64 `json:"a"`
	B    *float64 `json:"b"`
	// Change is (B − A)/A, nil where A is 0 or one of them is missing.
	Change *float64 `json:"change"`
}

// measured are the sections of a result that are compared, in their order, and what of them is not: sums
// that only the length of a run decides, and echoes of the scenario.
var (
	measured   = []string{"latency", "throughput", "goodput", "capacity", "causes", "utilisation", "kv", "energy", "requests", "simulated_s"}
	unmeasured = []string{"causes.ns.", "goodput.slo."}
)

func startsWith(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(path, p) })
}

// section is the number of a path's section, below 0 where it is none that is compared.
func section(path string) int {
	head, _, _ := strings.Cut(path, ".")
	return slices.Index(measured, head)
}

func differ(a, b *side) *difference {
	d := &difference{A: a.head(), B: b.head(), Scenario: []pathDiff{}, Inputs: inputsThatDiffer(a.result, b.result)}
	paths := slices.Clone(a.order)
	for _, p := range b.order {
		if _, both := a.values[p]; !both {
			paths = append(paths, p)
		}
	}
	for _, path := range paths {
		x, inA := a.values[path]
		y, inB := b.values[path]
		switch name, echoed := strings.CutPrefix(path, "scenario."); {
		case echoed && name != "deployment.why" && (x != y || inA != inB):
			d.Scenario = append(d.Scenario, pathDiff{name, textIf(x, inA), textIf(y, inB)})
		case section(path) >= 0 && !startsWith(path, unmeasured):
			if m := (measuredDiff{Path: path, A: numberIf(x, inA), B: numberIf(y, inB)}); m.A != nil || m.B != nil {
				m.Change = change(m.A, m.B)
				d.Measures = append(d.Measures, m)
			}
		}
	}
	slices.SortStableFunc(d.Measures, func(x, y measuredDiff) int { return cmp.Compare(section(x.Path), section(y.Path)) })
	return d
}

func (s *side) head() sideHead {
	return sideHead{s.name, s.result.RunID, s.result.Scenario.Model, s.result.Scenario.Topology}
}

func textIf(text string, there bool) *string {
	if !there {
		return nil
	}
	return &text
}

func numberIf(text string, there bool) *float64 {
	v, err := strconv.ParseFloat(text, 64)
	if !there || err != nil {
		return nil
	}
	return &v
}

func change(a, b *float64) *float64 {
	if a == nil || b == nil || *a == 0 {
		return nil
	}
	v := (*b - *a) / *a
	return &v
}

// inputsThatDiffer are the descriptions that one has read and the other has not, or not
// with the same content.
func inputsThatDiffer(a, b *result.Result) []pathDiff {
	out := []pathDiff{}
	index := func(r *result.Result) (order []string, digests map[string]string) {
		digests = map[string]string{}
		for _, in := range r.Inputs {
			key := in.Kind + " " + in.Name
			order, digests[key] = append(order, key), in.SHA256
		}
		return order, digests
	}
	inA, digestsA := index(a)
	inB, digestsB := index(b)
	for _, key := range inA {
		y, both := digestsB[key]
		if x := digestsA[key]; x != y {
			out = append(out, pathDiff{key, &x, textIf(y, both)})
		}
	}
	for _, key := range inB {
		if _, both := digestsA[key]; !both {
			y := digestsB[key]
			out = append(out, pathDiff{key, nil, &y})
		}
	}
	return out
}

func (d *difference) print(w io.Writer) {
	for _, s := range []struct {
		name string
		head *sideHead
	}{{"A", &d.A}, {"B", &d.B}} {
		fmt.Fprintf(w, "%s  %s: %s on %s, run %s\n", s.name, s.head.File, s.head.Model, s.head.Topology, s.head.RunID)
	}
	d.printPaths(w)
	t := typeset.NewTable(w)
	head := ""
	for _, m := range d.Measures {
		if tail := m.Path[strings.LastIndexByte(m.Path, '.')+1:]; tail == "p95" || tail == "max" || zero(m.A) && zero(m.B) {
			continue // JSON has them
		}
		of, name, _ := strings.Cut(m.Path, ".")
		if of != head {
			head = of
			fmt.Fprintf(t, "\n%s\t%12s\t%12s\t%9s\n", strings.ToUpper(head), "A", "B", "CHANGE")
		}
		fmt.Fprintf(t, "%s\t%12s\t%12s\t%9s\n", cmp.Or(name, "all"), shownNumber(m.A), shownNumber(m.B), shownChange(&m))
	}
	t.Flush()
}

func (d *difference) printPaths(w io.Writer) {
	t := typeset.NewTable(w)
	switch {
	case len(d.Scenario)+len(d.Inputs) == 0:
		fmt.Fprintf(t, "\nthe scenarios and what they read are the same\n")
	case len(d.Scenario) == 0:
		fmt.Fprintf(t, "\nthe scenarios are the same; what they read is not\n")
	default:
		fmt.Fprintf(t, "\nSCENARIO\tA\tB\n")
	}
	for _, p := range d.Scenario {
		fmt.Fprintf(t, "%s\t%s\t%s\n", p.Path, shownText(p.A), shownText(p.B))
	}
	t.Flush()
	if len(d.Inputs) == 0 {
		return
	}
	fmt.Fprintf(t, "\nINPUT\tA\tB\n")
	for _, p := range d.Inputs {
		fmt.Fprintf(t, "%s\t%s\t%s\n", p.Path, shownDigest(p.A), shownDigest(p.B))
	}
	t.Flush()
}

func zero(v *float64) bool { return v == nil || *v == 0 }

func shownNumber(v *float64) string {
	if v == nil {
		return "–"
	}
	return plan.Figure(*v)
}

func shownChange(m *measuredDiff) string {
	switch {
	case m.Change != nil:
		return fmt.Sprintf("%+.1f %%", 100**m.Change)
	case m.A != nil && m.B != nil && *m.B == 0:
		return "+0.0 %"
	}
	return "–"
}

func shownText(s *string) string {
	switch {
	case s == nil:
		return "–"
	case *s == "":
		return `""`
	}
	return *s
}

// shownDigest is enough of a digest to tell two apart.
func shownDigest(s *string) string {
	if s == nil {
		return "–"
	}
	return (*s)[:min(8, len(*s))]
}
