package validate

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
)

var siliconColumns = []string{
	"id", "silicon_data_source", "backend", "backend_version", "model_path", "system", "precision", "mode", "isl", "osl", "gemm_quant_mode",
	"batch_size", "tp_size", "pp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size",
	"prefill_num_workers", "prefill_tp_size", "prefill_pp_size", "prefill_attention_dp_size", "prefill_moe_tp_size", "prefill_moe_ep_size",
	"decode_num_workers", "decode_tp_size", "decode_pp_size", "decode_attention_dp_size", "decode_moe_tp_size", "decode_moe_ep_size",
	"silicon_ttft_ms", "silicon_tpot_ms", "quality_flags",
}

// siliconRow is one row, read.
type siliconRow struct {
	source, engine, version, path, system, precision, mode, gemm string
	flags                                                        string // why the file doubts the row
	remark                                                       remark
	isl, osl, batch, workers, prefillWorkers                     int
	serve, prefill                                               siliconPool // serve: or decode
}

// siliconPool is the layout that a row states. Empty cells are 0.
type siliconPool struct{ tp, pp, dp, moeTP, moeEP int }

func readSilicon(name string, data []byte, o *ReadOptions) (*Set, error) {
	t, err := newTable(name, data, siliconColumns, o)
	if err != nil {
		return nil, err
	}
	return t.cases(o, func(t *table) stated {
		row := siliconRowOf(t)
		c := Case{ID: cmp.Or(t.text("id"), t.at()), Engine: row.engine, Phase: All, Measures: t.measures(siliconMeasures), Note: row.remark.Note}
		return stated{Case: c, scenario: row.scenario}
	})
}

// siliconMeasures are a row's means.
var siliconMeasures = []measure{{"silicon_tpot_ms", "tpot_ms_mean", 1}, {"silicon_ttft_ms", "ttft_ms_mean", 1}}

func siliconRowOf(t *table) *siliconRow {
	const most = 1 << 20
	pool := func(prefix string) siliconPool {
		n := func(column string) int { return t.whole(prefix+column, 0, most, true) }
		return siliconPool{n("tp_size"), n("pp_size"), n("attention_dp_size"), n("moe_tp_size"), n("moe_ep_size")}
	}
	r := &siliconRow{
		source: t.text("silicon_data_source"), engine: t.text("backend"), version: t.text("backend_version"), path: t.text("model_path"),
		system: strings.TrimSuffix(t.text("system"), "_sxm"), precision: t.text("precision"), mode: t.text("mode"), gemm: t.text("gemm_quant_mode"),
		flags: t.text("quality_flags"), remark: t.remarks(),
		isl: t.whole("isl", 1, 1<<24, false), osl: t.whole("osl", 1, 1<<24, false), batch: t.whole("batch_size", 0, most, true),
	}
	if r.mode == "disagg" {
		r.prefill, r.serve = pool("prefill_"), pool("decode_")
		r.prefillWorkers, r.workers = t.whole("prefill_num_workers", 0, most, true), t.whole("decode_num_workers", 0, most, true)
	} else {
		r.serve = pool("")
	}
	return r
}

// local reports whether the row is of the project's own runs, whose lengths are
// exact. All others came from InferenceX: uniform in [0.8, 1.0] of the nominal.
func (r *siliconRow) local() bool { return strings.HasPrefix(r.source, "source_file=local/") }

// clients is the concurrency of the whole deployment. batch_size is it divided by
// the attention_dp_size of the file, which is wrong where that is.
func (r *siliconRow) clients() (int, error) {
	for _, part := range strings.Split(r.source, ";") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(part), "silicon_concurrency="); ok {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 1<<20 {
				return 0, fmt.Errorf("concurrency unknown: silicon_concurrency is %q", text)
			}
			return n, nil
		}
	}
	if r.batch > 0 && r.mode == "agg" {
		return r.batch, nil
	}
	return 0, errors.New("concurrency unknown: neither silicon_concurrency nor batch_size is given")
}

func (r *siliconRow) scenario(o *ReadOptions) (*scenario.Scenario, error) {
	if r.flags != "" {
		return nil, fmt.Errorf("quality_flags: %s", r.flags)
	}
	if r.remark.Skip != "" {
		return nil, errors.New(r.remark.Skip)
	}
	point, err := findCheckpoint(known().Silicon, r.path)
	if err != nil {
		return nil, err
	}
	sys, err := findSystem(r.system)
	if err != nil {
		return nil, err
	}
	s := &scenario.Scenario{Version: scenario.Version, Seed: 1, Model: point.Model}
	if s.Deployment.Engine, err = profile(r.engine, r.version); err != nil {
		return nil, err
	}
	if s.Deployment.Precision, err = r.formats(point); err != nil {
		return nil, err
	}
	clients, err := r.clients()
	if err != nil {
		return nil, err
	}
	if err := r.deploy(s, sys, point, clients); err != nil {
		return nil, err
	}
	share := rangeRatio
	if r.local() {
		share = 1
	}
	if s.Workload, err = workload(clients, r.isl, r.osl, share); err != nil {
		return nil, err
	}
	if point.MoE {
		s.Deployment.Routing = routing
	}
	if err := r.start(s, clients, o); err != nil {
		return nil, err
	}
	if o.Engine != "" {
		s.Deployment.Engine = o.Engine
	}
	return s, nil
}

