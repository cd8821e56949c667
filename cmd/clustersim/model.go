package main

import (
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/typeset"
)

// defaultContext is the context that model show counts at, unless the model ends before.
const defaultContext = 131072

func newModelCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "model",
		Short: "List models and print what one costs in parameters, bytes and FLOPs",
	}, newModelList(), newModelShow())
}

func newModelList() *cobra.Command {
	var output string
	var dirs []string
	c := &cobra.Command{
		Use: "list", Short: "List the models", Args: wants(),
		RunE: func(c *cobra.Command, _ []string) error {
			rows, err := modelRows(dirs)
			if err != nil {
				return err
			}
			return writeShown(c.OutOrStdout(), output, rows, func(w io.Writer) { printModels(w, rows) })
		},
	}
	addOutputFlag(c, &output, "text or json", "text", "json")
	addModelDirs(c, &dirs)
	return c
}

// modelRow is one line of model list.
type modelRow struct {
	Name            string   `json:"name"`
	Aliases         []string `json:"aliases"`
	Attention       []string `json:"attention"`
	Layers          int      `json:"layers"`
	ParamsTotal     *big.Int `json:"params_total"`
	ParamsActive    *big.Int `json:"params_active"`
	KVBytesPerToken float64  `json:"kv_bytes_per_token"`
	MaxContext      int64    `json:"max_context"`
}

