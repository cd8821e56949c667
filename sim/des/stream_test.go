package des

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// These numbers are part of every published result: a change of the generator or of the
// way a name is hashed changes them all. They were computed by a second program, in another
// language, from the definitions: SHA-256 of the seed (8 bytes, little-endian) and the name; PCG
// DXSM with 128 bits of state (O'Neill 2014, as in NumPy); two rounds of SplitMix64.
func TestStreamsAreTheSameEverywhere(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		name string
		want [3]uint64
	}{
		{0, "", [3]uint64{0x774eeec809f0eb48, 0x5ceecb0d09df55e0, 0xd95c4267b1fafdb}},
		{1, "arrivals", [3]uint64{0x57acaf9f836010a5, 0xe0495d85c4cc140a, 0xeff216659ef05db6}},
		{1, "lengths", [3]uint64{0x94aea3a4967858fa, 0x2abc7b4ca66de2e9, 0x525a3a734a6c8658}},
		{2, "arrivals", [3]uint64{0x9cafc68a610137ae, 0x1d60c20aa8ea5ff5, 0x3ed9e69dafdd937b}},
	} {
		s := Stream(c.seed, c.name)
		if got := [3]uint64{s.Uint64(), s.Uint64(), s.Uint64()}; got != c.want {
			t.Errorf("Stream(%d, %q): %#x, want %#x", c.seed, c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		seed      uint64
		purpose   string
		number, i uint64
		want      float64
	}{
		{1, "steps", 0, 0, 0.29132233952332354},
		{1, "steps", 0, 1, 0.10578053009531652},
		{1, "steps", 1, 0, 0.41704941242869975},
		{1, "output", 0, 0, 0.010798145652545443},
		{2, "steps", 999_999, 7, 0.6100073458127754},
	} {
		if got := NewKey(c.seed, c.purpose).Uniform(c.number, c.i); got != c.want {
			t.Errorf("NewKey(%d, %q).Uniform(%d, %d): %v, want %v", c.seed, c.purpose, c.number, c.i, got, c.want)
		}
	}
}

// A draw belongs to its owner: drawing others before it, or more of them, changes nothing.
func TestDrawsDoNotDependOnTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := NewKey(rapid.Uint64().Draw(t, "seed"), "purpose")
		numbers := rapid.SliceOfN(rapid.Uint64Range(0, 20), 1, 30).Draw(t, "numbers")
		first := map[uint64]float64{}
		for _, n := range numbers {
			u := key.Uniform(n, 3)
			if before, drawn := first[n]; drawn && before != u {
				t.Fatalf("owner %d draws %v, then %v", n, before, u)
			}
			if u < 0 || u >= 1 {
				t.Fatalf("%v is not in [0, 1)", u)
			}
			first[n] = u
		}
	})
}

// chiSquared counts draws in cells; with k cells its mean is k−1 and its variance 2(k−1).
func chiSquared(cells []int, draws int) (sigmas float64) {
	expected, sum := float64(draws)/float64(len(cells)), 0.0
	for _, c := range cells {
		sum += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	free := float64(len(cells) - 1)
	return (sum - free) / math.Sqrt(2*free)
}

// Draws are uniform and independent along owners, along a single owner's draws, and between
// neighbours of both, each in 256 cells (pairs in 16 × 16). The draws are fixed, so this
// passes always or never; 4 standard deviations are 1 in 30,000 for a sound generator.
func TestUniform(t *testing.T) {
	const draws = 1 << 18
	key := NewKey(1, "uniform")
	cell := func(a, b float64) int { return int(a*16)*16 + int(b*16) }
	for name, of := range map[string]func(i uint64) int{
		"owners":             func(i uint64) int { return int(key.Uniform(i, 0) * 256) },
		"draws of one owner": func(i uint64) int { return int(key.Uniform(7, i) * 256) },
		"low bits":           func(i uint64) int { return int(key.Uniform(i, 0)*(1<<53)) & 255 },
		"owner, next owner":  func(i uint64) int { return cell(key.Uniform(i, 0), key.Uniform(i+1, 0)) },
		"draw, next draw":    func(i uint64) int { return cell(key.Uniform(i, 0), key.Uniform(i, 1)) },
		"two purposes":       func(i uint64) int { return cell(key.Uniform(i, 0), NewKey(1, "other").Uniform(i, 0)) },
		"two seeds":          func(i uint64) int { return cell(key.Uniform(i, 0), NewKey(2, "uniform").Uniform(i, 0)) },
	} {
		cells, n := make([]int, 256), draws
		if name == "two purposes" || name == "two seeds" {
			n = 1 << 15 // a key costs a hash
		}
		for i := range n {
			cells[of(uint64(i))]++
		}
		if s := chiSquared(cells, n); math.Abs(s) > 4 {
			t.Errorf("%s: χ² is %.1f standard deviations off", name, s)
		}
	}
}

// Draw i of owner n must not be draw j of owner m for small numbers: the 2^20 first draws
// of 1,024 owners are all different, as 2^20 of 2^53 values should be.
func TestDrawsOfDifferentOwnersDiffer(t *testing.T) {
	key, seen := NewKey(1, "differ"), map[float64]bool{}
	for n := range uint64(1024) {
		for i := range uint64(1024) {
			seen[key.Uniform(n, i)] = true
		}
	}
	if len(seen) != 1<<20 {
		t.Errorf("%d of %d draws differ", len(seen), 1<<20)
	}
}

func BenchmarkUniform(b *testing.B) {
	key, sum, i := NewKey(1, "bench"), 0.0, uint64(0)
	for b.Loop() {
		sum += key.Uniform(i, 0)
		i++
	}
	if sum < 0 {
		b.Fatal(sum)
	}
}
