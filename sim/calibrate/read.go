package calibrate

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// Reader reads tables of timings of one chip.
type Reader struct {
	chip    *topologies.Chip
	shipped []string // names of chips that a table's device may be instead
	rows    *Rows
	loads   map[skewKey]heaviest
	eager   []eager
	every   int // tests look at one row in so many; 0 is all
}

// NewReader is a reader for timings of a chip. shipped are the names of known chips:
// when the chip is one of them, rows of another one's device are left out.
func NewReader(chip *topologies.Chip, shipped []string) *Reader {
	r := &Reader{chip: chip, rows: &Rows{}, loads: map[skewKey]heaviest{}}
	if slices.Contains(shipped, chip.Name) {
		r.shipped = shipped
	}
	return r
}

// Rows is what has been read, settled: repeats are one sample.
func (r *Reader) Rows() *Rows {
	r.settleEager()
	rows := r.rows
	r.rows = &Rows{}
	rows.settle()
	return rows
}

// Read reads one file: plain, zstd or gzip. Errors name file:line:column, all at
// once as far as they do not depend on each other.
func (r *Reader) Read(name string, file io.Reader) error {
	t, err := openTable(name, file)
	if err != nil {
		return err
	}
	r.rows.Files = append(r.rows.Files, name)
	for _, c := range communication {
		if t.has(c) {
			return fmt.Errorf("%s:1: column %s: these are timings of communication; calibrate fits operators of a chip. "+
				"Constants of communication are those of a library (topologies/libraries)", name, c)
		}
	}
	switch {
	case t.has("op_name") && t.has("latency"):
		err = r.readAIC(t)
	case t.has("op") && t.has("latency_us"):
		err = r.readKernels(t)
	default:
		return fmt.Errorf("%s:1: unknown kind of table; want columns op_name and latency (aiconfigurator's kernel tables), "+
			"or op and latency_us (kernels.csv); it has %s", name, strings.Join(t.header, ", "))
	}
	if err != nil {
		return err
	}
	return errors.Join(t.faults...)
}

// communication are columns by which tables of collectives and of dispatch show.
var communication = [...]string{"nccl_dtype", "allreduce_dtype", "dispatch_avg_t_us", "dispatch_transmit_us"}

// tableOp is an operator of aiconfigurator's tables.
type tableOp struct {
	name string
	// read makes a sample of the row at hand, or says why none.
	read func(r *Reader, t *table) (*Sample, string)
}

var tableOps = [...]tableOp{
	{"gemm", readGEMM},
	{"moe", readMoE},
	{"moe_context", readDispatchedPrefill},
	{"moe_generation", readDispatched},
	{"wideep_moe", readWideMoE},
	{"wideep_moe_eplb", readWideMoE},
	{"dsv4_megamoe_module", readMegaMoE},
	{"context_attention", readGQAPrefill},
	{"generation_attention", readGQADecode},
	{"mla_context", readMLAPrefill},
	{"mla_generation", readMLADecode},
	{"mla_context_module", readMLAPrefillBlock},
	{"mla_generation_module", readMLADecodeBlock},
	{"mla_gen_pre", leaveBMM},
	{"mla_gen_post", leaveBMM},
	{"dsa_context_module", readDSAPrefill},
	{"dsa_context_module_skip_indexer", readDSAPrefill},
	{"dsa_generation_module", readDSADecode},
	{"dsa_generation_module_skip_indexer", readDSADecode},
	{"dsv4_csa_context_module", readCSAPrefill},
	{"dsv4_csa_generation_module", readCSADecode},
	{"dsv4_hca_context_module", readHCAPrefill},
	{"dsv4_hca_generation_module", readHCADecode},
	{"dsv4_hca_attn_module", leaveHCACore},
	{"dsv4_flash_hca_attn_module", leaveHCACore},
	{"dsv4_paged_mqa_logits_module", readLogits},
	{"pre", readMHC},
	{"post", readMHC},
	{"gdn", readDelta},
}

// tableColumns are all that aiconfigurator's tables of operators have.
var tableColumns = [...]string{
	"framework", "version", "device", "op_name", "kernel_source", "latency",
	"gemm_dtype", "m", "n", "k",
	"moe_dtype", "moe_kernel", "num_tokens", "dp_num_tokens", "rank0_num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "num_slots",
	"moe_tp_size", "moe_ep_size", "distribution", "simulation_mode",
	"phase", "kernel_dtype", "global_num_tokens", "num_fused_shared_experts", "source_policy", "pre_dispatch", "num_max_tokens_per_rank",
	"effective_num_max_tokens_per_rank", "routed_scaling_factor", "includes_routed_scale", "includes_gate_topk", "buffer_policy", "includes_buffer_init",
	"used_cuda_graph",
	"batch_size", "isl", "step", "num_heads", "local_num_heads", "num_key_value_heads", "head_dim", "beam_width", "attn_dtype", "kv_cache_dtype", "window_size",
	"mla_dtype", "gemm_type", "model", "architecture", "tp_size", "compress_ratio", "bmm_dtype",
	"num_sites", "hc_mult", "sinkhorn_iters",
	"seq_len", "d_model", "d_conv", "num_k_heads", "head_k_dim", "num_v_heads", "head_v_dim", "model_name",
}

// readAIC reads a table of aiconfigurator: one call a row, latency in ms.
func (r *Reader) readAIC(t *table) error {
	if err := t.known(tableColumns[:]); err != nil {
		return err
	}
	ops, names := map[string]*tableOp{}, make([]string, 0, len(tableOps))
	for i := range tableOps {
		ops[tableOps[i].name] = &tableOps[i]
		names = append(names, tableOps[i].name)
	}
	for t.next() {
		if r.rows.Read++; r.every > 1 && r.rows.Read%r.every != 0 {
			continue
		}
		op, ok := ops[t.text("op_name")]
		if !ok {
			t.faultIn("op_name", "%v", spec.UnknownName("operator", t.text("op_name"), names))
			continue
		}
		seconds := t.number("latency", 1e-9, 1e9) * 1e-3
		if other := r.anotherChip(t.text("device")); other != "" {
			r.rows.leave(t.name, fmt.Sprintf("timed on %s, not on %s", t.text("device"), r.chip.Name))
			continue
		}
		s, why := op.read(r, t)
		r.keep(t, s, why, seconds)
	}
	return nil
}

// keep files a row's sample, or notes why it has none.
func (r *Reader) keep(t *table, s *Sample, why string, seconds float64) {
	switch {
	case t.bad || s == nil && why == "": // a fault, or filed elsewhere
	case why != "":
		r.rows.leave(t.name, why)
	default:
		if s.Kernel == "" {
			s.Kernel = t.text("kernel_source")
		}
		s.Seconds = seconds
		r.rows.add(s)
	}
}

// anotherChip is the shipped chip that a device's name says, when it is not this one.
func (r *Reader) anotherChip(device string) string {
	for _, word := range strings.FieldsFunc(strings.ToLower(device), func(c rune) bool { return c == ' ' || c == '-' || c == '_' }) {
		if word == r.chip.Name || slices.Contains(r.chip.Aliases, word) {
			return ""
		}
		if slices.Contains(r.shipped, word) {
			return word
		}
	}
	return ""
}
