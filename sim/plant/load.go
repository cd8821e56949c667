package plant

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/topologies"
)

// Source is where descriptions are looked for beside what is shipped.
type Source struct {
	ModelDirs, TopologyDirs []string // looked into before what is shipped
	// Engine takes the place of the profile that the scenario names.
	Engine *cost.Engine
}

// Inputs are a scenario's references, loaded.
type Inputs struct {
	// Model has the compression, precision and substitutions of the topology's
	// own chip applied.
	Model    *models.Model
	Topology *topologies.Topology
	Engine   *cost.Engine
	// Substituted says which formats the chip does not have and what took their place;
	// Warnings has that and what the topology assumes.
	Substituted, Warnings []string
	Digests               []scenario.Input

	asked     *models.Model // before substitutions
	libraries *topologies.Libraries
	systems   *topologies.Source
}

// Load resolves the model, topology and engine that a scenario names.
func Load(s *scenario.Scenario, from Source) (*Inputs, error) {
	m, err := models.Load(s.Model, from.ModelDirs...)
	systems := topologies.NewSource(from.TopologyDirs, s.Patches)
	t, unread := systems.Load(s.Topology)
	if err := errors.Join(err, unread); err != nil {
		return nil, err
	}
	if m, err = m.Compress(s.KVCompress); err != nil {
		return nil, err
	}
	p := s.Deployment.Precision
	if m, err = m.WithFormats(models.Formats(p)); err != nil {
		return nil, fmt.Errorf("deployment.precision: %w", err)
	}
	if t, err = t.WithTau(s.Tau); err != nil {
		return nil, fmt.Errorf("tau: %w", err)
	}
	in := &Inputs{Topology: t, asked: m, systems: systems}
	if in.Engine, err = engineOf(s, t.Chip, from.Engine); err != nil {
		return nil, fmt.Errorf("deployment.engine: %w", err)
	}
	tune(&s.Deployment, in.Engine)
	libraries, err := cost.LoadLibraries(t, in.Engine)
	if err != nil {
		return nil, err
	}
	in.libraries = &libraries
	if in.Model, in.Substituted, err = cost.Substitute(m, t.Chip); err != nil {
		return nil, err
	}
	in.Warnings = append(in.Warnings, in.Substituted...)
	in.Warnings = append(in.Warnings, t.Assumptions...)
	in.Digests = append(in.Digests, Digest("model", m.Name, in.Model), Digest("topology", t.Name, t),
		Digest("engine", in.Engine.Name, in.Engine), Digest("libraries", t.Name, in.libraries))
	return in, nil
}

func engineOf(s *scenario.Scenario, chip *topologies.Chip, instead *cost.Engine) (*cost.Engine, error) {
	if instead != nil {
		e := *instead
		return &e, nil
	}
	return cost.EngineFor(s.Deployment.Engine, chip)
}

// tune puts the deployment's own choices in the engine's place.
func tune(d *scenario.Deployment, e *cost.Engine) {
	if d.PollSteps > 0 {
		e.PollSteps = d.PollSteps
	}
	if d.MemoryFraction > 0 {
		e.MemoryFraction = d.MemoryFraction
	}
	if d.GraphTokens > 0 {
		e.GraphTokens = d.GraphTokens
	}
	e.DependentLaunch = e.DependentLaunch || d.DependentLaunch
	if d.BatchWait.Steps > 0 {
		e.BatchWait = d.BatchWait
	}
	if d.Balance.Steps > 0 {
		e.Balance = d.Balance
	}
}

// Stepper is the cost model of a pool's instances in a role.
func (in *Inputs) Stepper(s *scenario.Scenario, p *scenario.Pool, role cost.Role) (*cost.Stepper, error) {
	topology, model, libraries := in.Topology, in.Model, in.libraries
	if p.Chip != "" {
		chip, err := in.systems.LoadChip(p.Chip)
		if err != nil {
			return nil, err
		}
		if chip.Name != topology.Chip.Name {
			if model, _, err = cost.Substitute(in.asked, chip); err != nil {
				return nil, err
			}
			topology, libraries = topology.WithChip(chip), nil
		}
	}
	accepted, err := in.accepted(s)
	if err != nil {
		return nil, err
	}
	layout := cost.Layout{TP: p.TP, DP: p.DP, PP: p.PP, EP: p.EP, CP: p.CP, Redundant: p.Experts.Redundant}
	if layout.Exchange, err = cost.ParseExchange(p.Experts.Exchange); err != nil {
		return nil, fmt.Errorf("experts.exchange: %w", err)
	}
	if o := s.Deployment.Overlap; o != "" {
		if layout.Overlap, err = cost.ParseOverlap(o); err != nil {
			return nil, fmt.Errorf("deployment.overlap: %w", err)
		}
	}
	if r := s.Deployment.Routing; r != "" {
		if layout.Routing, err = LoadRouting(r); err != nil {
			return nil, fmt.Errorf("deployment.routing: %w", err)
		}
	}
	drafts := s.Deployment.MTP.Drafts
	if role == cost.Prefill {
		drafts = 0
	}
	return cost.New(cost.Config{
		Model: model, Topology: topology, Chip: topology.Chip, Layout: layout, Engine: in.Engine, Libraries: libraries, Role: role,
		Drafts: drafts, Accepted: accepted, MaxTokens: p.MaxTokens, MaxSequences: p.MaxSequences,
	})
}

// LoadRouting resolves how tokens fall on experts: `uniform`, `power-law(1.01)` or
// `histogram FILE`, a file of measured loads.
func LoadRouting(ref string) (cost.Routing, error) {
	file, is := strings.CutPrefix(strings.TrimSpace(ref), string(cost.Histogram)+" ")
	if !is {
		return cost.ParseRouting(ref)
	}
	data, err := os.ReadFile(strings.TrimSpace(file))
	if err != nil {
		return cost.Routing{}, err
	}
	return cost.ReadHistogram(file, data)
}

// accepted is the mean number of tokens a verify step yields: the scenario's, or
// the model's published one.
func (in *Inputs) accepted(s *scenario.Scenario) (float64, error) {
	mtp := s.Deployment.MTP
	switch curve := in.Model.AcceptedLength; {
	case mtp.Drafts == 0:
		return 1, nil
	case mtp.AcceptedLength > 0:
		return mtp.AcceptedLength, nil
	case mtp.Drafts <= len(curve):
		return curve[mtp.Drafts-1], nil
	case len(curve) > 0:
		return 0, fmt.Errorf("deployment.mtp.drafts: acceptance is published for up to %d drafts of %s, got %d; give deployment.mtp.accepted_length",
			len(curve), in.Model.Name, mtp.Drafts)
	}
	return 0, fmt.Errorf("deployment.mtp: no acceptance is published for %s; give deployment.mtp.accepted_length", in.Model.Name)
}
