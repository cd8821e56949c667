package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/traces"
)

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
