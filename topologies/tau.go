package topologies

import (
	"math"

	"github.com/clustersim/clustersim/sim/spec"
)

// Path is the delay of one message that crosses each hop once:
//
//	τ_path = endpoint + software + Σ_hops (switch + SerDes + FEC + optics + metres·4.9 ns)
//
// rounded to the ns. In a mesh or torus that is the way to a neighbour.
func (t Tau) Path() spec.Duration { return spec.Duration(math.Round(t.after(1))) }

// after is the delay in ns when every hop is crossed n times.
func (t Tau) after(n float64) float64 {
	return float64(t.Endpoint+t.Software) + n*t.hopsNs()
}

func (t Tau) hopsNs() float64 {
	sum := 0.0
	for _, h := range t.Hops {
		sum += t.hopNs(h)
	}
	return sum
}

func (t Tau) hopNs(h Hop) float64 {
	return float64(h.Switch+h.SerDes+h.FEC+h.Optics) + h.Metres*t.NsPerMetre
}

// TauParts are a traversal's delays by component, in ns.
type TauParts struct {
	Endpoint    float64 `json:"endpoint"`
	Software    float64 `json:"software"`
	Switch      float64 `json:"switch"`
	SerDes      float64 `json:"serdes"`
	FEC         float64 `json:"fec"`
	Optics      float64 `json:"optics"`
	Propagation float64 `json:"propagation"`
}

// Parts splits Path by component.
func (t Tau) Parts() TauParts {
	p := TauParts{Endpoint: float64(t.Endpoint), Software: float64(t.Software)}
	for _, h := range t.Hops {
		p.Switch += float64(h.Switch)
		p.SerDes += float64(h.SerDes)
		p.FEC += float64(h.FEC)
		p.Optics += float64(h.Optics)
		p.Propagation += h.Metres * t.NsPerMetre
	}
	return p
}
