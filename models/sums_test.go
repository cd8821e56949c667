package models

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// pairsByHand adds min(⌊i/m⌋, k) token by token.
func pairsByHand(from, to, m, k int64) int64 {
	total, blocks, inBlock := int64(0), int64(0), int64(0)
	for i := int64(1); i <= to; i++ {
		if inBlock++; inBlock == m {
			blocks, inBlock = blocks+1, 0
		}
		if i > from {
			total += min(blocks, k)
		}
	}
	return total
}

func TestPairsUpToEqualsAddingOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 3000).Draw(t, "n")
		m := rapid.Int64Range(1, 300).Draw(t, "m")
		k := rapid.Int64Range(0, 200).Draw(t, "k")
		if got, want := pairsUpTo(n, m, k), pairsByHand(0, n, m, k); got.Cmp(big64(want)) != 0 {
			t.Fatalf("Σ min(⌊i/%d⌋, %d) to %d = %s, want %d", m, k, n, got, want)
		}
	})
}

// Beyond int64: Σ i to 2^40 is 2^39·(2^40 + 1).
func TestPairsUpToDoesNotOverflow(t *testing.T) {
	n := int64(1) << 40
	want, _ := new(big.Int).SetString("604462909807864343166976", 10)
	if got := pairsUpTo(n, 1, Unlimited); got.Cmp(want) != 0 {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A prefill costs what its tokens would cost as decodes in the same form,
// whatever is already cached.
func TestPrefillIsTheSumOfDecodes(t *testing.T) {
	for _, name := range Names() {
		m := mustLoad(t, name)
		rapid.Check(t, func(t *rapid.T) {
			prefix := rapid.Int64Range(0, 9000).Draw(t, "prefix")
			n := rapid.Int64Range(0, 20).Draw(t, "n")
			want := new(big.Int)
			for L := prefix + 1; L <= prefix+n; L++ {
				for _, l := range m.Layers {
					add(want, l.Attention.StateFlops)
					for _, p := range l.Attention.Pieces {
						addMul(want, p.Reads(m.Breaks, L), p.DecodeFlops)
					}
				}
			}
			if got := m.PrefillAttention(prefix, n, DecodeForm); got.Cmp(want) != 0 {
				t.Fatalf("%s: prefill of %d after %d costs %s, its decodes %s", name, n, prefix, got, want)
			}
		})
	}
}

// Chunks of a prompt add up to the whole, in either form.
func TestPrefillIsAdditiveInChunks(t *testing.T) {
	for _, name := range Names() {
		m := mustLoad(t, name)
		rapid.Check(t, func(t *rapid.T) {
			a := rapid.Int64Range(0, 1<<21).Draw(t, "a")
			b := rapid.Int64Range(0, 1<<21).Draw(t, "b")
			for _, form := range []Form{PrefillForm, DecodeForm} {
				sum := m.PrefillAttention(0, a, form)
				sum.Add(sum, m.PrefillAttention(a, b, form))
				if whole := m.PrefillAttention(0, a+b, form); whole.Cmp(sum) != 0 {
					t.Fatalf("%s: %d then %d cost %s, at once %s", name, a, b, sum, whole)
				}
			}
		})
	}
}

// Off the grid of the golden rows: floors, a context inside the window, a prefix.
func TestOffGrid(t *testing.T) {
	for _, row := range []struct {
		name                      string
		L                         int64
		decode, read, prefillAttn string
	}{
		{"deepseek-v4-pro", 127, "99987921340", "5130608", "146551078912"},
		{"deepseek-v4-pro", 5000, "108729276860", "25756408", "36177736433664"},
		{"deepseek-v4-pro", 100001, "126432713148", "87639576", "1924814270365696"},
		{"deepseek-v4-flash", 127, "27348095524", "", "51953795072"},
		{"deepseek-v4-flash", 5000, "29199340068", "", "10487532060672"},
		{"deepseek-v4-flash", 100001, "39315968548", "", "743935499567104"},
		{"deepseek-v3.2", 127, "77236895744", "", ""},
		{"deepseek-v3.2", 5000, "114745278464", "", ""},
		{"deepseek-v3.2", 100001, "209691557888", "", ""},
	} {
		c := mustLoad(t, row.name).Count(row.L)
		for _, x := range []struct {
			what, want string
			got        *big.Int
		}{{"decode FLOPs", row.decode, c.Decode.Total}, {"bytes read", row.read, c.DecodeKVBytesRead}, {"prefill attention", row.prefillAttn, c.PrefillAttentionFlops}} {
			if x.want != "" && x.got.String() != x.want {
				t.Errorf("%s at %d: %s = %s, want %s", row.name, row.L, x.what, x.got, x.want)
			}
		}
	}
	for name, want := range map[string]string{"deepseek-v4-pro": "22265577799680", "deepseek-v4-flash": "6808109875200"} {
		if got := mustLoad(t, name).PrefillAttention(1000, 3000, PrefillForm); got.String() != want {
			t.Errorf("%s: 3000 tokens after 1000 cost %s, want %s", name, got, want)
		}
	}
}

func TestPrefillLinearIsLinear(t *testing.T) {
	for _, name := range Names() {
		m := mustLoad(t, name)
		if got, want := m.PrefillLinear(4096), m.Count(4096).PrefillLinearFlops; got.Cmp(want) != 0 {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if got := m.PrefillLinear(-1); got.Sign() != 0 {
			t.Errorf("%s: %s for no tokens", name, got)
		}
	}
}