// start applies the launch script that the row ran with: InferenceX's, or the project's
// own.
func (r *siliconRow) start(s *scenario.Scenario, clients int, o *ReadOptions) error {
	f := plant.Facts(s, nil)
	f.Benchmark = "inferencex"
	if r.local() {
		f.Benchmark = "aiconfigurator"
	}
	f.Engine, f.Version, f.Snapshot, f.Chip, f.Model, f.Precision = r.engine, r.version, r.source, r.system, s.Model, r.precision
	f.Spec, f.Clients, f.Input, f.Output = cmp.Or(r.remark.Spec, "none"), clients, r.isl, r.osl
	script, err := launched(f, "", o)
	if err != nil {
		return err
	}
	return follow(s, script, f, o)
}

// formats are those of the checkpoint that was served. An empty precision is the
// checkpoint's own. The file's gemm_quant_mode decides between FP8 forms of a dense
// model; a mixture's published FP8 checkpoint is in blocks, whatever it says.
func (r *siliconRow) formats(c *checkpoint) (scenario.Precision, error) {
	var p scenario.Precision
	switch {
	case r.precision == "" || r.precision == c.Own:
		return p, nil
	case r.precision == "fp8":
		if p = c.FP8; !c.MoE && p.Weights != "" && r.gemm == "fp8_block" {
			p = scenario.Precision{Weights: models.FP8Block}
		}
	case r.precision == "fp4":
		p = c.FP4
	}
	if p == (scenario.Precision{}) {
		return p, fmt.Errorf("precision unknown: no %s checkpoint of %s is known", r.precision, c.Model)
	}
	return p, nil
}

func (r *siliconRow) deploy(s *scenario.Scenario, sys *system, c *checkpoint, clients int) error {
	pool, err := r.serve.pool(c, r.local())
	if err != nil {
		return err
	}
	chips := pool.TP * pool.DP
	d := &s.Deployment
	switch r.mode {
	case "agg":
		if r.local() && r.batch > 0 && clients%r.batch == 0 {
			pool.Instances = clients / r.batch / pool.DP // replicas: batch_size is of one
		}
		pool.Instances = max(1, pool.Instances)
		d.Mode, d.Serve = "aggregated", pool
		s.Topology = sys.hold(spread(sys, chips) * pool.Instances)
	case "disagg":
		prefill, err := r.prefill.pool(c, r.local())
		if err != nil {
			return fmt.Errorf("prefill: %w", err)
		}
		if r.workers < 1 || r.prefillWorkers < 1 {
			return fmt.Errorf("layout unknown: %d prefill and %d decode workers", r.prefillWorkers, r.workers)
		}
		prefill.Instances, pool.Instances = r.prefillWorkers, r.workers
		d.Mode, d.Prefill, d.Decode = "disaggregated", prefill, pool
		s.Topology = sys.hold(spread(sys, prefill.TP*prefill.DP)*prefill.Instances, spread(sys, chips)*pool.Instances)
	default:
		return fmt.Errorf("unknown mode %q", r.mode)
	}
	return nil
}

// spread is what an instance takes of the topology: larger than a node, whole nodes.
func spread(s *system, chips int) int {
	if domain := max(s.Node, s.Chips); chips > domain {
		return (chips + domain - 1) / domain * domain
	}
	return chips
}

// pool is a stated layout with the file's known slips put right. In rows that came
// from InferenceX, tp or dp was multiplied by the expert parallelism (checked on the
// 28 rows that are in both files):
//
//	tp 4, 16 or 64 with moe_tp = moe_ep = 2, 4 or 8   TP 2, 4 or 8, EP 2, 4 or 8
//	dp 4, 16 or 64 with moe_tp = moe_ep = 2, 4 or 8   attention DP 2, 4 or 8, EP 2, 4 or 8
//	tp = dp = 4, moe_ep 16                            TP 4, EP 4
//
// Rows of tp 4 with moe_tp = moe_ep = 2 run as fast as those of tp 2, and their ids
// say tp2_ep2. The project's own runs state what they ran.
// dp 0 and an empty dp are 1. Dense models have no expert degrees, whatever is stated.
func (p siliconPool) pool(c *checkpoint, local bool) (*scenario.Pool, error) {
	square := !local && p.moeTP == p.moeEP && p.moeEP > 1
	switch {
	case p.tp > 1 && p.dp <= 1 && square && p.tp == p.moeTP*p.moeEP:
		p.tp, p.moeTP = p.moeEP, 1
	case p.tp == 1 && square && p.dp == p.moeTP*p.moeEP:
		p.dp, p.moeTP = p.moeEP, 1
	case p.tp > 1 && p.tp == p.dp && p.moeTP == 1 && p.moeEP == p.tp*p.dp:
		p.dp, p.moeEP = 1, p.tp
	}
	if p.dp == 0 {
		p.dp = 1
	}
	switch {
	case p.tp < 1:
		return nil, errors.New("layout unknown: tp_size is empty")
	case p.pp > 1:
		return nil, fmt.Errorf("layout unknown: pp_size is %d in a file of single-stage rows", p.pp)
	}
	pool := &scenario.Pool{TP: p.tp, DP: p.dp, EP: 1}
	if !c.MoE {
		return pool, nil
	}
	if p.moeTP*p.moeEP != p.tp*p.dp {
		return nil, fmt.Errorf("layout unknown: moe_tp %d × moe_ep %d is not tp %d × attention_dp %d", p.moeTP, p.moeEP, p.tp, p.dp)
	}
	pool.EP = p.moeEP
	return pool, nil
}
