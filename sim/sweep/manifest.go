package sweep

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
)

// manifestVersion is that of the manifest and of how a grid becomes points: with another
// one, point N may be another scenario.
const manifestVersion = 1

// Manifest says which grid a sweep is of, so that points of another are never taken for
// its own. Its JSON is a stable surface.
type Manifest struct {
	Version int `json:"version"`
	// Digest is that of everything here but Clustersim: who asks the same of another
	// version of the program has the same digest.
	Digest     string          `json:"digest"`
	Clustersim string          `json:"clustersim"` // the program's version
	Scenario   json.RawMessage `json:"scenario"`   // the grid's base, its seed included
	Axes       []Axis          `json:"axes"`
	// FindCapacity is that of Options: it changes results.
	FindCapacity bool `json:"find_capacity"`
	Seeds        int  `json:"seeds,omitempty"` // a point is run with, where they are several
	Points       int  `json:"points"`
	// Grid is the digest of every point's scenario, what a recipe sets in it included.
	Grid string `json:"grid"`
	// Inputs are what the points read, by digest, as far as it can be read before they
	// run: standard input cannot.
	Inputs []scenario.Input `json:"inputs"`
}

// NewManifest describes a grid that is to be run with the options, by a program of the
// version. A point whose inputs cannot be read says so when it runs.
func NewManifest(base *scenario.Scenario, axes []Axis, points []Point, o *Options, program string) (*Manifest, error) {
	m := &Manifest{Version: manifestVersion, Clustersim: program, Axes: axes, FindCapacity: o.FindCapacity, Points: len(points)}
	if o.Seeds > 1 {
		m.Seeds = o.Seeds
	}
	if m.Axes == nil {
		m.Axes = []Axis{}
	}
	var err error
	if m.Scenario, err = compact(base); err != nil {
		return nil, err
	}
	sum := sha256.New()
	for i := range points {
		text, err := compact(points[i].Scenario)
		if err != nil {
			return nil, fmt.Errorf("point %d: %w", points[i].ID, err)
		}
		fmt.Fprintf(sum, "%d %q %s\n", points[i].ID, points[i].Set, text)
	}
	m.Grid = hex.EncodeToString(sum.Sum(nil))
	m.Inputs = inputs(points, o.Run.Source)
	return m, m.seal()
}

// seal computes the digest.
func (m *Manifest) seal() error {
	content := *m
	content.Digest, content.Clustersim = "", ""
	text, err := compact(&content)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	m.Digest = hex.EncodeToString(sum[:])
	return nil
}

// compact is a value's JSON on one line, as every writer here has it.
func compact(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// references are what decides which files a scenario reads; points of the same ones are
// looked at once.
type references struct{ model, topology, engine, routing, prefill, decode, serve, trace, profile string }

func referencesOf(s *scenario.Scenario) references {
	chip := func(p *scenario.Pool) string {
		if p == nil {
			return ""
		}
		return p.Chip
	}
	d := &s.Deployment
	r := references{model: s.Model, topology: s.Topology, engine: d.Engine, routing: d.Routing,
		prefill: chip(d.Prefill), decode: chip(d.Decode), serve: chip(d.Serve)}
	if s.Trace != nil {
		r.trace = s.Trace.File
	}
	if s.Workload != nil {
		r.profile = s.Workload.Profile
	}
	return r
}

func inputs(points []Point, from plant.Source) []scenario.Input {
	all := []scenario.Input{}
	seen, traces := map[references]bool{}, map[string]bool{}
	for i := range points {
		s := points[i].Scenario
		r := referencesOf(s)
		if seen[r] {
			continue
		}
		seen[r] = true
		if traces[r.trace] { // it may be large, and is the same beside any model
			s = s.Clone()
			s.Trace = &scenario.Trace{File: "sample"}
		}
		if read, err := sim.Inputs(s, from); err == nil {
			all = append(all, read...)
			traces[r.trace] = r.trace != ""
		}
	}
	slices.SortFunc(all, func(a, b scenario.Input) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.SHA256, b.SHA256))
	})
	return slices.Compact(all)
}

// Write is the manifest as a file.
func (m *Manifest) Write() ([]byte, error) {
	text, err := compact(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Indent(&out, text, "", "  ")
	out.WriteByte('\n')
	return out.Bytes(), err
}

// ReadManifest reads what Write has written, and refuses one whose digest is not its own.
func ReadManifest(name string, data []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: not the manifest of a sweep: %w", name, err)
	}
	said := m.Digest
	var text bytes.Buffer
	if err := json.Compact(&text, m.Scenario); err != nil {
		return nil, fmt.Errorf("%s: scenario: %w", name, err)
	}
	m.Scenario = text.Bytes()
	if err := m.seal(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if m.Digest != said && m.Version == manifestVersion {
		return nil, fmt.Errorf("%s: its digest is not that of its content: it was changed by hand", name)
	}
	return m, nil
}

// Same reports what of a stored manifest differs from that of the grid to run, in the
// words of scenario paths and flags; nil when the stored points are this grid's.
func (m *Manifest) Same(stored *Manifest) error {
	if stored.Version != m.Version {
		return fmt.Errorf("manifest of version %d, this program has %d", stored.Version, m.Version)
	}
	if stored.Digest != m.Digest {
		return fmt.Errorf("another grid:\n%s", strings.Join(m.differs(stored), "\n"))
	}
	if stored.Clustersim != m.Clustersim {
		return fmt.Errorf("begun by clustersim %s, this is %s: one table would mix two programs' answers", stored.Clustersim, m.Clustersim)
	}
	return nil
}

func (m *Manifest) differs(stored *Manifest) []string {
	there, here := stored.leaves(), m.leaves()
	var lines []string
	names := maps.Clone(there)
	maps.Copy(names, here)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a, b := there[name], here[name]; a != b {
			lines = append(lines, fmt.Sprintf("  %s: %s there, %s here", name, cmp.Or(a, "nothing"), cmp.Or(b, "nothing")))
		}
	}
	if len(lines) == 0 {
		lines = append(lines, "  the points' own scenarios: what a recipe sets in them")
	}
	return lines
}

// leaves are what can be told apart by name.
func (m *Manifest) leaves() map[string]string {
	into := map[string]string{"--find-capacity": strconv.FormatBool(m.FindCapacity), "--seeds": strconv.Itoa(max(1, m.Seeds)), "points": strconv.Itoa(m.Points)}
	for _, a := range m.Axes {
		into["values of "+a.Path] = strings.Join(a.Values, ", ")
	}
	for _, in := range m.Inputs {
		name := fmt.Sprintf("content of %s %s", in.Kind, in.Name)
		into[name] = strings.TrimPrefix(into[name]+" "+in.SHA256[:min(12, len(in.SHA256))], " ")
	}
	var base any
	if err := json.Unmarshal(m.Scenario, &base); err != nil {
		return into // ReadManifest and NewManifest have seen that it is JSON
	}
	flatten("", base, into)
	return into
}

// flatten names every scalar of a JSON value by its path.
func flatten(path string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, of := range v {
			flatten(strings.TrimPrefix(path+"."+key, "."), of, into)
		}
	case []any:
		for i, of := range v {
			flatten(path+"."+strconv.Itoa(i), of, into)
		}
	default:
		into[path] = fmt.Sprint(v)
	}
}
