package plan

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/clustersim/clustersim/sim"
)

// finest is the precision to which layouts are compared with the one that is chosen.
var finest = precision{1.01, 24}

// What a search chooses is within 5 % of the best of all layouts that it knows of, as far
// as runs can tell: on two nodes, half a rack and 128 NPUs. It takes minutes and runs where
// CLUSTERSIM_ENUMERATE gives the number of layouts, at most 300, by estimate from the top.
func TestPickIsNearTheBest(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("CLUSTERSIM_ENUMERATE"))
	if n == 0 {
		t.Skip("CLUSTERSIM_ENUMERATE gives the number of layouts to run")
	}
	for _, c := range []struct{ model, topology string }{
		{"llama-3.1-70b", "hgx-h100:16"}, {"gpt-oss-120b", "gb200-nvl72:36"}, {"v4-flash", "supernode8912:128"},
	} {
		s := asked(c.model, c.topology)
		picked, _ := complete(t, s, Options{LayoutOnly: true, Probe: true})
		p, out, in, err := begin(s, sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		q, err := p.query(out, in, &s.Deployment)
		if err != nil {
			t.Fatal(err)
		}
		all := enumerated(t, p, q, min(n, 300))
		pick := &trial{bracket: newBracket(p.CapacityRequestsPerS), scenario: picked, of: &all[0]}
		var trials []*trial
		for i := range all {
			own := out.Clone()
			all[i].apply(own)
			trials = append(trials, &trial{bracket: newBracket(all[i].capacity), scenario: own, of: &all[i]})
			if own.Deployment.Serve != nil && picked.Deployment.Serve != nil && *own.Deployment.Serve == *picked.Deployment.Serve ||
				own.Deployment.Prefill != nil && picked.Deployment.Prefill != nil && *own.Deployment.Prefill == *picked.Deployment.Prefill && *own.Deployment.Decode == *picked.Deployment.Decode {
				pick = trials[i]
			}
		}
		if err := rounds(t.Context(), trials, p.probe, finest, &Options{}, runtime.GOMAXPROCS(0)); err != nil {
			t.Fatal(err)
		}
		if !pick.found(finest) { // it was out as soon as another was better
			pick.out = false
			if err := rounds(t.Context(), []*trial{pick}, p.probe, finest, &Options{}, 1); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortStableFunc(trials, func(a, b *trial) int { return -cmp.Compare(a.good, b.good) })
		fmt.Printf("%s on %s: %d layouts; picked %s: %.4g requests/s, %.3f of the best\n", c.model, c.topology, len(trials), pick.of.text(), pick.good, pick.good/trials[0].good)
		for _, x := range trials[:min(5, len(trials))] {
			fmt.Printf("    %8.4g (estimate %8.4g) %s\n", x.good, x.of.capacity, x.of.text())
		}
		if pick.good < 0.95*trials[0].good {
			t.Errorf("%s on %s: picked %s, which sustains %g; %s sustains %g", c.model, c.topology, pick.of.text(), pick.good, trials[0].of.text(), trials[0].good)
		}
	}
}

// enumerated are the deployments of a search, best first by estimate: at most n.
func enumerated(t *testing.T, p *Plan, q *query, n int) []deployed {
	t.Helper()
	all, _, err := q.run(t.Context(), runtime.GOMAXPROCS(0))
	if err != nil {
		t.Fatal(err)
	}
	if all, _, err = q.variants(t.Context(), all, runtime.GOMAXPROCS(0)); err != nil {
		t.Fatal(err)
	}
	rank(all)
	all = distinct(all)
	p.CapacityRequestsPerS = all[0].capacity
	return all[:min(n, len(all))]
}
