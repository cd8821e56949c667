package plant

import (
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
)

// Read reads a scenario file strictly, the names in it included.
func Read(name string, data []byte) (*scenario.Scenario, error) {
	return scenario.Read(name, data, Check)
}

// Validate reports every fault of a scenario that shows without loading what it names.
func Validate(s *scenario.Scenario) error { return s.Validate(Check) }

// Check reports engines, overlaps and routings that there are none of.
func Check(s *scenario.Scenario, fault scenario.Fault) {
	d := &s.Deployment
	if d.Engine != "" && !spec.IsPath(d.Engine) {
		if _, err := cost.LoadEngine(d.Engine); err != nil {
			fault("deployment.engine", "%v", err)
		}
	}
	overlap := func(path, name string) {
		if _, err := cost.ParseOverlap(name); err != nil {
			fault(path, "%v", err)
		}
	}
	overlap("deployment.overlap", d.Overlap)
	for path, p := range map[string]*scenario.Pool{"prefill": d.Prefill, "decode": d.Decode, "serve": d.Serve} {
		if p != nil {
			overlap("deployment."+path+".overlap", p.Overlap)
		}
	}
	if _, err := LoadRouting(d.Routing); err != nil {
		fault("deployment.routing", "%v", err)
	}
}
