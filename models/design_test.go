package models

import (
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// draw makes a random small document around one design of the table.
func draw(t *rapid.T, d design) *document {
	n := func(name string, from, to int64) int64 { return rapid.Int64Range(from, to).Draw(t, name) }
	pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
	groups := n("groups", 1, 4)
	a := &attentionDoc{
		Design: d.name, Heads: groups * n("heads", 1, 8), KVHeads: groups, HeadDim: 32 * n("head_dim", 1, 8), ValueDim: n("value_dim", 1, 128),
		NopeDim: n("nope_dim", 1, 128), RopeDim: n("rope_dim", 1, 32), QRank: n("q_rank", 1, 256), KVRank: 32 * n("kv_rank", 1, 16),
		OGroups: groups, ORank: n("o_rank", 1, 64), Window: n("window", 1, 512), Ratio: n("ratio", 1, 200), TopK: n("topk", 1, 300),
		IndexHeads: n("index_heads", 1, 8), IndexDim: 32 * n("index_dim", 1, 4), KeyHeads: groups, KeyDim: n("key_dim", 1, 64), Conv: n("conv", 0, 4),
		Rule: pick("rule", "delta", "kda", "lightning"), QKNorm: pick("qk_norm", "", "head", "all"), Bias: pick("bias", "", "qkv", "qkvo"),
		Sinks: rapid.Bool().Draw(t, "sinks"), OutputGate: rapid.Bool().Draw(t, "gate"), PerHeadKV: rapid.Bool().Draw(t, "per_head_kv"),
	}
	v := reflect.ValueOf(a).Elem()
	for i := 1; i < v.NumField(); i++ {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		need, takes := d.takes(key)
		if !takes || !need && rapid.Bool().Draw(t, "omit "+key) {
			v.Field(i).SetZero()
		}
	}
	doc := &document{
		Name: "drawn", Hidden: 64 * n("hidden", 1, 16), Vocab: 1000, MaxContext: 1 << 20, LayerCount: 3, HC: n("hc", 0, 4),
		Formats:   formatsDoc{Weights: rapid.SampledFrom(weightFormats).Draw(t, "weights"), KV: rapid.SampledFrom(cacheFormats).Draw(t, "kv")},
		Attention: map[string]*attentionDoc{"a": a}, FFN: map[string]*ffnDoc{"f": {Inter: 128}},
		Layers: []runDoc{{Pattern: []string{"a/f"}, Repeat: 3}},
	}
	if a.IndexDim > 0 {
		doc.Formats.Indexer = rapid.SampledFrom(cacheFormats).Draw(t, "indexer")
	}
	return doc
}

// What every design of the table must keep, for any parameters.
func TestDesignsConform(t *testing.T) {
	for _, d := range designs {
		t.Run(d.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m, err := fromDocument(draw(t, d), "drawn")
				if err != nil {
					t.Fatal(err)
				}
				conform(t, m, rapid.Int64Range(0, 5000).Draw(t, "L"))
			})
		})
	}
}

func conform(t *rapid.T, m *Model, L int64) {
	if m.Breaks[0] != Unlimited || len(m.Breaks) > MaxBreaks {
		t.Fatalf("breaks %v", m.Breaks)
	}
	now, next := m.Count(L), m.Count(L+1)
	before := reflect.ValueOf(now)
	after := reflect.ValueOf(next)
	for i := range before.NumField() {
		a, isInt := before.Field(i).Interface().(*big.Int)
		if !isInt {
			continue
		}
		b := after.Field(i).Interface().(*big.Int)
		if a.Sign() < 0 || b.Cmp(a) < 0 {
			t.Fatalf("%s is %s at %d and %s at %d", before.Type().Field(i).Name, a, L, b, L+1)
		}
	}
	if now.ParamsActive.Cmp(now.ParamsTotal) > 0 || now.ParamsTotal.Sign() <= 0 {
		t.Fatalf("active %s of %s", now.ParamsActive, now.ParamsTotal)
	}
	if next.Decode.Total.Cmp(now.Decode.Total) < 0 {
		t.Fatalf("decode FLOPs fall from %s to %s", now.Decode.Total, next.Decode.Total)
	}
	attention := m.Layers[0].Attention
	for _, p := range attention.Pieces {
		pieceConforms(t, m, p, L)
	}
	if attention.StateBytes < 0 || attention.StateFlops < 0 || attention.PrefillStateFlops < attention.StateFlops || attention.SmallKernels < 3 {
		t.Fatalf("state %+v", attention)
	}
	held := m.KVBytes(L)
	if now.KVBytes.Cmp(big64(held)) != 0 || now.KVStateBytes.Cmp(big64(m.KVStateBytes())) != 0 {
		t.Fatalf("held %d, counted %s", held, now.KVBytes)
	}
	step := now.PrefillAttentionFlops
	if grown := m.PrefillAttention(0, L+1, PrefillForm); grown.Cmp(step) < 0 {
		t.Fatalf("a longer prefill costs %s, the shorter %s", grown, step)
	}
}

