package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/topologies"
	"github.com/clustersim/clustersim/traces"
)

// Inputs are what a scenario reads, by digest, without running it: its model, topology,
// engine and libraries, the chips that its pools name, its workload profile, and the
// files of its trace and of its measured routing. Standard input is left out: nobody can
// read it twice.
func Inputs(s *scenario.Scenario, from plant.Source) ([]scenario.Input, error) {
	s = s.Clone()
	s.Defaults()
	in, err := plant.Load(s, from)
	if err != nil {
		return nil, err
	}
	all := in.Digests
	for _, p := range []*scenario.Pool{s.Deployment.Prefill, s.Deployment.Decode, s.Deployment.Serve} {
		if p != nil && p.Chip != "" {
			chip, err := topologies.LoadChip(p.Chip, from.TopologyDirs...)
			if err != nil {
				return nil, err
			}
			all = append(all, plant.Digest("chip", p.Chip, chip))
		}
	}
	if w := s.Workload; w != nil && w.Profile != "" {
		g, err := plant.Generator(&scenario.Workload{Profile: w.Profile, Rate: 1, Requests: 1}, s.Patches, s.Seed)
		if err != nil {
			return nil, err
		}
		all = append(all, plant.Digest("workload", w.Profile, g))
	}
	if file, is := strings.CutPrefix(strings.TrimSpace(s.Deployment.Routing), string(cost.Histogram)+" "); is {
		if all, err = withFile(all, "routing", strings.TrimSpace(file)); err != nil {
			return nil, err
		}
	}
	if t := s.Trace; t != nil && t.File != "-" && t.File != "sample" {
		return withFile(all, "trace", t.File)
	}
	return all, nil
}

func withFile(all []scenario.Input, kind, name string) ([]scenario.Input, error) {
	in, err := digestFile(name)
	in.Kind = kind
	return append(all, in), err
}

// digestFile is a trace by the digest of its file.
func digestFile(name string) (scenario.Input, error) {
	file, err := os.Open(name)
	if err != nil {
		return scenario.Input{}, err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return scenario.Input{}, fmt.Errorf("%s: %w", name, err)
	}
	return scenario.Input{Kind: "trace", Name: name, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// streamed is a trace that is no file, such as standard input: its digest is that of
// the requests it has yielded.
type streamed struct {
	traces.Source
	name string
	sum  hash.Hash
	text []byte
}

func (s *streamed) Next() (traces.Request, error) {
	r, err := s.Source.Next()
	if err == nil {
		s.text = binary.LittleEndian.AppendUint64(s.text[:0], uint64(r.Arrival))
		s.text = binary.LittleEndian.AppendUint32(s.text, uint32(r.InputTokens))
		s.text = binary.LittleEndian.AppendUint32(s.text, uint32(r.OutputTokens))
		s.text = binary.LittleEndian.AppendUint64(s.text, uint64(len(r.Prefix)))
		for _, id := range r.Prefix {
			s.text = binary.LittleEndian.AppendUint64(s.text, id)
		}
		s.sum.Write(s.text)
	}
	return r, err
}

func (s *streamed) digest() scenario.Input {
	return scenario.Input{Kind: "trace", Name: s.name, SHA256: hex.EncodeToString(s.sum.Sum(nil))}
}
