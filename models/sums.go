package models

import "math/big"

func big64(n int64) *big.Int { return big.NewInt(n) }

func add(sum *big.Int, n int64) { sum.Add(sum, big64(n)) }

func addMul(sum *big.Int, a, b int64) {
	p := big64(a)
	sum.Add(sum, p.Mul(p, big64(b)))
}

// pairsUpTo is Σ_{i=1..n} min(⌊i/m⌋, k), the (query, entry) pairs of a prefill
// of n tokens: below t = m·k, floor sums m·Q(Q−1)/2 + Q(r+1) with Q = ⌊t/m⌋ and
// r = t mod m; above, k each.
func pairsUpTo(n, m, k int64) *big.Int {
	t := n
	if n/m >= k {
		t = m * k
	}
	q := big64(t / m)
	sum := new(big.Int).Mul(q, new(big.Int).Sub(q, big64(1)))
	sum.Mul(sum, big64(m)).Rsh(sum, 1)
	sum.Add(sum, q.Mul(q, big64(t%m+1)))
	addMul(sum, n-t, k)
	return sum
}

// group is one *Attention with the number of main and draft layers that use it.
type group struct {
	attention *Attention
	main, mtp int64
}

// groups lists the distinct attentions in the order of their first layer.
func (m *Model) groups() []group {
	var out []group
	at := func(a *Attention) *group {
		for i := range out {
			if out[i].attention == a {
				return &out[i]
			}
		}
		out = append(out, group{attention: a})
		return &out[len(out)-1]
	}
	for _, l := range m.Layers {
		at(l.Attention).main++
	}
	for _, l := range m.MTP {
		at(l.Attention).mtp++
	}
	return out
}

// kinds counts one layer of every kind.
func (m *Model) kinds(L int64) []KindCount {
	var out []KindCount
	for _, g := range m.groups() {
		out = append(out, g.attention.count(m.Breaks, g.main, L))
	}
	return out
}

func (a *Attention) count(breaks []int64, layers, L int64) KindCount {
	k := KindCount{
		Kind: a.Label, Design: a.Design, Layers: layers,
		AttentionLinearParams: big64(sumParams(a.Linears)), EntriesAttended: new(big.Int),
		CoreFlops: new(big.Int), IndexerFlops: new(big.Int), StateFlops: big64(a.StateFlops),
		KVBytesRead: new(big.Int), IndexBytesRead: new(big.Int), KVBytesStored: new(big.Int),
		WindowBytesStored: new(big.Int), IndexBytesStored: new(big.Int), StateBytes: big64(a.StateBytes),
		PrefillCoreFlops: new(big.Int), PrefillIndexerFlops: new(big.Int), PrefillStateFlops: new(big.Int),
	}
	addMul(k.PrefillStateFlops, L, a.PrefillStateFlops)
	for _, p := range a.Pieces {
		read, held := p.Reads(breaks, L), p.Holds(breaks, L)
		stored := k.KVBytesStored
		if p.StoreBreak != 0 {
			stored = k.WindowBytesStored
		}
		if p.Role == Index {
			addMul(k.IndexerFlops, read, p.DecodeFlops)
			addMul(k.IndexBytesRead, read, p.BytesRead)
			addMul(k.IndexBytesStored, held, p.BytesStored)
			k.PrefillIndexerFlops.Add(k.PrefillIndexerFlops, p.prefill(breaks, 0, L, PrefillForm))
			continue
		}
		add(k.EntriesAttended, read)
		addMul(k.CoreFlops, read, p.DecodeFlops)
		addMul(k.KVBytesRead, read, p.BytesRead)
		addMul(stored, held, p.BytesStored)
		k.PrefillCoreFlops.Add(k.PrefillCoreFlops, p.prefill(breaks, 0, L, PrefillForm))
	}
	return k
}

func sumParams(ls []Linear) int64 {
	total := int64(0)
	for _, l := range ls {
		total += l.Params()
	}
	return total
}
