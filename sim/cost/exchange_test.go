package cost

import (
	"strings"
	"testing"
)

// collectives are the bytes a layer and the counts of the operators that move the rows
// of data-parallel ranks to their experts.
func collectives(s *Stepper, loads []Load) map[string]float64 {
	out := map[string]float64{}
	for _, op := range s.Explain(loads).Operators {
		switch op.Name {
		case "gather rows", "scatter sums", "dispatch", "combine":
			out[op.Name] = op.Bytes
		}
	}
	return out
}

func TestExchange(t *testing.T) {
	const ranks, tokens, hidden = 8, 4000, 7168
	build := func(ep int, x Exchange) *Stepper {
		return newStepper(t, "v3", "hgx-h200", Config{Role: Prefill, Layout: Layout{DP: ranks, EP: ep, Exchange: x, Overlap: NoOverlap}})
	}
	dispatch, gather, slices := build(ranks, ""), build(ranks, Gather), build(1, "")
	full := everywhere(gather, prefill(gather, 1, tokens, 0))
	for _, s := range []*Stepper{gather, slices} {
		// every rank's rows in BF16, once before and once after
		c := collectives(s, full)
		near(t, "gathered", c["gather rows"], ranks*tokens*hidden*2, 1e-9)
		near(t, "scattered", c["scatter sums"], ranks*tokens*hidden*2, 1e-9)
		if c["dispatch"]+c["combine"] > 0 {
			t.Errorf("%s gathers and dispatches: %v", s.describe(), c)
		}
		// On a node that is what the other seven have, both ways, 58 layers.
		step := s.Step(full)
		near(t, "bytes on the node's links", step.LinkBytes[0], 58*2*ranks*(ranks-1)*tokens*hidden*2, 0.02)
	}
	if c := collectives(dispatch, full); c["dispatch"] == 0 || c["gather rows"] > 0 {
		t.Errorf("by default rows are dispatched, got %v", c)
	}
	// A kernel that finds its pairs among all of them is slower than one that gets its own.
	if d, g := dispatch.Step(full).Time, gather.Step(full).Time; g < d*3/2 {
		t.Errorf("gathering takes %v, dispatching %v: it should take well over half as long again", g, d)
	}
	// All ranks wait for the longest one's rows: one busy rank pads the gather for all.
	one := everywhere(gather, Load{})
	one[3] = full[3]
	near(t, "gathered for one busy rank", collectives(gather, one)["gather rows"], ranks*tokens*hidden*2, 1e-9)
}

func TestExchangeIsChecked(t *testing.T) {
	topology := loadTopology(t, "hgx-h200")
	for _, x := range []struct {
		layout Layout
		want   string
	}{
		{Layout{DP: 8, EP: 8, Exchange: "gater"}, `unknown exchange "gater"`},
		{Layout{TP: 2, DP: 4, EP: 8, Exchange: Gather}, "exchange: gather is modelled with TP 1, got 2"},
		{Layout{TP: 2, DP: 4, EP: 1}, "or 1 with TP 1, got 1"},
	} {
		_, err := New(Config{Model: loadModel(t, "v3", topology.Chip), Topology: topology, Layout: x.layout})
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: %v, want %q", x.layout, err, x.want)
		}
	}
}
