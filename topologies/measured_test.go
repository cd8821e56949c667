package topologies

import (
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// measured reads a table of timings beside the checkout; those of the public kernel
// tables that the laws were fitted on.
func measured(t *testing.T, name string) []map[string]string {
	t.Helper()
	return rowsOf(t, open(t, "facts", "hardware", "measured", name))
}

// kernels reads a compressed table of the public kernel timings, see measured.
func kernels(t *testing.T, name string) []map[string]string {
	t.Helper()
	z, err := zstd.NewReader(open(t, "validation", "kernels_aic", name+".csv.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return rowsOf(t, z)
}

// open is a file beside the checkout. Without that folder the test skips, unless
// CLUSTERSIM_SHARED says that it must be there.
func open(t *testing.T, path ...string) io.Reader {
	t.Helper()
	dir := os.Getenv("CLUSTERSIM_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
		if _, err := os.Stat(dir); err != nil {
			t.Skip("no folder of measured tables beside the checkout (CLUSTERSIM_SHARED names one)")
		}
	}
	f, err := os.Open(filepath.Join(dir, filepath.Join(path...)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// rowsOf are a CSV table's rows by column.
func rowsOf(t *testing.T, table io.Reader) []map[string]string {
	t.Helper()
	rows, err := csv.NewReader(table).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]map[string]string, len(rows)-1)
	for i, r := range rows[1:] {
		out[i] = map[string]string{}
		for j, k := range rows[0] {
			out[i][k] = r[j]
		}
	}
	return out
}

func num(t *testing.T, row map[string]string, key string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(row[key], 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return v
}

// residuals are |predicted/measured − 1| in percent, sorted.
type residuals []float64

func (r *residuals) add(predicted, measured float64) {
	*r = append(*r, 100*math.Abs(predicted/measured-1))
}

func (r residuals) check(t *testing.T, what string, atLeast int, median, p90 float64) {
	t.Helper()
	slices.Sort(r)
	if len(r) < atLeast {
		t.Fatalf("%s: %d rows, want at least %d", what, len(r), atLeast)
	}
	m, p := r[len(r)/2], r[len(r)*9/10]
	t.Logf("%s: %d rows, median %.1f %%, p90 %.1f %%", what, len(r), m, p)
	if m > median || p > p90 {
		t.Errorf("%s: median %.1f %%, p90 %.1f %%, want at most %v and %v", what, m, p, median, p90)
	}
}

func system(t testing.TB, ref string) *Topology {
	t.Helper()
	x, err := Load(ref)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func library(t testing.TB, x *Topology, name string) *Library {
	t.Helper()
	l, err := x.Library(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The tables count sizes as nccl-tests does: what each collective's bytes mean
// is said at its function.
func TestNCCLTables(t *testing.T) {
	elem := map[string]float64{"half": 2, "int8": 1}
	for file, ref := range map[string]string{
		"a100_sxm_comm_nccl_2.27.3_nccl_perf.csv": "hgx-a100",
		"h100_sxm_comm_nccl_2.29.2_nccl_perf.csv": "hgx-h100",
		"h200_sxm_comm_nccl_2.29.2_nccl_perf.csv": "hgx-h200",
		"b200_sxm_comm_nccl_2.29.2_nccl_perf.csv": "hgx-b200",
		"gb200_comm_nccl_2.29.2_nccl_perf.csv":    "gb200-nvl72",
		"gb300_comm_nccl_2.29.2_nccl_perf.csv":    "gb300-nvl72",
	} {
		x := system(t, ref)
		l := library(t, x, "nccl")
		var all residuals
		for _, r := range measured(t, file) {
			n, bytes, us := int(num(t, r, "num_gpus")), num(t, r, "message_size")*elem[r["nccl_dtype"]], num(t, r, "latency")*1e3
			var c Comm
			switch r["op_name"] {
			case "all_reduce":
				c = x.AllReduce(l, n, bytes, 1)
			case "all_gather":
				c = x.AllGather(l, n, bytes, 1)
			case "reduce_scatter":
				c = x.ReduceScatter(l, n, bytes, 1)
			case "alltoall":
				c = x.AllToAll(l, n, bytes, 1)
			default:
				t.Fatalf("op %q", r["op_name"])
			}
			all.add(c.Total()*1e6, us)
		}
		all.check(t, ref, 100, 7, 21)
	}
}

func TestCustomAllReduceTables(t *testing.T) {
	for file, ref := range map[string]string{
		"h100_sxm_comm_trtllm_1.3.0rc20_custom_allreduce_perf.csv": "hgx-h100",
		"gb200_comm_trtllm_1.3.0rc20_custom_allreduce_perf.csv":    "gb200-nvl72",
	} {
		x := system(t, ref)
		l := library(t, x, "custom-allreduce")
		var all residuals
		for _, r := range measured(t, file) {
			bytes := 2 * num(t, r, "message_size")
			if bytes > 8e6 {
				continue
			}
			all.add(x.AllReduce(l, int(num(t, r, "num_gpus")), bytes, 1).Total()*1e6, num(t, r, "latency")*1e3)
		}
		all.check(t, ref, 20, 8, 24) // pooled over sglang and TensorRT-LLM the fit has 4.5 and 13.1 %
	}
}

func TestDeepEPLowLatencyTables(t *testing.T) {
	rows := measured(t, "h100_sxm_comm_sglang_0.5.6.post2_wideep_deepep_ll_perf.csv")
	var dispatch, combine residuals
	for _, r := range rows {
		tokens, nodes := num(t, r, "num_token"), int(num(t, r, "node_num"))
		if tokens < 32 || nodes < 2 { // below, the harness masked 10 of the slots sent; one node: see the newer table
			continue
		}
		x := system(t, "hgx-h100:"+strconv.Itoa(8*nodes))
		l := library(t, x, "deepep-ll")
		h := num(t, r, "hidden_size")
		m := MoE{Ranks: 8 * nodes, Tokens: tokens, TopK: int(num(t, r, "num_topk")), Experts: int(num(t, r, "num_experts")), BytesPerCopy: h + h/32}
		dispatch.add(x.Dispatch(l, m).Total()*1e6, num(t, r, "dispatch_avg_t_us"))
		m.BytesPerCopy = 2 * h
		combine.add(x.Combine(l, m).Total()*1e6, num(t, r, "combine_avg_t_us"))
	}
	dispatch.check(t, "H100 dispatch, 2 to 8 nodes", 9, 4, 8)
	combine.check(t, "H100 combine, 2 to 8 nodes", 9, 4, 9)
	for file, ref := range map[string]string{
		"b200_sxm_comm_sglang_0.5.12_wideep_deepep_ll_perf.csv": "hgx-b200",
		"gb200_comm_sglang_0.5.12_wideep_deepep_ll_perf.csv":    "gb200-nvl72",
	} {
		x := system(t, ref)
		l := library(t, x, "deepep-ll")
		ranks := min(8, x.Tiers[0].Size)
		if ref == "gb200-nvl72" {
			ranks = 4
		}
		var dispatch, combine residuals
		for _, r := range measured(t, file) {
			h, e := num(t, r, "hidden_size"), int(num(t, r, "num_experts"))
			if r["node_num"] != "1" || e/ranks < 4 {
				continue
			}
			m := MoE{Ranks: ranks, Tokens: num(t, r, "num_token"), TopK: int(num(t, r, "num_topk")), Experts: e, BytesPerCopy: h + h/32}
			dispatch.add(x.Dispatch(l, m).Total()*1e6, num(t, r, "dispatch_avg_t_us"))
			m.BytesPerCopy = 2 * h
			combine.add(x.Combine(l, m).Total()*1e6, num(t, r, "combine_avg_t_us"))
		}
		dispatch.check(t, ref+" dispatch", 50, 5, 13)
		combine.check(t, ref+" combine", 50, 7, 15)
	}
}

func TestTRTLLMAllToAllTable(t *testing.T) {
	x := system(t, "gb200-nvl72")
	width := map[string]float64{"bfloat16": 2, "fp8": 1, "nvfp4": 0.5 + 1.0/16}
	byKind := map[string]*residuals{"alltoall_dispatch": {}, "alltoall_combine": {}, "alltoall_prepare": {}}
	l := library(t, x, "trtllm-alltoall")
	alone := *l
	law := *l.Dispatch
	law.Prepare = nil
	alone.Dispatch = &law
	for _, r := range measured(t, "gb200_comm_trtllm_1.3.0rc10_trtllm_alltoall_perf.csv") {
		w, known := width[r["moe_dtype"]]
		m := MoE{Ranks: int(num(t, r, "moe_ep_size")), Tokens: num(t, r, "num_tokens"), TopK: 8, Experts: 256, Balanced: true}
		kind := byKind[r["op_name"]]
		if r["kernel_source"] != "NVLinkTwoSided" || !known || m.Ranks < 8 || kind == nil {
			continue
		}
		h, us := num(t, r, "hidden_size"), num(t, r, "latency")*1e3
		switch r["op_name"] {
		case "alltoall_dispatch":
			m.BytesPerCopy = w * h
			kind.add(x.Dispatch(&alone, m).Total()*1e6, us)
		case "alltoall_prepare":
			m.BytesPerCopy = w * h
			kind.add((x.Dispatch(l, m).Total()-x.Dispatch(&alone, m).Total())*1e6, us)
		case "alltoall_combine":
			m.BytesPerCopy = 2 * h
			if m.Ranks == 64 && m.Tokens < 50 {
				continue // outliers of the table
			}
			kind.add(x.Combine(l, m).Total()*1e6, us)
		}
	}
	byKind["alltoall_dispatch"].check(t, "two-sided dispatch", 40, 3, 8)
	byKind["alltoall_combine"].check(t, "two-sided combine", 40, 4, 12)
	byKind["alltoall_prepare"].check(t, "two-sided prepare", 40, 5, 9)
}

// Over nodes no table is at hand; these are published runs of NCCL's own test, in
// bytes and µs: 16 H100 (drmysore/nebius-h100-16gpu-benchmark), 16 H20 (NVIDIA/nccl
// issue 1244), the log of NCCL's tuning model on H100 (issue 1453), and 256 A100 at
// 1 KiB (issue 652).
func TestNCCLBetweenNodes(t *testing.T) {
	var all residuals
	for _, r := range []struct {
		ref       string
		ranks     int
		bytes, us float64
	}{
		{"hgx-h100:24", 24, 128, 25.2}, {"hgx-h100:24", 24, 65536, 37.8}, {"hgx-h100:24", 24, 131072, 51.6},
		{"hgx-h100:16", 16, 1e6, 88}, {"hgx-h100:16", 16, 10e6, 157}, {"hgx-h100:16", 16, 100e6, 647}, {"hgx-h100:16", 16, 1e9, 4520},
		{"hgx-h20:16", 16, 1 << 20, 121.8}, {"hgx-h20:16", 16, 2 << 20, 129.8}, {"hgx-h20:16", 16, 4 << 20, 127.6}, {"hgx-h20:16", 16, 8 << 20, 146.5},
		{"hgx-h20:16", 16, 16 << 20, 203}, {"hgx-h20:16", 16, 32 << 20, 298.5}, {"hgx-h20:16", 16, 64 << 20, 467.9},
		{"hgx-a100:256", 256, 1024, 63},
	} {
		x := system(t, r.ref)
		all.add(x.AllReduce(library(t, x, "nccl"), r.ranks, r.bytes, 1).Total()*1e6, r.us)
	}
	all.check(t, "all-reduce between nodes", 15, 8, 27)
}

// What two nodes add: at a decode step's message the α of the way between them, at
// large messages the ports of InfiniBand in place of NVLink's.
func TestNodesCostMoreThanOne(t *testing.T) {
	x := system(t, "hgx-h100:16")
	l := library(t, x, "nccl")
	for _, bytes := range []float64{4e3, 64e3, 344e3, 4e6, 64e6} {
		one, two := x.AllReduce(l, 8, bytes, 1), x.AllReduce(l, 16, bytes, 1)
		if two.Total() < 1.2*one.Total() {
			t.Errorf("%g B: 16 ranks of two nodes %g s, 8 of one %g s", bytes, two.Total(), one.Total())
		}
		if two.Tau <= one.Tau {
			t.Errorf("%g B: the way between nodes adds no delay: %g and %g s", bytes, two.Tau, one.Tau)
		}
	}
}
