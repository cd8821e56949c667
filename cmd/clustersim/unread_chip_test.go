package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// chipLaws are prices of all operators on a chip.
func chipLaws(file string) (string, error) {
	c, err := topologies.LoadChip(file)
	if err != nil {
		return "", err
	}
	s, err := law.New(c)
	if err != nil {
		return "", err
	}
	return moving(operatorPrices(s)), nil
}

func chipSteps(file string, on ...string) (string, error) {
	c, err := topologies.LoadChip(file)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, ref := range on {
		t := system(ref).topology.WithChip(c)
		e, err := cost.DefaultEngine(c)
		if err != nil {
			return "", err
		}
		out.WriteString(e.Name)
		for _, x := range []struct {
			model  string
			layout cost.Layout
		}{{"deepseek-v4-flash", cost.Layout{DP: 16, EP: 16}}, {"qwen3-8b", cost.Layout{TP: 2}}} {
			m := shipped(x.model)
			f := m.Formats
			if x.model == "qwen3-8b" {
				f.Weights = models.INT8
			}
			if m, err = m.WithFormats(f); err != nil {
				return "", err
			}
			if m, _, err = cost.Substitute(m, c); err != nil {
				return "", err
			}
			out.WriteString(steps(cost.Config{Model: m, Topology: t, Engine: e, Layout: x.layout}))
		}
	}
	return out.String(), nil
}

func chipRun(file string) (string, error) {
	if _, err := topologies.LoadChip(file); err != nil {
		return "", err
	}
	return ran("--model qwen3-8b --topo hgx-h100:8 --set deployment.serve.chip=" + file + pool("serve", 1, 1, 1) +
		" --mode aggregated --concurrency 4 --requests 12 --input-tokens 500 --output-tokens 50")
}

func operatorPrices(s *law.Set) []law.Time {
	var out []law.Time
	variants := []law.Variant{law.BF16, law.FP8, law.FP8Block, law.NVFP4, law.INT8, law.MXFP8, law.W4A8, law.W4A16, law.W8A16, law.FP32}
	for _, n := range []float64{1, 24, 600, 30_000} {
		for _, v := range variants {
			out = append(out, s.GEMM(v, n, 512, 7168), s.GEMM(v, n, 9000, 128))
			for _, dispatched := range []bool{false, true} {
				out = append(out, s.MoE(law.MoE{Variant: v, Tokens: n, TopK: 8, Hidden: 4096, Inter: 1536, Pairs: n, Touched: min(n, 16), Dispatched: dispatched}))
			}
		}
		out = append(out, s.MegaMoE(law.MegaMoE{Tokens: n, TopK: 8, Hidden: 4096, Inter: 1536, Pairs: n, Touched: min(n, 16), EP: 8, Bandwidth: 4e11}),
			s.MegaMoE(law.MegaMoE{Tokens: n, TopK: 8, Hidden: 4096, Inter: 1536, Pairs: n, Touched: min(n, 16), EP: 8, Bandwidth: 9e13}),
			s.MHCPre(n, 64), s.MHCPost(n, 64), s.MHCPre(n, 7168), s.MHCPost(n, 7168), s.Elementwise(3, n*10_000), s.IndexerLogits(n, 1e5*n, 1e4*n), s.IndexerLogits(n, 1e8*n, n))
		for _, kv8 := range []bool{false, true} {
			out = append(out, blockPrices(s, n, kv8)...)
		}
		l := law.Linear{Batch: n, Tokens: 64 * n, Heads: 32, StateBytes: 1e6 * n, ActBytes: 1e4 * n, ConvBytes: 1e4 * n, Flops: 1e7 * n}
		out = append(out, s.LinearDecode(&l), s.LinearPrefill(&l))
	}
	return out
}

func blockPrices(s *law.Set, n float64, kv8 bool) []law.Time {
	var out []law.Time
	for _, v := range []law.Variant{law.BF16, law.FP8Block, law.NVFP4} {
		for _, bound := range []float64{1e4, 1e12} { // by memory, by arithmetic
			l := law.Linears{Variant: v, Bytes: 1e8, Flops16: bound * n, Flops8: bound * n, Flops4: bound * n}
			d := law.Decode{Batch: n, Rows: n, Heads: 64, KVHeads: 8, HeadDim: 128, KV8: kv8, KVBytes: 1e6 * n, CoreFlops: bound * n, Entries: 4096, Keys: 9000, IndexBytes: 1e6 * n, TopKActive: true, Linear: l}
			p := law.Prefill{Tokens: n, Chunks: 1, Heads: 64, KVHeads: 8, HeadDim: 128, KV8: kv8, Pairs: n * n, Tiles: n/128 + 1, Longest: n, CoreFlops: bound * n, IOBytes: 1e5 * n,
				KVBytes: 1e5 * n, GatherBytes: 1e7 * n, IndexFlops: 1e8 * n, ScoreBytes: 1e5 * n, ActBytes: 1e5 * n, Linear: l}
			out = append(out, s.GQADecode(&d), s.MLAKernelDecode(&d), s.MLADecode(&d), s.DSADecode(&d), s.CSADecode(&d), s.HCADecode(&d),
				s.GQAPrefill(&p), s.MLAKernelPrefill(&p), s.MLAPrefill(&p), s.DSAPrefill(&p), s.CSAPrefill(&p), s.HCAPrefill(&p))
		}
	}
	return out
}

// Every constant of every chip's operators moves a price of an operator of that chip; a
// kernel that another goes before does so where it is asked for by name.
func TestEveryConstantIsRead(t *testing.T) {
	for _, name := range topologies.ChipNames() {
		c, err := topologies.LoadChip(name)
		if err != nil {
			t.Fatal(err)
		}
		base := map[string]string{}
		prices := func(c *topologies.Chip, kernel string) string {
			var kernels []string
			if kernel != "" {
				kernels = []string{kernel}
			}
			s, err := law.New(c, kernels...)
			if err != nil {
				return ""
			}
			return moving(operatorPrices(s))
		}
		for class, variants := range c.Operators {
			for variant, k := range variants {
				for key, value := range k.Values {
					moved := false
					for _, kernel := range []string{"", variant} {
						if base[kernel] == "" {
							base[kernel] = prices(c, kernel)
						}
						for _, to := range []float64{value*1.25 + 0.01, value * 0.75, 0.5, 1} {
							changed := *c
							changed.Operators = maps.Clone(c.Operators)
							changed.Operators[class] = maps.Clone(variants)
							with := k
							with.Values = maps.Clone(k.Values)
							with.Values[key] = to
							changed.Operators[class][variant] = with
							if got := prices(&changed, kernel); got != "" && got != base[kernel] {
								moved = true
								break
							}
						}
						if moved {
							break
						}
					}
					if !moved {
						t.Errorf("%s: operators.%s.%s: %s: %g moves no price", name, class, variant, key, value)
					}
				}
			}
		}
	}
}
