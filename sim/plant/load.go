package plant

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
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

	asked   *models.Model // before substitutions
	routing cost.Routing
	patches spec.Patches // of the engine
	profile *cost.Engine // Engine, before its budgets are those on the topology's chip
	systems *topologies.Source
	own     build
	others  map[string]*build // of chips that pools name, by that name
}

// build is the system and the model as pools on one chip have them.
type build struct {
	model     *models.Model
	topology  *topologies.Topology
	libraries *topologies.Libraries
}

// Load resolves the model, topology and engine that a scenario names, and the chips of
// its pools, with its patches laid over them.
func Load(s *scenario.Scenario, from Source) (*Inputs, error) {
	m, err := models.Source{Dirs: from.ModelDirs, Patches: s.Patches.Under("model")}.Load(s.Model)
	in := &Inputs{systems: topologies.NewSource(from.TopologyDirs, s.Patches), others: map[string]*build{}}
	t, unread := in.systems.Load(s.Topology)
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
	in.asked = m
	if in.routing, err = LoadRouting(s.Deployment.Routing); err != nil {
		return nil, fmt.Errorf("deployment.routing: %w", err)
	}
	in.patches = s.Patches.Under("engine")
	if in.profile, err = engineOf(s, t.Chip, from.Engine); err != nil {
		return nil, fmt.Errorf("deployment.engine: %w", err)
	}
	in.Engine = in.profile.On(t.Chip, in.patches)
	if in.own, in.Substituted, err = in.on(t); err != nil {
		return nil, err
	}
	in.Model, in.Topology = in.own.model, t
	if err := in.loadPoolChips(&s.Deployment); err != nil {
		return nil, err
	}
	if err := in.systems.Unused(); err != nil {
		return nil, err
	}
	in.Warnings = append(append(in.Warnings, in.asked.Notes...), in.Substituted...)
	in.Warnings = append(in.Warnings, t.Assumptions...)
	in.Digests = append(in.Digests, Digest("model", m.Name, in.Model), Digest("topology", t.Name, t),
		Digest("engine", in.Engine.Name, in.Engine), Digest("libraries", t.Name, in.own.libraries))
	return in, nil
}

// on is what pools on a system's chip have; notes say which formats were substituted.
func (in *Inputs) on(t *topologies.Topology) (b build, notes []string, err error) {
	if err := cost.CheckChip(t.Chip, in.systems); err != nil {
		return b, nil, err
	}
	libraries, err := cost.LoadLibraries(t, in.Engine)
	if err != nil {
		return b, nil, err
	}
	b.topology, b.libraries = t, &libraries
	b.model, notes, err = cost.Substitute(in.asked, t.Chip)
	return b, notes, err
}

func (in *Inputs) loadPoolChips(d *scenario.Deployment) error {
	for _, p := range []struct {
		path string
		pool *scenario.Pool
	}{{"prefill", d.Prefill}, {"decode", d.Decode}, {"serve", d.Serve}} {
		if p.pool == nil || p.pool.Chip == "" || in.others[p.pool.Chip] != nil {
			continue
		}
		chip, err := in.systems.LoadChip(p.pool.Chip)
		if err != nil {
			return fmt.Errorf("deployment.%s.chip: %w", p.path, err)
		}
		b := in.own
		if spec.IsPath(p.pool.Chip) || chip.Name != in.Topology.Chip.Name { // a file may say other things under the same name
			var notes []string
			if b, notes, err = in.on(in.Topology.WithChip(chip)); err != nil {
				return fmt.Errorf("deployment.%s.chip: %w", p.path, err)
			}
			for _, note := range notes {
				in.Substituted = append(in.Substituted, fmt.Sprintf("pool %s on %s: %s", p.path, chip.Name, note))
			}
		}
		in.others[p.pool.Chip] = &b
	}
	return nil
}

// engineOf is the engine that the scenario names, or the one that stands instead.
func engineOf(s *scenario.Scenario, chip *topologies.Chip, instead *cost.Engine) (*cost.Engine, error) {
	patches := s.Patches.Under("engine")
	if instead != nil {
		return instead.Patched(patches)
	}
	return cost.EngineFor(s.Deployment.Engine, chip, patches...)
}

// Stepper is the cost model of a pool's instances in a role.
func (in *Inputs) Stepper(s *scenario.Scenario, p *scenario.Pool, role cost.Role) (*cost.Stepper, error) {
	b := &in.own
	if p.Chip != "" {
		if b = in.others[p.Chip]; b == nil {
			return nil, fmt.Errorf("chip %s: no pool of the scenario that was loaded has it", p.Chip)
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
	if layout.Overlap, err = cost.ParseOverlap(cmp.Or(p.Overlap, s.Deployment.Overlap)); err != nil {
		return nil, fmt.Errorf("overlap: %w", err)
	}
	if p.Experts.Exchange == "" && in.Engine.GathersToTopK && layout.DP > 1 && int64(in.ep(b, p)) <= b.model.TopK() {
		layout.Exchange = cost.Gather
	}
	layout.Routing = in.routing
	drafts := s.Deployment.MTP.Drafts
	if role == cost.Prefill {
		drafts = 0
	}
	tokens, sequences := in.Budgets(p, role)
	return cost.New(cost.Config{
		Model: b.model, Topology: b.topology, Chip: b.topology.Chip, Layout: layout, Engine: in.Engine, Libraries: b.libraries, Role: role,
		Drafts: drafts, Accepted: accepted, MaxTokens: cmp.Or(p.MaxTokens, tokens), MaxSequences: cmp.Or(p.MaxSequences, sequences),
	})
}

// Budgets are the engine's own prompt tokens and sequences of a rank of a pool in a role.
// What a patch says of them is said of every chip.
func (in *Inputs) Budgets(p *scenario.Pool, role cost.Role) (tokens, sequences int) {
	chip := in.Topology.Chip
	if b := in.others[p.Chip]; b != nil {
		chip = b.topology.Chip
	}
	return in.profile.BudgetsOn(chip, role, in.patches)
}

// ep is the experts' parallelism of a pool, that which its layout leaves to the model included.
func (in *Inputs) ep(b *build, p *scenario.Pool) int {
	return cmp.Or(p.EP, cost.DefaultEP(b.model, max(1, p.TP), max(1, p.DP), max(1, p.CP)))
}

// LoadRouting resolves how tokens fall on experts: `uniform`, `power-law(1.01)` or
// `histogram FILE`, a file of measured loads; empty is the scenario's default.
func LoadRouting(ref string) (cost.Routing, error) {
	ref = cmp.Or(ref, scenario.DefaultRouting)
	file, is := strings.CutPrefix(strings.TrimSpace(ref), string(cost.Histogram)+" ")
	if !is {
		return cost.ParseRouting(ref)
	}
	data, err := spec.Description.Read(os.Open(strings.TrimSpace(file)))
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
