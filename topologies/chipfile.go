package topologies

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// chipFile is a chip as its YAML writes it.
type chipFile struct {
	Name        string   `yaml:"name"`
	Aliases     []string `yaml:"aliases"`
	Source      string   `yaml:"source"`
	Confidence  string   `yaml:"confidence"`
	Silicon     `yaml:",inline"`
	Software    `yaml:",inline"`
	Ancestor    string           `yaml:"ancestor"`
	Transfer    Transfer         `yaml:"transfer"`
	Assumptions []assumptionFile `yaml:"assumptions"`
	// Operators: class → variant → constants and their metadata side by side.
	Operators map[string]map[string]map[string]any `yaml:"operators"`
}

// loadChip reads a chip with its ancestors; own says that it is the topology's own.
func (s *Source) loadChip(ref string, own bool, descendants []string) (*Chip, error) {
	file, data, err := readNamed("chip", chipDir, ref, s.folders())
	if err != nil {
		return nil, err
	}
	return s.parseChip(file, data, own, descendants)
}

func (s *Source) parseChip(name string, data []byte, own bool, descendants []string) (*Chip, error) {
	var f chipFile
	var keys []string // of an ancestor, what it hands down
	if len(descendants) > 0 {
		keys = []string{"operators", "transfer", "ancestor", "family", "engine", "libraries", "arithmetic"}
	}
	patches := s.named("chips", data, keys...)
	if own {
		patches = append(patches, s.under("chip")...)
	}
	doc := spec.ParseOver(name, data, patches, &f)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	f.check(doc)
	c := &Chip{
		Silicon: f.Silicon, Software: f.Software, Name: f.Name, Aliases: f.Aliases, Source: f.Source, Confidence: f.Confidence,
		Ancestor: f.Ancestor, Transfer: f.Transfer, Operators: f.operators(doc),
		Assumptions: readAssumptions(doc, f.Name, f.Assumptions),
	}
	c.Dies = max(c.Dies, 1)
	s.mu.Lock()
	s.docs[c] = doc
	s.mu.Unlock()
	if f.Ancestor != "" {
		c.Parent = s.ancestorOf(doc, c, descendants)
	}
	c.inheritSoftware()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Source) ancestorOf(doc *spec.Doc, c *Chip, descendants []string) *Chip {
	line := append(slices.Clone(descendants), c.Name)
	if slices.Contains(descendants, c.Name) {
		doc.Errorf("ancestor", "the chain of ancestors comes back to %s: %s", c.Name, strings.Join(line, " → "))
		return nil
	}
	a, err := s.loadChip(c.Ancestor, false, line)
	if err != nil {
		doc.Wrap("ancestor", err)
		return nil
	}
	return a
}

var confidences = []string{"high", "medium", "low"}

func (f *chipFile) check(doc *spec.Doc) {
	checkHead(doc, f.Name, f.Source, f.Confidence)
	if f.Vendor == "" {
		doc.Errorf("vendor", "is missing")
	}
	if f.Dies < 0 || f.Dies > 16 {
		doc.Errorf("dies", "must be 1 to 16, got %d", f.Dies)
	}
	if f.Cores < 0 || f.Cores > 1e6 {
		doc.Errorf("cores", "must be 0 to 1000000, got %d", f.Cores)
	}
	f.checkPeaks(doc)
	f.checkTransfer(doc)
	if f.Memory.Capacity <= 0 {
		doc.Errorf("memory.capacity", "must be positive, got %s", f.Memory.Capacity)
	}
	if u := f.Memory.Usable; !(u >= 0 && u <= 1) {
		doc.Errorf("memory.usable", "is a share of the capacity, from 0 to 1, got %g", u)
	}
	checkPositive(doc, "memory.bandwidth", float64(f.Memory.Bandwidth))
	if f.Dies > 1 {
		checkPositive(doc, "die_link.bandwidth", float64(f.DieLink.Bandwidth))
	} else if f.DieLink.Bandwidth != 0 || f.DieLink.Tau != 0 {
		doc.Errorf("die_link", "is for a chip of several dies; dies is %d", max(f.Dies, 1))
	}
	f.checkCore(doc)
	checkStacks(doc, f.Libraries)
}