func modelRows(dirs []string) ([]modelRow, error) {
	var rows []modelRow
	for _, name := range models.Names(dirs...) {
		m, err := models.Load(name, dirs...)
		if err != nil {
			return nil, err
		}
		counts := m.Count(0)
		row := modelRow{Name: m.Name, Aliases: append([]string{}, m.Aliases...), Layers: len(m.Layers), MaxContext: m.MaxContext,
			ParamsTotal: counts.ParamsTotal, ParamsActive: counts.ParamsActive, KVBytesPerToken: counts.KVBytesPerToken}
		for _, k := range counts.Kinds {
			if k.Layers > 0 {
				row.Attention = append(row.Attention, fmt.Sprintf("%d %s", k.Layers, k.Kind))
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func printModels(w io.Writer, rows []modelRow) {
	t := typeset.NewTable(w)
	fmt.Fprintln(t, "MODEL\tALIASES\tPARAMETERS\tACTIVE\tATTENTION LAYERS\tKV A TOKEN\tMAX CONTEXT")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", r.Name, strings.Join(r.Aliases, ", "), paramCount(r.ParamsTotal), paramCount(r.ParamsActive),
			strings.Join(r.Attention, ", "), fullBytes(r.KVBytesPerToken), r.MaxContext)
	}
	t.Flush()
}

// showFlags are those of model show.
type showFlags struct {
	context  int64
	compress string
	output   string
	dirs     []string
}

func newModelShow() *cobra.Command {
	var f showFlags
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Print parameters, KV bytes and FLOPs of one sequence at a context length",
		Long: `show counts one sequence at a context of L tokens, the one being decoded included:
parameters, checkpoint and KV bytes, FLOPs and bytes read of a decoded token, and
FLOPs of a prefill of L tokens. NAME is a model's name, alias or YAML file, or a
Hugging Face config.json.`,
		Example: "  clustersim model show v4 --context 1048576\n  clustersim model show v3.2 --kv-compress uncompressed --output json",
		Args:    wants("NAME"),
		RunE:    func(c *cobra.Command, args []string) error { return showModel(c, args[0], f) },
	}
	c.Flags().Int64Var(&f.context, "context", 0, "tokens in context (default 131072, or the model's longest when that is less)")
	c.Flags().StringVar(&f.compress, "kv-compress", "", "other attention parameters: any of csa, hca, topk, window, kv and indexer, such as csa=8,hca=256,kv=fp8, or uncompressed")
	addOutputFlag(c, &f.output, "text or json", "text", "json")
	addModelDirs(c, &f.dirs)
	c.ValidArgsFunction = offer(func() []string { return models.Refs(f.dirs...) })
	return c
}

func showModel(c *cobra.Command, name string, f showFlags) error {
	m, err := models.Load(name, f.dirs...)
	if err != nil {
		return err
	}
	var change models.Compression
	if err := change.UnmarshalText([]byte(f.compress)); err != nil {
		return fmt.Errorf("--kv-compress: %w", err)
	}
	if m, err = m.Compress(change); err != nil {
		return err
	}
	if !c.Flags().Changed("context") {
		f.context = min(defaultContext, m.MaxContext)
	}
	if f.context < 1 || f.context > 1<<40 {
		return fmt.Errorf("--context: must be between 1 and %d, got %d", int64(1)<<40, f.context)
	}
	if f.context > m.MaxContext {
		fmt.Fprintf(c.ErrOrStderr(), "warning: %s is trained for %d tokens, %d are counted\n", m.Name, m.MaxContext, f.context)
	}
	for _, note := range m.Notes {
		fmt.Fprintf(c.ErrOrStderr(), "warning: %s\n", note)
	}
	shown := newModelShown(m, m.Count(f.context))
	return writeShown(c.OutOrStdout(), f.output, shown, func(w io.Writer) { shown.print(w, m) })
}

// modelShown is the JSON of model show, a stable surface.
type modelShown struct {
	Name                string               `json:"name"`
	Context             int64                `json:"context"`
	Formats             models.Formats       `json:"formats"`
	ParamsTotal         *big.Int             `json:"params_total"`
	ParamsActive        *big.Int             `json:"params_active"`
	ParamsMTP           *big.Int             `json:"params_mtp"`
	ParamsPublished     float64              `json:"params_published,omitempty"`
	CheckpointBytes     *big.Int             `json:"checkpoint_bytes"`
	KVBytes             *big.Int             `json:"kv_bytes"`
	KVStateBytes        *big.Int             `json:"kv_state_bytes"`
	KVBytesPerToken     float64              `json:"kv_bytes_per_token"`
	DecodeFlops         *big.Int             `json:"decode_flops"`
	DecodeFlopsSplit    flopsShown           `json:"decode_flops_split"`
	DecodeKVBytesRead   *big.Int             `json:"decode_kv_bytes_read"`
	DecodeStateBytes    *big.Int             `json:"decode_state_bytes"`
	PrefillAttention    *big.Int             `json:"prefill_attention_flops"`
	PrefillLinear       *big.Int             `json:"prefill_linear_flops"`
	Layers              map[string]int64     `json:"layers"`
	PerLayer            map[string]kindShown `json:"per_layer"`
	PerFFN              map[string]ffnShown  `json:"per_ffn"`
	order               []models.KindCount
	ffns                []models.FFNCount
	maxContext, mtpSize int64
}

type flopsShown struct {
	Linear  *big.Int `json:"linear"`
	HC      *big.Int `json:"hc"`
	Head    *big.Int `json:"lm_head"`
	Core    *big.Int `json:"core"`
	Indexer *big.Int `json:"indexer"`
	State   *big.Int `json:"state"`
}

type ffnShown struct {
	Layers      int64    `json:"layers"`
	Params      *big.Int `json:"linear_params"`
	Active      *big.Int `json:"linear_params_active"`
	Bytes       *big.Int `json:"bytes"`
	ExpertBytes *big.Int `json:"expert_bytes"`
}

type kindShown struct {
	Design              string   `json:"design"`
	LinearParams        *big.Int `json:"linear_params_attention"`
	Entries             *big.Int `json:"kv_entries_attended"`
	CoreFlops           *big.Int `json:"core_flops"`
	IndexerFlops        *big.Int `json:"indexer_flops"`
	StateFlops          *big.Int `json:"state_flops"`
	KVBytesRead         *big.Int `json:"kv_bytes_read"`
	IndexBytesRead      *big.Int `json:"indexer_bytes_read"`
	KVBytesStored       *big.Int `json:"kv_bytes_stored_compressed"`
	WindowBytesStored   *big.Int `json:"kv_bytes_stored_window"`
	IndexBytesStored    *big.Int `json:"indexer_bytes_stored"`
	StateBytes          *big.Int `json:"state_bytes"`
	PrefillCoreFlops    *big.Int `json:"prefill_core_flops"`
	PrefillIndexerFlops *big.Int `json:"prefill_indexer_flops"`
	PrefillStateFlops   *big.Int `json:"prefill_state_flops"`
}

func newModelShown(m *models.Model, c models.Counts) modelShown {
	d := c.Decode
	s := modelShown{
		Name: m.Name, Context: c.Context, Formats: m.Formats,
		ParamsTotal: c.ParamsTotal, ParamsActive: c.ParamsActive, ParamsMTP: c.ParamsMTP, ParamsPublished: m.Published,
		CheckpointBytes: c.CheckpointBytes, KVBytes: c.KVBytes, KVStateBytes: c.KVStateBytes, KVBytesPerToken: c.KVBytesPerToken,
		DecodeFlops: d.Total, DecodeFlopsSplit: flopsShown{d.Linear, d.HC, d.Head, d.Core, d.Indexer, d.State},
		DecodeKVBytesRead: c.DecodeKVBytesRead, DecodeStateBytes: c.DecodeStateBytes,
		PrefillAttention: c.PrefillAttentionFlops, PrefillLinear: c.PrefillLinearFlops,
		Layers: map[string]int64{}, PerLayer: map[string]kindShown{}, PerFFN: map[string]ffnShown{},
		order: c.Kinds, ffns: c.FFNs, maxContext: m.MaxContext, mtpSize: int64(len(m.MTP)),
	}
	for _, k := range c.Kinds {
		s.Layers[k.Kind] = k.Layers
		s.PerLayer[k.Kind] = kindShown{
			k.Design, k.AttentionLinearParams, k.EntriesAttended, k.CoreFlops, k.IndexerFlops, k.StateFlops,
			k.KVBytesRead, k.IndexBytesRead, k.KVBytesStored, k.WindowBytesStored, k.IndexBytesStored, k.StateBytes,
			k.PrefillCoreFlops, k.PrefillIndexerFlops, k.PrefillStateFlops,
		}
	}
	for _, f := range c.FFNs {
		s.PerFFN[f.Kind] = ffnShown{f.Layers, f.Params, f.Active, f.Bytes, f.ExpertBytes}
	}
	return s
}

func (s modelShown) print(w io.Writer, m *models.Model) {
	fmt.Fprintf(w, "%s: %d layers, %d draft, hidden %d, context up to %d\n", s.Name, len(m.Layers), s.mtpSize, m.Hidden, s.maxContext)
	fmt.Fprintf(w, "stored as: weights %s%s%s%s, KV %s%s\n", s.Formats.Weights, formatLabel(", attention ", s.Formats.Attention),
		formatLabel(", its output ", s.Formats.AttentionOutput), formatLabel(", experts ", s.Formats.Experts), s.Formats.KV, formatLabel(", index keys ", s.Formats.Indexer))
	fmt.Fprintf(w, "source: %s\n\n", m.Source)
	t := typeset.NewTable(w)
	line := func(what string, v *big.Int, unit string) {
		fmt.Fprintf(t, "%s\t%s\t%s%s\n", what, v, shortCount(v), unit)
	}
	params := func(what string, v *big.Int, note string) {
		fmt.Fprintf(t, "%s\t%s\t%s%s\n", what, v, paramCount(v), note)
	}
	params("parameters", s.ParamsTotal, s.published())
	params("  active a token", s.ParamsActive, "")
	params("  draft layers, apart", s.ParamsMTP, "")
	line("checkpoint bytes", s.CheckpointBytes, "B")
	fmt.Fprintf(t, "\nat a context of %d tokens\n", s.Context)
	line("KV bytes held", s.KVBytes, "B")
	line("  state, apart", s.KVStateBytes, "B")
	fmt.Fprintf(t, "  slope a token\t%s\t\n", fullBytes(s.KVBytesPerToken))
	line("decode: KV bytes read", s.DecodeKVBytesRead, "B")
	line("  state read and written", s.DecodeStateBytes, "B")
	line("decode FLOPs", s.DecodeFlops, "FLOP")
	d := s.DecodeFlopsSplit
	line("  projections and experts", d.Linear, "FLOP")
	line("  hyper-connections", d.HC, "FLOP")
	line("  head", d.Head, "FLOP")
	line("  attention", d.Core, "FLOP")
	line("  indexer", d.Indexer, "FLOP")
	line("  linear-attention state", d.State, "FLOP")
	line("prefill attention FLOPs", s.PrefillAttention, "FLOP")
	line("prefill projection FLOPs", s.PrefillLinear, "FLOP")
	t.Flush()
	s.printKinds(w)
	s.printFFNs(w)
}

// printFFNs is one line a feed-forward kind.
func (s modelShown) printFFNs(w io.Writer) {
	fmt.Fprintln(w, "\none layer of each kind of feed-forward block")
	t := typeset.NewRightTable(w)
	fmt.Fprintln(t, "kind\tlayers\tparameters\tactive a token\tbytes\tbytes of an expert\t")
	for _, f := range s.ffns {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t\n", f.Kind, f.Layers, f.Params, f.Active, f.Bytes, f.ExpertBytes)
	}
	t.Flush()
}

// printKinds is one column a layer kind, all figures of one layer.
func (s modelShown) printKinds(w io.Writer) {
	fmt.Fprintln(w, "\none layer of each kind of attention")
	t := typeset.NewRightTable(w)
	row := func(what string, cell func(models.KindCount) string) {
		fmt.Fprintf(t, "%s\t", what)
		for _, k := range s.order {
			fmt.Fprintf(t, "%s\t", cell(k))
		}
		fmt.Fprintln(t)
	}
	number := func(what string, get func(models.KindCount) *big.Int) {
		row(what, func(k models.KindCount) string { return get(k).String() })
	}
	row("kind", func(k models.KindCount) string { return k.Kind })
	row("design", func(k models.KindCount) string { return k.Design })
	row("layers", func(k models.KindCount) string {
		if k.Layers == 0 {
			return "0 (draft only)"
		}
		return strconv.FormatInt(k.Layers, 10)
	})
	number("attention parameters", func(k models.KindCount) *big.Int { return k.AttentionLinearParams })
	number("entries attended", func(k models.KindCount) *big.Int { return k.EntriesAttended })
	number("attention FLOPs", func(k models.KindCount) *big.Int { return k.CoreFlops })
	number("indexer FLOPs", func(k models.KindCount) *big.Int { return k.IndexerFlops })
	number("state FLOPs", func(k models.KindCount) *big.Int { return k.StateFlops })
	number("KV bytes read", func(k models.KindCount) *big.Int { return k.KVBytesRead })
	number("index bytes read", func(k models.KindCount) *big.Int { return k.IndexBytesRead })
	number("KV bytes held", func(k models.KindCount) *big.Int { return k.KVBytesStored })
	number("window bytes held", func(k models.KindCount) *big.Int { return k.WindowBytesStored })
	number("index bytes held", func(k models.KindCount) *big.Int { return k.IndexBytesStored })
	number("state bytes", func(k models.KindCount) *big.Int { return k.StateBytes })
	number("prefill attention FLOPs", func(k models.KindCount) *big.Int { return k.PrefillCoreFlops })
	number("prefill indexer FLOPs", func(k models.KindCount) *big.Int { return k.PrefillIndexerFlops })
	number("prefill state FLOPs", func(k models.KindCount) *big.Int { return k.PrefillStateFlops })
	t.Flush()
}

func (s modelShown) published() string {
	if s.ParamsPublished == 0 {
		return " (nothing published to compare with)"
	}
	published, _ := big.NewFloat(s.ParamsPublished).Int(nil)
	return " (published " + paramCount(published) + ")"
}

func formatLabel(label string, f models.Format) string {
	if f == "" {
		return ""
	}
	return label + string(f)
}

// shortCount rounds a count to four digits with a decimal prefix.
func shortCount(v *big.Int) string {
	f, _ := new(big.Float).SetInt(v).Float64()
	for _, u := range []struct {
		size float64
		name string
	}{{1e18, "E"}, {1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if f >= u.size {
			return strconv.FormatFloat(f/u.size, 'g', 4, 64) + " " + u.name
		}
	}
	return strconv.FormatFloat(f, 'f', -1, 64) + " "
}

func fullBytes(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + " B" }

// paramCount is shortCount in the words for parameters: B for a thousand million.
func paramCount(v *big.Int) string {
	return strings.ReplaceAll(strings.ReplaceAll(shortCount(v), " ", ""), "G", "B")
}
