package cost

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/golden"
	"github.com/clustersim/clustersim/topologies"
)

// frozenSystems are one system a kind of links: boards and InfiniBand of three
// generations, a rack, two Ascend supernodes, AMD's mesh, a TPU torus, a bus.
var frozenSystems = []string{
	"hgx-a100:64", "hgx-h100:64", "hgx-b200:64", "gb200-nvl72:144", "supernode8912", "cloudmatrix384", "hgx-mi355x:64", "ironwood-9216", "l40s:64",
}

// frozenLayouts are tensor-parallel, data-parallel over experts, and a pipeline of both.
var frozenLayouts = []Layout{
	{TP: 8, EP: 8},
	{DP: 32, EP: 32},
	{TP: 2, DP: 8, EP: 16, PP: 2, Redundant: 16},
}

// TestFrozenSteps holds prices to the bit: what a step of every shipped model takes, by
// cause, and what it moves, over systems, layouts and roles, with engines, overlaps,
// exchanges, routings and drafts taking turns. The table notices change and does not say
// what is right: a change that is meant is named under "Changed results" with its size.
// Floats are amd64's, which does not fuse multiplications with additions.
func TestFrozenSteps(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the table is amd64's")
	}
	golden.Equal(t, "testdata/steps.golden", frozenTable(t))
}

func frozenTable(t *testing.T) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# model system engine role layout: ns [causes: %s] tau hidden | FLOPs bytes [link bytes] | weights free sequence\n", strings.Join(cause.Names[:], " "))
	turn := 0
	pick := func(n int) int { turn++; return turn % n }
	for _, system := range frozenSystems {
		topology := loadTopology(t, system)
		engines, libraries := map[string]*Engine{}, map[string]*topologies.Libraries{}
		for _, name := range frozenEngines {
			engines[name] = loadEngine(t, name)
			ls, err := LoadLibraries(topology, engines[name])
			if err != nil {
				t.Fatal(err)
			}
			libraries[name] = &ls
		}
		for _, name := range models.Names() {
			m := loadModel(t, name, topology.Chip)
			for _, layout := range frozenLayouts {
				for _, role := range []Role{Prefill, Decode, Mixed} {
					c := Config{Model: m, Topology: topology, Layout: layout, Role: role, MaxTokens: 2048, MaxSequences: 64}
					engine := frozenEngines[pick(len(frozenEngines))]
					c.Engine, c.Libraries = engines[engine], libraries[engine]
					c.Layout.Overlap = []Overlap{"", NoOverlap, TwoBatch, Wave, ""}[pick(5)]
					c.Layout.Routing = []Routing{{}, {Kind: PowerLaw, Alpha: 1.01}}[pick(2)]
					if m.Experts() == 0 {
						c.Layout.EP, c.Layout.Redundant = 0, 0
					} else if c.Layout.DP > 1 && pick(7) == 0 {
						c.Layout.Exchange = Gather
					}
					if len(m.MTP) > 0 && role != Prefill {
						c.Drafts = pick(3)
					}
					fmt.Fprintf(&out, "%s %s %s %s %s %s %s d%d: %s\n", name, system, c.Engine.Name, role, c.Layout, c.Layout.Overlap, c.Layout.Exchange, c.Drafts, frozenRow(c))
				}
			}
		}
	}
	return out.Bytes()
}

// frozenEngines take turns; a list of its own, so that another version of an engine does
// not move the turns.
var frozenEngines = []string{"vllm", "sglang", "trtllm", "cann", "ideal"}

// frozenRow is one step with uneven ranks.
func frozenRow(c Config) string {
	s, err := New(c)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		if strings.Contains(reason, " does not fit a rank of ") { // its figures are of the account, which the other rows have
			reason = "does not fit"
		}
		return "refused: " + reason
	}
	loads := make([]Load, s.config.Layout.DP)
	for i := range loads {
		n := int64(i)
		if c.Role != Prefill {
			loads[i] = decode(s, 16+n%5, 3000+4000*(n%7))
		}
		if c.Role != Decode && n%4 != 3 {
			loads[i] = both(loads[i], prefill(s, 1+n%2, 700+n*11%300, n%3*1500))
		}
	}
	step, mem := s.Step(loads), s.Memory()
	links := make([]string, 0, MaxTiers)
	for _, b := range step.LinkBytes {
		links = append(links, fmt.Sprintf("%x", b))
	}
	return fmt.Sprintf("%d %d %d %d | %x %x %v | %d %d %d", step.Time, step.Causes, step.Tau, step.Hidden, step.Flops, step.Bytes, links, mem.WeightBytes, mem.Free, mem.SequenceBytes(4096))
}