func (f *chipFile) checkCore(doc *spec.Doc) {
	kinds := []string{string(SM), string(OtherCore)}
	switch {
	case f.Core != "" && !slices.Contains(kinds, string(f.Core)):
		doc.Errorf("core", "%v", spec.UnknownName("kind of core", string(f.Core), kinds))
	case f.Cores > 0 && f.Core == "":
		doc.Errorf("cores", "core must say what one is: %s, which runs thread blocks as an NVIDIA GPU's does, or %s, of which the chip counts as many as its BF16 peak is worth", SM, OtherCore)
	case f.Cores == 0 && f.Core == SM:
		doc.Errorf("core", "cores must say how many there are")
	}
}

func (f *chipFile) checkTransfer(doc *spec.Doc) {
	t := f.Transfer
	if t == (Transfer{}) {
		return
	}
	switch {
	case f.Ancestor == "":
		doc.Errorf("transfer", "is for a chip with an ancestor")
	case len(f.Operators) > 0:
		doc.Errorf("transfer", "scales an ancestor's constants; this chip has its own in operators")
	case t.Source == "":
		doc.Errorf("transfer", "source is missing: say which measurements it rests on")
	}
	for _, r := range []struct {
		path   string
		v, max float64
	}{{"transfer.compute", t.Compute, 1.5}, {"transfer.memory", t.Memory, 1.5}, {"transfer.floors", t.Floors, 100}} {
		if r.v != 0 && !(r.v >= 0.05 && r.v <= r.max) {
			doc.Errorf(r.path, "must be between 0.05 and %g, got %v", r.max, r.v)
		}
	}
}

func (f *chipFile) checkPeaks(doc *spec.Doc) {
	known := []string{string(BF16), string(FP8), string(FP4), string(INT8)}
	if f.Peak[BF16] == 0 {
		doc.Errorf("peak", "must have bf16")
	}
	for _, p := range slices.Sorted(maps.Keys(f.Peak)) {
		if !slices.Contains(known, string(p)) {
			doc.Errorf("peak."+string(p), "%v", spec.UnknownName("precision", string(p), known))
		}
		checkPositive(doc, "peak."+string(p), float64(f.Peak[p]))
	}
}

func checkHead(doc *spec.Doc, name, source, confidence string) {
	if name == "" || strings.ContainsAny(name, " /\\:,") {
		doc.Errorf("name", "must be a word without spaces, slashes, colons or commas, got %q", name)
	}
	if source == "" {
		doc.Errorf("source", "is missing: say where the figures come from")
	}
	if !slices.Contains(confidences, confidence) {
		doc.Errorf("confidence", "%v", spec.UnknownName("confidence", confidence, confidences))
	}
}

func checkPositive(doc *spec.Doc, path string, v float64) {
	if !(v > 0) || math.IsInf(v, 0) {
		doc.Errorf(path, "must be positive")
	}
}

// operators separates each block's fitted numbers from the words about them.
func (f *chipFile) operators(doc *spec.Doc) map[string]map[string]Constants {
	out := make(map[string]map[string]Constants, len(f.Operators))
	for _, class := range slices.Sorted(maps.Keys(f.Operators)) {
		out[class] = make(map[string]Constants, len(f.Operators[class]))
		for _, variant := range slices.Sorted(maps.Keys(f.Operators[class])) {
			path := fmt.Sprintf("operators.%s.%s", class, variant)
			out[class][variant] = readConstants(doc, path, f.Operators[class][variant])
		}
	}
	return out
}

func readConstants(doc *spec.Doc, path string, block map[string]any) Constants {
	k := Constants{Values: make(map[string]float64, len(block))}
	for _, key := range slices.Sorted(maps.Keys(block)) {
		v, at := block[key], path+"."+key
		ok := true
		switch key {
		case "source":
			k.Source, ok = v.(string)
		case "assumed":
			k.Assumed, ok = v.(bool)
		case "rows":
			k.Rows, ok = v.(int)
			ok = ok && k.Rows >= 0
		case "median_error_pct":
			k.MedianErrorPct, ok = number(v)
		case "p90_error_pct":
			k.P90ErrorPct, ok = number(v)
		default:
			k.Values[key], ok = number(v)
		}
		if !ok {
			doc.Errorf(at, "%v is not what %s holds (source: text, assumed: true or false, rows: a count, anything else: a finite number)", v, key)
		}
	}
	if k.Source == "" {
		doc.Errorf(path, "source is missing: say which timings were fitted")
	}
	if len(k.Values) == 0 {
		doc.Errorf(path, "has no constants")
	}
	return k
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	}
	return 0, false
}
