package result

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/spec"
)

// Shares are fractions of a phase's time that sum to 1 (all 0 when the phase never
// ran). In JSON they are an object with the causes' names, in the causes' order.
type Shares [cause.Count]float64

// PhaseNS is one phase's time in nanoseconds: the causes sum to it. Tau is part of
// CommLatency, Hidden is what overlap took off the critical path. In JSON all of them
// stand in one object.
type PhaseNS struct {
	Causes      [cause.Count]int64
	Tau, Hidden int64
}

// MarshalJSON writes {"compute": …, …}.
func (s Shares) MarshalJSON() ([]byte, error) {
	values := make([]any, len(s))
	for i, v := range s {
		values[i] = v
	}
	return object(cause.Names[:], values)
}

// UnmarshalJSON reads what MarshalJSON writes; a cause that is left out is 0.
func (s *Shares) UnmarshalJSON(text []byte) error {
	into := make([]any, len(s))
	for i := range s {
		into[i] = &s[i]
	}
	return readObject(text, cause.Names[:], into)
}

// phaseNames are the causes and what stands beside them.
var phaseNames = append(append([]string(nil), cause.Names[:]...), "tau", "hidden")

// MarshalJSON writes {"compute": …, …, "tau": …, "hidden": …}.
func (p PhaseNS) MarshalJSON() ([]byte, error) {
	values := make([]any, 0, len(phaseNames))
	for _, v := range p.Causes {
		values = append(values, v)
	}
	return object(phaseNames, append(values, p.Tau, p.Hidden))
}

// UnmarshalJSON reads what MarshalJSON writes; what is left out is 0.
func (p *PhaseNS) UnmarshalJSON(text []byte) error {
	into := make([]any, 0, len(phaseNames))
	for i := range p.Causes {
		into = append(into, &p.Causes[i])
	}
	return readObject(text, phaseNames, append(into, &p.Tau, &p.Hidden))
}

// object writes a JSON object with its keys in the order given.
func object(names []string, values []any) ([]byte, error) {
	var out bytes.Buffer
	for i, name := range names {
		value, err := json.Marshal(values[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		before := byte(',')
		if i == 0 {
			before = '{'
		}
		out.WriteByte(before)
		fmt.Fprintf(&out, "%q:%s", name, value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// readObject reads a JSON object into values by name; a name that is not there is an
// error.
func readObject(text []byte, names []string, into []any) error {
	var found map[string]json.RawMessage
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	for i, name := range names {
		raw, ok := found[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(raw, into[i]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		delete(found, name)
	}
	for name := range found {
		return spec.UnknownName("cause", name, names)
	}
	return nil
}
