package models

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"testing"
)

// oracles reads testdata/golden.json, integers only, as paths to decimal text;
// testdata/README.md says what each counts.
func oracles(t *testing.T) map[string]map[string]json.RawMessage {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// flatten turns nested objects into "a.b.c" → number as written ("" for null).
func flatten(t *testing.T, prefix string, raw json.RawMessage, out map[string]string) {
	t.Helper()
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil && object != nil {
		for k, v := range object {
			flatten(t, prefix+"."+k, v, out)
		}
		return
	}
	out[prefix[1:]] = string(raw)
}

func mustLoad(t testing.TB, name string) *Model {
	t.Helper()
	m, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func with(t testing.TB, m *Model, f Formats) *Model {
	t.Helper()
	out, err := m.WithFormats(f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// measured gives every figure of the golden rows under its own name.
func measured(t *testing.T, name string, L int64) map[string]string {
	m := mustLoad(t, name)
	out := map[string]string{}
	put := func(key string, v *big.Int) { out[key] = v.String() }
	c := m.Count(L)
	fp8, bf16 := c, with(t, m, Formats{KV: BF16}).Count(L)
	if m.Formats.Indexer != "" {
		fp8 = with(t, m, Formats{Indexer: FP8}).Count(L)
		bf16 = with(t, m, Formats{KV: BF16, Indexer: BF16}).Count(L)
	}
	put("decode_flops.core", c.Decode.Core)
	put("decode_flops.indexer", c.Decode.Indexer)
	put("decode_flops.total", c.Decode.Total)
	if m.HC > 1 {
		v4Figures(m, c, fp8, bf16, put)
		return out
	}
	linear := new(big.Int).Add(c.Decode.Linear, c.Decode.Head)
	put("decode_flops.linear_incl_experts_and_head", linear)
	put("kv_bytes_bf16", bf16.KVBytes)
	put("kv_bytes_fp8", fp8.KVBytes)
	put("decode_kv_bytes_read_fp8", fp8.DecodeKVBytesRead)
	put("decode_kv_bytes_read_bf16", bf16.DecodeKVBytesRead)
	index := new(big.Int)
	for _, k := range c.Kinds {
		index.Add(index, new(big.Int).Mul(k.PrefillIndexerFlops, big64(k.Layers)))
	}
	put("prefill_indexer_flops", index)
	put("prefill_core_flops_mqa_form", new(big.Int).Sub(m.PrefillAttention(0, L, DecodeForm), index))
	out["prefill_core_flops_mha_form"] = "null"
	if m.Layers[0].Attention.Design == "mla" {
		put("prefill_core_flops_mha_form", c.PrefillAttentionFlops)
	}
	return out
}

func v4Figures(m *Model, c, fp8, bf16 Counts, put func(string, *big.Int)) {
	put("decode_flops.linear_incl_experts", c.Decode.Linear)
	put("decode_flops.hc", c.Decode.HC)
	put("decode_flops.lm_head", c.Decode.Head)
	window := new(big.Int)
	for _, k := range c.Kinds {
		window.Add(window, new(big.Int).Mul(k.WindowBytesStored, big64(k.Layers)))
		at := "per_layer." + k.Kind + "."
		put("layers."+k.Kind, big64(k.Layers))
		put(at+"kv_entries_attended", k.EntriesAttended)
		put(at+"core_flops", k.CoreFlops)
		put(at+"kv_bytes_read", k.KVBytesRead)
		put(at+"kv_bytes_stored_compressed", k.KVBytesStored)
		put(at+"kv_bytes_stored_window", k.WindowBytesStored)
		put(at+"prefill_core_flops", k.PrefillCoreFlops)
		put(at+"linear_params_attention", k.AttentionLinearParams)
		if k.Kind != "swa" {
			put(at+"compressor_state_bytes", k.StateBytes)
		}
		if k.Kind == "csa" {
			put(at+"indexer_flops", k.IndexerFlops)
			put(at+"indexer_bytes_read_fp4", k.IndexBytesRead)
			put(at+"indexer_bytes_stored_fp4", k.IndexBytesStored)
			put(at+"prefill_indexer_flops", k.PrefillIndexerFlops)
		}
	}
	for _, k := range fp8.Kinds {
		if k.Kind == "csa" {
			put("per_layer.csa.indexer_bytes_read_fp8", k.IndexBytesRead)
		}
	}
	put("kv_bytes.compressed_incl_indexer_fp4", new(big.Int).Sub(c.KVBytes, window))
	put("kv_bytes.compressed_incl_indexer_fp8", new(big.Int).Sub(fp8.KVBytes, window))
	put("kv_bytes.window", window)
	put("kv_bytes.compressor_state", c.KVStateBytes)
	put("kv_bytes.bf16_total", bf16.KVBytes)
	put("decode_kv_bytes_read_fp4_indexer", c.DecodeKVBytesRead)
	put("prefill_attention_flops", c.PrefillAttentionFlops)
	put("prefill_linear_flops", c.PrefillLinearFlops)
}

// Every integer of the golden rows, exactly.
func TestGolden(t *testing.T) {
	leaves := 0
	for name, rows := range oracles(t) {
		for row, raw := range rows {
			t.Run(name+"/"+row, func(t *testing.T) {
				want := map[string]string{}
				flatten(t, "", raw, want)
				leaves += len(want)
				if row == "params" {
					c := mustLoad(t, name).Count(0)
					got := map[string]string{"params_total": c.ParamsTotal.String(), "params_active": c.ParamsActive.String(), "checkpoint_bytes": c.CheckpointBytes.String()}
					compare(t, want, got)
					return
				}
				L, err := strconv.ParseInt(row, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, want, measured(t, name, L))
			})
		}
	}
	if leaves != 460 {
		t.Errorf("compared %d leaves, want 460", leaves)
	}
}

func compare(t *testing.T, want, got map[string]string) {
	t.Helper()
	for key, w := range want {
		if g, ok := got[key]; !ok || g != w {
			t.Errorf("%s = %s, want %s", key, fmt.Sprint(g), w)
		}
	}
}
