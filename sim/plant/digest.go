package plant

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/clustersim/clustersim/sim/scenario"
)

// Digest is what was read, by the digest of its content.
func Digest(kind, name string, content any) scenario.Input {
	text, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("plant: %s %s has no JSON form: %v", kind, name, err))
	}
	sum := sha256.Sum256(text)
	return scenario.Input{Kind: kind, Name: name, SHA256: hex.EncodeToString(sum[:])}
}
