package des

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Stream is a random stream of its own for one actor and purpose: the same seed
// and name give the same numbers in every process, whatever else is drawn.
func Stream(seed uint64, name string) *rand.Rand {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	h := sha256.Sum256(append(s[:], name...))
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:16])))
}

// Key is a stream's seed for draws that belong to a numbered thing (a request):
// Draw(key, number, i) does not depend on the order in which numbers are drawn.
type Key uint64

// NewKey derives the key of a purpose from the run's seed.
func NewKey(seed uint64, purpose string) Key { return Key(Stream(seed, purpose).Uint64()) }

// Uniform is draw i of a numbered owner, uniform in [0,1).
func (k Key) Uniform(number uint64, i uint64) float64 {
	return float64(mix(uint64(k)^mix(number+0x9e3779b97f4a7c15*(i+1)))>>11) / (1 << 53)
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
