package cost

import (
	"embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

//go:embed engines/*.yaml
var engineFiles embed.FS

// Engine is what a serving engine adds to its kernels: numbers fitted to
// measurements and choices that its documentation states.
type Engine struct {
	Name string `yaml:"name"`
	// Version is the one that the profile goes by; StandsFor are those whose defaults and
	// measurements it holds.
	Version   string   `yaml:"version,omitempty"`
	StandsFor Versions `yaml:"stands_for,omitempty"`
	// Base is the profile, by name or path, whose values hold where the file gives
	// none; a path is taken from the file's own folder.
	Base        string `yaml:"base,omitempty"`
	Description string `yaml:"description"`
	Source      string `yaml:"source"`
	Fitted      Fitted `yaml:"fitted"`
	// PageTokens is the KV cache's page; MemoryFraction the part of HBM that
	// weights, activations and cache may use together.
	PageTokens     int     `yaml:"page_tokens"`
	MemoryFraction float64 `yaml:"memory_fraction"`
	// LatentPageTokens and CompressedPageTokens are the page where kernels of latent and of
	// compressed sparse attention want another one; 0 where they do not.
	LatentPageTokens     int `yaml:"latent_page_tokens,omitempty"`
	CompressedPageTokens int `yaml:"compressed_page_tokens,omitempty"`
	// Memory is what lies beside weights and cache, and how both are kept.
	Memory Keeping `yaml:"memory,omitempty"`
	// MemoryShareOf is what the fraction is a share of; empty is ShareOfAll.
	MemoryShareOf MemoryShare `yaml:"memory_share_of"`
	// PollSteps is how many decode steps pass between two looks at what has arrived;
	// after a step with prompts there is one at once.
	PollSteps int `yaml:"poll_steps"`
	// PrefillFirst runs waiting prompts in steps of their own, while decoding
	// sequences stand still; otherwise a step has both. Mixed instances alone.
	PrefillFirst bool `yaml:"prefill_first"`
	// WholePrompts: prompts are not cut. A step has room for a whole one beside the rows
	// that decode, whatever MaxTokens says, which bounds how many go together: an engine
	// that refuses longer prompts is started with the room that they need.
	WholePrompts bool `yaml:"whole_prompts,omitempty"`
	// BatchWait and Balance hold prompts back while others decode.
	BatchWait BatchWait `yaml:"batch_wait,omitempty"`
	Balance   Balance   `yaml:"balance,omitempty"`
	// MaxTokens and MaxSequences of one rank, by role.
	MaxTokens    ByRole[int] `yaml:"max_tokens"`
	MaxSequences ByRole[int] `yaml:"max_sequences"`
	// Small are the budgets on chips with less memory, where the engine has others.
	Small Small `yaml:"small,omitempty"`
	// GathersToTopK: data-parallel ranks gather the rows of all, in place of dispatching
	// them, where there are no more expert ranks than a token has experts.
	GathersToTopK bool `yaml:"gathers_to_top_k,omitempty"`
	// DecodeLaunch and PrefillLaunch: graph (kernels are replayed) or eager (the
	// host launches each one, EagerKernelUs apart at best).
	DecodeLaunch  Launching `yaml:"decode_launch"`
	PrefillLaunch Launching `yaml:"prefill_launch"`
	// GraphTokens is the most rows of a step with prompts that a graph is captured
	// for: larger ones are launched eagerly, whatever PrefillLaunch says. 0 is no limit.
	GraphTokens int `yaml:"graph_tokens,omitempty"`
	// FourBit is how experts stored in 4 bits are multiplied on a chip without FP4
	// units: w4a8 (in FP8; the default) or w4a16 (widened to BF16 in the kernel).
	FourBit law.Variant `yaml:"four_bit,omitempty"`
	// GathersLogits samples from whole rows of logits that every rank of the head has
	// gathered; otherwise each rank samples from its part of the vocabulary.
	GathersLogits bool `yaml:"gathers_logits"`
	// CopiesState moves the recurrent state after the last accepted row into its
	// place; otherwise the next step is told where it lies.
	CopiesState bool `yaml:"copies_state"`
	// DependentLaunch starts a kernel while the one before it drains (programmatic
	// dependent launch); otherwise it begins when all of that has ended.
	DependentLaunch bool `yaml:"dependent_launch,omitempty"`
	// FusesSmallKernels leaves nothing of norm, RoPE, activation, top-k and permute but
	// their bytes; FusesQuantisation takes the pass that quantises activations into the
	// kernel before, which the tables of GEMMs time apart.
	FusesSmallKernels bool `yaml:"fuses_small_kernels"`
	FusesQuantisation bool `yaml:"fuses_quantisation"`
	// CommCoresFraction of the cores run communication kernels while two batches
	// overlap. WaveExponent is the p of the p-norm of memory, compute and communication
	// in a wave-overlapped expert kernel.
	CommCoresFraction float64 `yaml:"comm_cores_fraction"`
	WaveExponent      float64 `yaml:"wave_exponent"`
	// HostOverlapped hides the host's time behind the chip's as far as it goes.
	HostOverlapped bool `yaml:"host_overlapped"`
	// HeadRanks share the LM head, across data-parallel ranks too; 0 leaves it to
	// the TP group.
	HeadRanks int `yaml:"head_ranks"`
	// ContextParallel: prefill instances may cut a prompt's chunk over context-parallel
	// ranks.
	ContextParallel bool            `yaml:"context_parallel"`
	Overlap         ByRole[Overlap] `yaml:"overlap"`
	// OverlapStreams is in how many streams two-batch overlap computes: 1, one half
	// after the other (0 is 1); 2, side by side on shares of the cores.
	OverlapStreams int           `yaml:"overlap_streams"`
	Libraries      LibraryChoice `yaml:"libraries"`
}

// Fitted are an engine's numbers that measured serving decides; doc.go has what each
// multiplies.
type Fitted struct {
	Source          string  `yaml:"source"`
	Residual        string  `yaml:"residual"`
	HostStepUs      float64 `yaml:"host_step_us"`      // exposed, a step
	HostSequenceUs  float64 `yaml:"host_sequence_us"`  // exposed, a step and sequence
	DraftSequenceUs float64 `yaml:"draft_sequence_us"` // exposed besides, a step that drafts and verifies, and sequence
	TTFTMs          float64 `yaml:"ttft_ms"`           // front end, once a request
	// HandoverMs is the software's time from a prompt's last step until its cache
	// begins to leave for the decode instance: the handshake of the two servers, the
	// polls of their schedulers, the transfer's descriptors. The wire's own latency is
	// the topology's.
	HandoverMs    float64 `yaml:"handover_ms"`
	EagerKernelUs float64 `yaml:"eager_kernel_us"` // host time between two eager launches
	// OverlapFraction of the shorter side is hidden in two-batch overlap.
	OverlapFraction float64 `yaml:"overlap_fraction"`
	PrefillFactor   float64 `yaml:"prefill_factor"` // on layers' time, by the share of prompt rows
}

// ByRole is one value for each role.
type ByRole[T any] struct {
	Prefill T `yaml:"prefill"`
	Decode  T `yaml:"decode"`
	Mixed   T `yaml:"mixed"`
}

// Of is the role's value.
func (r ByRole[T]) Of(role Role) T {
	switch role {
	case Prefill:
		return r.Prefill
	case Decode:
		return r.Decode
	}
	return r.Mixed
}

// BatchWait lets prompts wait, at most Steps steps (0: not at all), until they and
// the decoding rows fill a share of MaxTokens (TensorRT-LLM's
// batch_wait_timeout_iters and batch_wait_max_tokens_ratio). Ranks that attend to
// sequences of their own do not wait.
type BatchWait struct {
	Steps int     `yaml:"steps,omitempty" json:"steps,omitempty"`
	Share float64 `yaml:"share,omitempty" json:"share,omitempty"`
}

// Check reports what is out of range.
func (b BatchWait) Check() error {
	if b.Steps < 0 || b.Steps > 1<<24 || !(b.Share >= 0 && b.Share <= 1) {
		return fmt.Errorf("steps must be from 0 to %d and share from 0 to 1, got %d and %g", 1<<24, b.Steps, b.Share)
	}
	return nil
}

// Balance lets prompts of data-parallel attention wait, at most Steps steps (0: not
// at all), until every rank has one, and then Gather steps more (TensorRT-LLM's
// attention_dp_config: enable_balance, timeout_iters, batching_wait_iters).
type Balance struct {
	Steps  int `yaml:"steps,omitempty" json:"steps,omitempty"`
	Gather int `yaml:"gather,omitempty" json:"gather,omitempty"`
}

// Check reports what is out of range.
func (b Balance) Check() error {
	if b.Steps < 0 || b.Steps > 1<<24 || b.Gather < 0 || b.Gather > 1<<24 {
		return fmt.Errorf("steps and gather must be from 0 to %d, got %d and %d", 1<<24, b.Steps, b.Gather)
	}
	return nil
}

// MemoryShare is how an engine's memory fraction is meant.
type MemoryShare string

// ShareOfAll: weights, activations and cache take the fraction of HBM together
// (vLLM's gpu_memory_utilization). ShareStatic: weights and cache take it of what is
// free before weights are loaded, activations live in the rest (SGLang's
// mem_fraction_static). ShareOfFree: the cache takes the fraction of what weights and
// activations leave (TensorRT-LLM's free_gpu_memory_fraction).
const (
	ShareOfAll  MemoryShare = "all"
	ShareStatic MemoryShare = "static"
	ShareOfFree MemoryShare = "free"
)

// Launching is how kernels are started.
type Launching string

// Graph replays captured kernels; Eager launches each from the host.
const (
	Graph Launching = "graph"
	Eager Launching = "eager"
)

// LibraryChoice names the communication libraries an engine uses; empty takes
// the topology's default. `dispatch: megamoe` makes wave overlap the default of
// decode and mixed instances.
type LibraryChoice struct {
	AllReduce string `yaml:"all_reduce"`
	Dispatch  string `yaml:"dispatch"`
	Prefill   string `yaml:"prefill_dispatch"`
}

// Versions are those from one to another, both included: 0.5 has 0.5.12 in it.
type Versions struct {
	From string `yaml:"from,omitempty"`
	To   string `yaml:"to,omitempty"`
}

// Small are budgets of one rank, in all roles, on chips with less memory than Below, or of
// the name Also; 0 is what other chips have.
type Small struct {
	Below        spec.Bytes `yaml:"below,omitempty"`
	Also         string     `yaml:"also,omitempty"`
	MaxTokens    int        `yaml:"max_tokens,omitempty"`
	MaxSequences int        `yaml:"max_sequences,omitempty"`
}

// BudgetsOn are the engine's own prompt tokens and sequences of a rank in a role on a
// chip. What a patch that has been laid over the profile says is said of every chip.
func (e *Engine) BudgetsOn(chip *topologies.Chip, role Role, laid spec.Patches) (tokens, sequences int) {
	tokens, sequences = e.MaxTokens.Of(role), e.MaxSequences.Of(role)
	s := &e.Small
	if chip.Memory.Capacity >= s.Below && (s.Also == "" || chip.Name != s.Also) {
		return tokens, sequences
	}
	patched := func(path string) bool {
		return slices.ContainsFunc(laid, func(p spec.Patch) bool { return spec.Covers(p.Path, path+"."+string(role)) })
	}
	if s.MaxTokens > 0 && !patched("max_tokens") {
		tokens = s.MaxTokens
	}
	if s.MaxSequences > 0 && !patched("max_sequences") {
		sequences = s.MaxSequences
	}
	return tokens, sequences
}

// On is the engine with the budgets that it has on a chip.
func (e *Engine) On(chip *topologies.Chip, laid spec.Patches) *Engine {
	out := *e
	out.MaxTokens.Prefill, out.MaxSequences.Prefill = e.BudgetsOn(chip, Prefill, laid)
	out.MaxTokens.Decode, out.MaxSequences.Decode = e.BudgetsOn(chip, Decode, laid)
	out.MaxTokens.Mixed, out.MaxSequences.Mixed = e.BudgetsOn(chip, Mixed, laid)
	return &out
}

// readEngine knows the files that derive from the one it reads, so that none comes
// to derive from itself.
func readEngine(ref string, descendants []string) (*Engine, error) {
	if spec.IsPath(ref) {
		data, err := spec.Description.Read(os.Open(ref))
		if err != nil {
			return nil, fmt.Errorf("engine profile: %w", err)
		}
		return parseEngine(ref, data, descendants)
	}
	aliases := EngineAliases()
	known := append(EngineNames(), slices.Sorted(maps.Keys(aliases))...)
	name := spec.NameIn(ref, known)
	if version, ok := aliases[name]; ok {
		name = version
	}
	file := "engines/" + name + ".yaml"
	data, err := engineFiles.ReadFile(file)
	if err != nil {
		profile, is, err := profileOf(ref)
		if !is {
			return nil, spec.UnknownName("engine", ref, known)
		}
		if err != nil {
			return nil, err
		}
		return readEngine(profile, descendants)
	}
	return parseEngine(file, data, descendants)
}

// EngineFor is LoadEngine, or the profile of the chip's usual engine where ref is
// empty.
func EngineFor(ref string, chip *topologies.Chip, patches ...spec.Patch) (*Engine, error) {
	if ref != "" {
		return LoadEngine(ref, patches...)
	}
	e, err := DefaultEngine(chip)
	if err != nil {
		return nil, err
	}
	return e.Patched(patches)
}

// DefaultEngine is the profile that the chip's file names.
func DefaultEngine(chip *topologies.Chip) (*Engine, error) {
	if chip.Engine == "" {
		return nil, fmt.Errorf("chip %s names no engine that serves on it where none is asked for: write engine: NAME in its file, one of %s, or ask for one",
			chip.Name, strings.Join(EngineNames(), ", "))
	}
	e, err := LoadEngine(chip.Engine)
	if err != nil {
		return nil, fmt.Errorf("chip %s: engine: %w", chip.Name, err)
	}
	return e, nil
}

// parseEngine reads a profile; file is what errors call it and where the path of a
// base starts.
func parseEngine(file string, data []byte, descendants []string) (*Engine, error) {
	e := &Engine{}
	doc := spec.Parse(file, data, e)
	if doc.Err() == nil && e.Base != "" {
		// What the file leaves out keeps what the base says.
		if base := baseOf(doc, e.Base, file, descendants); base != nil {
			*e = *base
			doc = spec.Parse(file, data, e)
		}
	}
	if doc.Err() == nil {
		if e.Base == "" {
			e.complete(doc)
		}
		e.check(doc)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return e, nil
}

// complete asks for every fitted number: one that is left out would be 0, and free.
func (e *Engine) complete(doc *spec.Doc) {
	for _, n := range e.Fitted.Numbers() {
		if _, given := doc.Lookup("fitted." + n.Name); !given {
			doc.Errorf("fitted."+n.Name, "must be given (0 for none), or name a base that has it")
		}
	}
}

// baseOf loads a profile's base, or records why there is none.
func baseOf(doc *spec.Doc, ref, file string, descendants []string) *Engine {
	if spec.IsPath(ref) && !filepath.IsAbs(ref) {
		ref = filepath.Join(filepath.Dir(file), ref)
	}
	line := append(slices.Clip(descendants), filepath.Clean(file))
	if slices.Contains(line, ref) {
		doc.Errorf("base", "the chain of bases comes back to itself: %s → %s", strings.Join(line, " → "), ref)
		return nil
	}
	base, err := readEngine(ref, line)
	if err != nil {
		doc.Errorf("base", "%v", err)
		return nil
	}
	base.Name = ""
	return base
}

func (e *Engine) check(doc *spec.Doc) {
	if e.Name == "" {
		doc.Errorf("name", "must be given")
	}
	if e.Source == "" {
		doc.Errorf("source", "must be given: where the profile's choices come from")
	}
	if e.Fitted.Source == "" {
		doc.Errorf("fitted.source", "must be given: where the fitted numbers come from")
	}
	if !(e.MemoryFraction > 0 && e.MemoryFraction <= 1) {
		doc.Errorf("memory_fraction", "must be above 0 and at most 1, got %g", e.MemoryFraction)
	}
	switch e.MemoryShareOf {
	case "", ShareOfAll, ShareStatic, ShareOfFree:
	default:
		doc.Errorf("memory_share_of", "%v", spec.UnknownName("share", string(e.MemoryShareOf), []string{string(ShareOfAll), string(ShareStatic), string(ShareOfFree)}))
	}
	for _, f := range []struct {
		path string
		v    int
	}{
		{"page_tokens", e.PageTokens}, {"poll_steps", e.PollSteps},
		{"max_tokens.prefill", e.MaxTokens.Prefill}, {"max_tokens.decode", e.MaxTokens.Decode}, {"max_tokens.mixed", e.MaxTokens.Mixed},
		{"max_sequences.prefill", e.MaxSequences.Prefill}, {"max_sequences.decode", e.MaxSequences.Decode}, {"max_sequences.mixed", e.MaxSequences.Mixed},
	} {
		if f.v < 1 || f.v > 1<<24 {
			doc.Errorf(f.path, "must be from 1 to %d, got %d", 1<<24, f.v)
		}
	}
	for _, f := range []struct {
		path string
		v    int
	}{{"graph_tokens", e.GraphTokens}, {"latent_page_tokens", e.LatentPageTokens}, {"compressed_page_tokens", e.CompressedPageTokens}} {
		if f.v < 0 || f.v > 1<<24 {
			doc.Errorf(f.path, "must be from 0 to %d, got %d", 1<<24, f.v)
		}
	}
	e.Memory.check(doc)
	if e.FourBit != "" && e.FourBit != law.W4A8 && e.FourBit != law.W4A16 {
		doc.Errorf("four_bit", "%v", spec.UnknownName("arithmetic", string(e.FourBit), []string{string(law.W4A8), string(law.W4A16)}))
	}
	if err := e.BatchWait.Check(); err != nil {
		doc.Errorf("batch_wait", "%v", err)
	}
	if err := e.Balance.Check(); err != nil {
		doc.Errorf("balance", "%v", err)
	}
	if s := &e.Small; s.Below < 0 || s.MaxTokens < 0 || s.MaxTokens > 1<<24 || s.MaxSequences < 0 || s.MaxSequences > 1<<24 {
		doc.Errorf("small", "below, max_tokens and max_sequences must not be negative, budgets at most %d, got %v, %d and %d", 1<<24, s.Below, s.MaxTokens, s.MaxSequences)
	}
	if e.HeadRanks < 0 || e.HeadRanks > 1<<20 {
		doc.Errorf("head_ranks", "must be from 0 to %d, got %d", 1<<20, e.HeadRanks)
	}
	if e.OverlapStreams < 0 || e.OverlapStreams > 2 {
		doc.Errorf("overlap_streams", "must be 1 or 2, got %d", e.OverlapStreams)
	}
	e.checkModes(doc)
	if f := e.CommCoresFraction; !(f >= 0 && f <= 0.9) {
		doc.Errorf("comm_cores_fraction", "must be from 0 to 0.9, got %g", f)
	}
	if p := e.WaveExponent; !(p >= 1 && p <= 100) {
		doc.Errorf("wave_exponent", "must be from 1 to 100, got %g", p)
	}
	e.Fitted.check(doc)
}

// checkModes reports launch modes and overlaps that nothing knows.
func (e *Engine) checkModes(doc *spec.Doc) {
	for _, l := range []struct {
		path string
		v    Launching
	}{{"decode_launch", e.DecodeLaunch}, {"prefill_launch", e.PrefillLaunch}} {
		if l.v != Graph && l.v != Eager {
			doc.Errorf(l.path, "%v", spec.UnknownName("launch mode", string(l.v), []string{string(Graph), string(Eager)}))
		}
	}
	for _, o := range []struct {
		path string
		v    Overlap
	}{{"overlap.prefill", e.Overlap.Prefill}, {"overlap.decode", e.Overlap.Decode}, {"overlap.mixed", e.Overlap.Mixed}} {
		if _, err := ParseOverlap(string(o.v)); err != nil || o.v == "" {
			doc.Errorf(o.path, "%v", spec.UnknownName("overlap", string(o.v), OverlapNames()))
		}
	}
}

// Number is one fitted number: where it stands and what it may be.
type Number struct {
	Name      string
	Value     *float64
	Low, High float64
}

// Numbers are the fitted numbers, in the order of the file.
func (f *Fitted) Numbers() []Number {
	return []Number{
		{"host_step_us", &f.HostStepUs, 0, 1e6}, {"host_sequence_us", &f.HostSequenceUs, 0, 1e5},
		{"draft_sequence_us", &f.DraftSequenceUs, 0, 1e5},
		{"ttft_ms", &f.TTFTMs, 0, 1e5}, {"handover_ms", &f.HandoverMs, 0, 1e5}, {"eager_kernel_us", &f.EagerKernelUs, 0, 1e4},
		{"overlap_fraction", &f.OverlapFraction, 0, 1}, {"prefill_factor", &f.PrefillFactor, 0.1, 10},
	}
}

func (f *Fitted) check(doc *spec.Doc) {
	for _, n := range f.Numbers() {
		if v := *n.Value; !(v >= n.Low && v <= n.High) {
			doc.Errorf("fitted."+n.Name, "must be from %g to %g, got %g", n.Low, n.High, v)
		}
	}
}