// pieceConforms checks the exact counts against the continuous form that the
// engine adds up: min(L, break)/stride is never a whole entry away.
func pieceConforms(t *rapid.T, m *Model, p Piece, L int64) {
	if p.Stride < 1 || p.Break >= len(m.Breaks) || p.StoreBreak >= len(m.Breaks) || p.BytesRead <= 0 || p.BytesStored <= 0 || p.DecodeFlops <= 0 || p.PrefillFlops <= 0 {
		t.Fatalf("piece %+v of breaks %v", p, m.Breaks)
	}
	if m.Breaks[p.StoreBreak] < m.Breaks[p.Break] {
		t.Fatalf("piece %+v reads what it does not hold", p)
	}
	smooth := float64(min(L, m.Breaks[p.Break])) / float64(p.Stride)
	if exact := float64(p.Reads(m.Breaks, L)); exact > smooth || smooth-exact >= 1 {
		t.Fatalf("reads %v entries at %d, continuous form %v", exact, L, smooth)
	}
	if p.Reads(m.Breaks, L) > p.Holds(m.Breaks, L) {
		t.Fatalf("reads %d of %d entries", p.Reads(m.Breaks, L), p.Holds(m.Breaks, L))
	}
}

// The slope is what a long sequence grows by, over a whole number of blocks.
func TestSlopeIsGrowth(t *testing.T) {
	for _, name := range Names() {
		m := mustLoad(t, name)
		c := m.Count(1 << 20)
		grown := m.KVBytes(1<<20+128) - m.KVBytes(1<<20)
		if math.Abs(float64(grown)/128-c.KVBytesPerToken) > 1e-9*c.KVBytesPerToken {
			t.Errorf("%s grows by %v bytes a token, slope %v", name, float64(grown)/128, c.KVBytesPerToken)
		}
	}
}

// A design's keys are all keys of the schema, and every key serves some design.
func TestDesignKeysAreSchemaKeys(t *testing.T) {
	var keys, used []string
	for _, f := range (&attentionDoc{}).fields() {
		keys = append(keys, f.key)
	}
	for _, d := range designs {
		for _, key := range strings.Fields(d.need + " " + d.may) {
			if !slices.Contains(keys, key) {
				t.Errorf("design %s takes %s, which no file can hold", d.name, key)
			}
			used = append(used, key)
		}
	}
	v := reflect.TypeOf(attentionDoc{})
	for i := 1; i < v.NumField(); i++ {
		key, _, _ := strings.Cut(v.Field(i).Tag.Get("yaml"), ",")
		if !slices.Contains(keys, key) || !slices.Contains(used, key) {
			t.Errorf("attention key %s is checked by nobody or used by no design", key)
		}
	}
}

// Layer bytes plus what stands outside of layers is the checkpoint.
func TestLayerBytesSumToCheckpoint(t *testing.T) {
	for _, name := range Names() {
		m := mustLoad(t, name)
		total := m.Embedding.Bytes()
		if !m.Tied {
			total += m.Head.Bytes()
		}
		for _, l := range append(slices.Clone(m.Layers), m.MTP...) {
			all, replicated := l.LayerBytes()
			if replicated > all || replicated <= 0 {
				t.Errorf("%s: %d of %d bytes replicated", name, replicated, all)
			}
			total += all
		}
		for _, l := range m.MTPLinears {
			total += l.Bytes()
		}
		for _, x := range append(slices.Clone(m.Extra), m.MTPExtra...) {
			total += x.Bytes()
		}
		if got := m.Count(0).CheckpointBytes; got.Cmp(big64(total)) != 0 {
			t.Errorf("%s: checkpoint %s, sum of its parts %d", name, got, total)
		}
	}
}

// The breakdown by kind, times the layers of each, is the whole.
func TestBreakdownSums(t *testing.T) {
	for _, name := range Names() {
		m := mustLoad(t, name)
		c := m.Count(70001)
		core, indexer, state, held, fixed, prefill := new(big.Int), new(big.Int), new(big.Int), new(big.Int), new(big.Int), new(big.Int)
		weights := new(big.Int)
		for _, k := range c.Kinds {
			times := func(sum *big.Int, parts ...*big.Int) {
				for _, p := range parts {
					sum.Add(sum, new(big.Int).Mul(p, big64(k.Layers)))
				}
			}
			times(core, k.CoreFlops)
			times(indexer, k.IndexerFlops)
			times(state, k.StateFlops)
			times(held, k.KVBytesStored, k.WindowBytesStored, k.IndexBytesStored)
			times(fixed, k.StateBytes)
			times(prefill, k.PrefillCoreFlops, k.PrefillIndexerFlops, k.PrefillStateFlops)
			times(weights, k.AttentionLinearParams)
		}
		for _, f := range c.FFNs {
			weights.Add(weights, new(big.Int).Mul(f.Active, big64(f.Layers)))
		}
		for _, x := range []struct {
			what      string
			got, want *big.Int
		}{
			{"core", core, c.Decode.Core}, {"indexer", indexer, c.Decode.Indexer}, {"state FLOPs", state, c.Decode.State},
			{"KV bytes", held, c.KVBytes}, {"state", fixed, c.KVStateBytes}, {"prefill", prefill, c.PrefillAttentionFlops},
			{"linear", weights.Lsh(weights, 1), c.Decode.Linear},
		} {
			if x.got.Cmp(x.want) != 0 {
				t.Errorf("%s: %s sums to %s, whole is %s", name, x.what, x.got, x.want)
			}
		}
	}
}
