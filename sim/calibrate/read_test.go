package calibrate

import (
	"bytes"
	"compress/gzip"
	"context"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

const gemmHeader = "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n"

func load(t testing.TB, name string) *topologies.Chip {
	t.Helper()
	c, err := topologies.LoadChip(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t testing.TB, chip, text string) *Rows {
	t.Helper()
	r := NewReader(load(t, chip), topologies.ChipNames())
	if err := r.Read("t.csv", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return r.Rows()
}

func TestRepeatsAreOneSampleOfTheirMedian(t *testing.T) {
	rows := read(t, "h100", gemmHeader+
		"SGLang,1,NVIDIA H100,gemm,torch,bfloat16,1,512,512,0.004\n"+
		"SGLang,1,NVIDIA H100,gemm,torch,bfloat16,1,512,512,0.009\n"+
		"SGLang,1,NVIDIA H100,gemm,torch,bfloat16,1,512,512,0.005\n"+
		"SGLang,1,NVIDIA H100,gemm,torch,bfloat16,2,512,512,0.006\n")
	if len(rows.Samples) != 2 || rows.Read != 4 {
		t.Fatalf("%d samples of %d rows", len(rows.Samples), rows.Read)
	}
	if s := rows.Samples[0]; s.Rows != 3 || s.Seconds != 5e-6 || s.Size != 1 {
		t.Errorf("%+v", s)
	}
}

func TestPackedTablesReadLikePlainOnes(t *testing.T) {
	text := gemmHeader + "SGLang,1,NVIDIA H100,gemm,torch,fp8,64,512,512,0.004\n"
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write([]byte(text))
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	z.Write([]byte(text))
	z.Close()
	for name, data := range map[string][]byte{"plain": []byte(text), "gzip": gz.Bytes(), "zstd": zs.Bytes()} {
		r := NewReader(load(t, "h100"), nil)
		if err := r.Read(name, bytes.NewReader(data)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if rows := r.Rows(); len(rows.Samples) != 1 || rows.Samples[0].Variant != "fp8" {
			t.Errorf("%s: %+v", name, rows)
		}
	}
}

func TestFaultsNameTheirPlaceAllAtOnce(t *testing.T) {
	r := NewReader(load(t, "h100"), nil)
	err := r.Read("t.csv", strings.NewReader(gemmHeader+
		"SGLang,1,NVIDIA H100,gemm,torch,bfloat16,1,512,512,-4\n"+
		"SGLang,1,NVIDIA H100,gem,torch,bfloat16,1,512,512,4\n"+
		"SGLang,1,NVIDIA H100,gemm,torch,bfloat16,one,512,512,4\n"))
	for _, want := range []string{
		`t.csv:2:52: latency: want a number from 1e-09 to 1e+09, got "-4"`,
		`t.csv:3:22: op_name: unknown operator "gem"; did you mean "gemm"?`,
		`t.csv:4:42: m: want a number from 1 to 2.147483648e+09, got "one"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in\n%v", want, err)
		}
	}
	for text, want := range map[string]string{
		"": "is empty", "a,b\n1,2\n": "unknown kind of table",
		"op_name,latency,gem_dtype\n":                            `t.csv:1:17: unknown column "gem_dtype"; did you mean "gemm_dtype"?`,
		"op_name,latency,nccl_dtype\nall_reduce,1,half\n":        "timings of communication",
		"op_name,latency\ngemm,1\n":                              `the table has no column "m"`,
		"op_name,latency,latency\n":                              "twice",
		"op_name,latency\n\"gemm,1\n":                            "t.csv:2",
		"id,source,hardware,op,dtype,shape,latency_us\n1\n":      "t.csv:1: column \"batch_or_tokens\" is missing",
		"\x28\xb5\x2f\xfd\x00\x00\x00\x00broken":                 "t.csv",
		"op_name,latency,m,n,k,gemm_dtype\ngemm,NaN,1,1,1,fp8\n": "t.csv:2:6: latency",
	} {
		r := NewReader(load(t, "h100"), nil)
		if err := r.Read("t.csv", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want %q, got %v", text, want, err)
		}
	}
}

func TestAnotherChipsTimingsAreLeftOut(t *testing.T) {
	row := "SGLang,1,NVIDIA GB300,gemm,torch,bfloat16,1,512,512,0.004\n"
	rows := read(t, "b300", gemmHeader+row)
	if len(rows.Samples) != 0 || len(rows.LeftOut) != 1 || rows.LeftOut[0].Why != "timed on NVIDIA GB300, not on b300" {
		t.Errorf("%+v", rows)
	}
	if rows := read(t, "gb300", gemmHeader+row); len(rows.Samples) != 1 {
		t.Errorf("%+v", rows.LeftOut)
	}
}

const kernelsHeader = "id,source,hardware,op,dtype,shape,batch_or_tokens,ctx_or_isl,ranks,latency_us,tflops,gbps,notes\n"

// TestBothKindsOfTableSayTheSame gives one call in either kind.
func TestBothKindsOfTableSayTheSame(t *testing.T) {
	s, err := law.New(load(t, "b200"))
	if err != nil {
		t.Fatal(err)
	}
	aic := "op_name,kernel_source,latency,"
	for _, c := range []struct{ kernels, header, row string }{
		{"gemm,nvfp4,m=64;n=4096;k=7168,64,", "gemm_dtype,m,n,k", "gemm,x,1,nvfp4,64,4096,7168"},
		{"moe,fp8_block,h=4096;i=1536;E=128;topk=8;ep=4;balanced,256,", "moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,distribution",
			"moe,sglang_flashinfer_trtllm_moe,1,fp8_block,256,4096,1536,8,128,1,4,balanced"},
		{"attention_decode,bfloat16/kv fp8,h=32;kv=8;d=128,64,4095", "batch_size,step,num_heads,num_key_value_heads,head_dim,beam_width,kv_cache_dtype",
			"generation_attention,x,1,64,4095,32,8,128,1,fp8"},
		{"attention_prefill_causal,bfloat16/kv bfloat16,h=32;kv=8;d=128,2,2048", "batch_size,isl,step,num_heads,num_key_value_heads,head_dim,beam_width,attn_dtype,kv_cache_dtype",
			"context_attention,x,1,2,2048,0,32,8,128,1,bfloat16,bfloat16"},
		{"mla_decode,bfloat16/kv bfloat16,heads=128;576/512,8,1023", "batch_size,isl,step,num_heads,kv_cache_dtype", "mla_generation,x,1,8,1,1023,128,bfloat16"},
		{"gdn_update,bfloat16,kh=16;dk=128;vh=32;dv=128,8,1", "batch_size,seq_len,num_k_heads,head_k_dim,num_v_heads,head_v_dim,d_conv",
			"gdn,fused_recurrent_gated_delta_rule,1,8,1,16,128,32,128,4"},
		{"mhc_pre,bfloat16,d=7168,64,", "num_tokens,hidden_size,num_sites", "pre,x,1,64,7168,2"},
	} {
		op, rest, _ := strings.Cut(c.kernels, ",")
		a := read(t, "b200", kernelsHeader+"1,me,b200_sxm,"+op+","+rest+",1,1000,,,sglang_flashinfer_trtllm_moe\n")
		b := read(t, "b200", aic+c.header+"\n"+c.row+"\n")
		if len(a.Samples) != 1 || len(b.Samples) != 1 {
			t.Fatalf("%s: %+v %+v", op, a, b)
		}
		x, y := a.Samples[0], b.Samples[0]
		if x.Class != y.Class || x.Variant != y.Variant || x.Key != y.Key || x.Part != y.Part {
			t.Errorf("%s: %+v is not %+v", op, x, y)
		}
		if p, q := x.Time(s).Total(), y.Time(s).Total(); p != q || !(p > 0) {
			t.Errorf("%s: %g s and %g s", op, p, q)
		}
		if math.Abs(x.Seconds-y.Seconds) > 1e-12 {
			t.Errorf("%s: measured %g s and %g s", op, x.Seconds, y.Seconds)
		}
	}
}

// TestRowsOfBench reads what calibrate bench writes of each operator that a class takes.
func TestRowsOfBench(t *testing.T) {
	var b strings.Builder
	b.WriteString(kernelsHeader)
	for _, row := range []string{
		"gemm,bfloat16,m=32;n=256;k=512,32,", "gemm_fused,fp8,m=32;n=256;k=512,32,", "moe_dispatched,fp8,h=128;i=128;E=8;topk=2;ep=2;balanced,16,",
		"moe_dispatched,bfloat16,h=128;i=128;E=8;topk=2;ep=2;balanced,16,", "attention_decode,bfloat16,h=8;kv=2;d=64,3,95",
		"attention_prefill_causal,bfloat16,h=8;kv=2;d=64,2,64", "mla_decode,bfloat16,heads=16;576/512,2,63", "mla_prefill_causal,bfloat16,heads=4;192/128,2,64",
		"indexer_logits,bfloat16,heads=8,3,64", "gdn_update,bfloat16,kh=2;dk=64;vh=4;dv=64,3,", "mhc_pre,bfloat16,d=256;hc=4,6,", "elementwise,bfloat16,layer_norm;h=256;kernels=1;bytes=5120,5,",
	} {
		b.WriteString("x,calibrate bench,h100," + row + ",1,10,,,sdpa graph\n")
	}
	rows := read(t, "h100", b.String())
	if len(rows.Samples) != 12 || len(rows.LeftOut) != 0 {
		t.Fatalf("%d samples, left out %+v", len(rows.Samples), rows.LeftOut)
	}
	report, err := Run(context.Background(), load(t, "h100"), rows, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Fits {
		if f.Class == "moe_dispatched" && f.Residual.Median > 10 {
			t.Errorf("%s %s: the law does not read what is fitted: %v", f.Class, f.Variant, f.Residual)
		}
	}
}

// TestHeaviestRank holds drawn loads to what is certain of them.
func TestHeaviestRank(t *testing.T) {
	one := drawHeaviest(skewKey{1024, 8, 128, 1, 1.2})
	if math.Abs(one.pairs/8192-1) > 0.01 {
		t.Errorf("one rank has %g of 8192 pairs", one.pairs)
	}
	last := 1.0
	for _, ep := range []float64{2, 4, 8, 16, 32, 64, 128} {
		h := drawHeaviest(skewKey{1024, 8, 128, ep, 1.2})
		over := h.pairs / (8192 / ep)
		if over < last || h.touched > 128/ep || h.pairs > 8192 {
			t.Errorf("EP%g: heaviest rank has %.2f of the mean (%.2f with fewer ranks), %g experts", ep, over, last, h.touched)
		}
		last = over
	}
	flat, steep := drawHeaviest(skewKey{4096, 8, 256, 32, 0.2}), drawHeaviest(skewKey{4096, 8, 256, 32, 2})
	if flat.pairs >= steep.pairs {
		t.Errorf("a flatter law has the heavier rank: %g, %g", flat.pairs, steep.pairs)
	}
}

// TestPicksInvertsChance: tokens that keep a share s of their k picks here.
func TestPicksInvertsChance(t *testing.T) {
	const all, k, s = 4096, 8, 1.0 / 16
	here := all * (1 - math.Pow(1-s, k))
	if got := picks(here, all, k, 16); math.Abs(got/(all*k*s)-1) > 1e-9 {
		t.Errorf("%g pairs, want %g", got, all*k*s)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(gemmHeader + "SGLang,1,NVIDIA H100,gemm,torch,bfloat16,1,512,512,0.004\n"))
	f.Add([]byte(kernelsHeader + "1,InferSim x,H100,mha_decode,bf16/kv bf16,128-2-128,1,1024,,28.3,,,mfu=0.1\n"))
	f.Add([]byte(kernelsHeader + "1,me,H100,moe,fp8_block,h=4096;i=1536;E=128;topk=8;ep=4;power_law_1.2,256,,,9,,,triton\n"))
	f.Add([]byte("op_name,latency,batch_size,isl,step,num_heads,kv_cache_dtype,gemm_type,model,compress_ratio\ndsv4_csa_context_module,1,1,128,0,64,fp8,bfloat16,Flash,4\n"))
	chip := load(f, "h100")
	s, err := law.New(chip)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(chip, nil)
		if err := r.Read("f.csv", bytes.NewReader(data)); err != nil {
			return
		}
		for _, x := range r.Rows().Samples {
			if formOf(x.Class, x.Variant) == nil || !(x.Seconds > 0) || x.Shape == "" {
				t.Fatalf("%+v", x)
			}
			if v := x.Time(s).Total(); !(v >= 0) || math.IsInf(v, 0) {
				t.Fatalf("%+v: %g s", x, v)
			}
		}
	})
}
