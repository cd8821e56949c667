package cost

import (
	"fmt"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/topologies"
)

// Step prices one step; loads has one entry for each attention (DP) rank. A step
// of no rows takes no time.
func (s *Stepper) Step(loads []Load) Step {
	var step Step
	s.price(loads, nil, &step)
	return step
}

// counts are the rows of a step: of the longest rank (under context parallelism of one of
// the ranks that share its prompts), and of all together.
type counts struct {
	rows, totalRows           int64 // main model
	sequences, totalSequences int64 // of a draft pass, one row each
	chunk, totalChunk         int64
	head, draftHead           int64 // rows of the LM head: of the main model, of a draft
	totalHead, totalDraftHead int64
	asked                     int64 // rows of the step before it is cut in batches that are rounded up
}

// gather turns the loads of the ranks that have work into works, and returns the mean
// of all ranks and the counts.
func (s *Stepper) gather(loads []Load, batches int64) (mean work, c counts) {
	if len(loads) != len(s.works) {
		panic(fmt.Sprintf("cost: %d loads for %d attention ranks (%s)", len(loads), len(s.works), s.describe()))
	}
	pp, cp := int64(s.config.Layout.PP), int64(s.config.Layout.CP)
	s.busy = s.busy[:0]
	for i := range loads {
		if loads[i].Sequences == 0 && loads[i].ChunkTokens == 0 {
			continue
		}
		s.busy = append(s.busy, i)
		if cp > 1 && loads[i].Sequences > 0 {
			panic(fmt.Sprintf("cost: a step under context parallelism decodes %d sequences (%s)", loads[i].Sequences, s.describe()))
		}
		w := &s.works[i]
		w.fill(&loads[i], s.verify, pp*batches, cp)
		mean.add(w)
		sequences, chunk := int64(w.sequences), ceilDiv(loads[i].ChunkTokens, pp*batches)
		own := ceilDiv(chunk, cp)
		verified := sequences * int64(s.verify)
		head := ceilDiv(loads[i].Sequences, pp)*int64(s.verify) + loads[i].LastChunks
		c.rows, c.totalRows = max(c.rows, verified+own), c.totalRows+verified+chunk
		c.sequences, c.totalSequences = max(c.sequences, sequences), c.totalSequences+sequences
		c.chunk, c.totalChunk = max(c.chunk, own), c.totalChunk+chunk
		draftHead := ceilDiv(loads[i].Sequences, pp)
		c.head, c.draftHead = max(c.head, head), max(c.draftHead, draftHead)
		c.totalHead, c.totalDraftHead = c.totalHead+head, c.totalDraftHead+draftHead
		c.asked += loads[i].Sequences*int64(s.verify) + loads[i].ChunkTokens
	}
	mean.scale(1 / float64(len(loads)))
	return mean, c
}

// price puts a step together; with a recorder it also lists the operators, and
// then prices everything anew instead of looking it up.
func (s *Stepper) price(loads []Load, r *recorder, step *Step) {
	batches := s.batches(loads)
	mean, c := s.gather(loads, batches)
	if c.rows == 0 {
		return
	}
	var attention, layers, comm part
	s.meanAttention(&attention, r, &mean, &c)
	imbalance := s.waiting(&mean, &c)

	hidden := s.addStack(&layers, &comm, &imbalance, r, &s.main, c.rows, c.totalRows, c.chunk > 0, 1)
	if s.config.Drafts > 0 {
		hidden += s.addDrafts(&layers, &comm, &imbalance, r, &c)
	}
	layers.plus(&attention, 1)
	if batches > 1 {
		layers.times(float64(batches))
		comm.times(float64(batches))
		imbalance *= float64(batches)
		r.times(float64(batches))
	}
	imbalance += s.stages(&layers, &imbalance)

	stretch := 1 + (s.config.Engine.Fitted.PrefillFactor-1)*float64(c.totalChunk)/float64(c.totalRows)
	tax := s.coreTax(&comm, &c)
	layers.stretch(stretch, tax)
	imbalance *= stretch
	r.stretch(stretch, tax)
	s.relieveLayers(&layers, &comm, &imbalance)
	if batches > 1 {
		hidden += s.overlap(&layers, &comm, r)
	}
	layers.plus(&comm, 1)
	body := layers
	s.gatherHidden(&layers, r, float64(c.chunk*batches))
	s.addHead(&layers, r, &c)
	s.addBoundary(&layers, r, loads)
	s.relieve(&layers, &body)
	s.addHost(&layers, r, loads, &c)
	layers.time[cause.Imbalance] += imbalance
	r.other("imbalance", "slowest attention rank, heaviest expert rank", cause.Imbalance, imbalance)

	seconds := layers.total()
	s.physics(&layers, seconds)
	// What rounding the batches up adds is nobody's work either.
	s.settle(step, &layers, hidden, float64(c.asked)/float64(c.totalRows*int64(s.config.Layout.PP)*batches))
}

// stretch multiplies operators' time by f and the arithmetic once more by tax.
func (p *part) stretch(f, tax float64) {
	for c := range p.time {
		if cause.Cause(c) != cause.CommBandwidth && cause.Cause(c) != cause.CommLatency {
			p.time[c] *= f
		}
	}
	p.time[cause.Compute] *= tax
}

// meanAttention accounts the attention of the mean rank.
func (s *Stepper) meanAttention(p *part, r *recorder, w *work, c *counts) {
	s.accountAttention(p, r, s.main.attentions, w, float64(c.rows), 1)
	if s.config.Drafts == 0 {
		return
	}
	if c.sequences > 0 {
		d := w.draft()
		s.accountAttention(p, r, s.draft.attentions, &d, float64(c.sequences), 1)
	}
	if c.chunk > 0 {
		d := w.promptOnly()
		s.accountAttention(p, r, s.draft.attentions, &d, float64(c.chunk), 1/float64(s.config.Drafts))
	}
}

// waiting is how much longer the slowest rank is in attention than the mean one.
// In a step without prompts the projections, padded to the same rows on every
// rank, cancel and are left out.
func (s *Stepper) waiting(mean *work, c *counts) float64 {
	if len(s.works) == 1 {
		return 0
	}
	rows := float64(c.rows)
	if c.chunk == 0 {
		rows = 0
	}
	slowest := 0.0
	for _, i := range s.busy {
		slowest = max(slowest, s.rankSeconds(&s.works[i], c, rows))
	}
	return max(0, slowest-s.rankSeconds(mean, c, rows))
}

func (s *Stepper) rankSeconds(w *work, c *counts, rows float64) float64 {
	t := s.attentionSeconds(s.main.attentions, w, rows)
	if s.config.Drafts > 0 {
		t += s.draftAttentionSeconds(w, c)
	}
	return t
}

func (s *Stepper) draftAttentionSeconds(w *work, c *counts) float64 {
	t := 0.0
	if c.sequences > 0 {
		d := w.draft()
		t += s.attentionSeconds(s.draft.attentions, &d, float64(c.sequences))
	}
	if c.chunk > 0 {
		d := w.promptOnly()
		t += s.attentionSeconds(s.draft.attentions, &d, float64(c.chunk)) / float64(s.config.Drafts)
	}
	return t
}

// addStack books f times what a stack does for the counts, and returns what its
// wave overlap hides.
func (s *Stepper) addStack(layers, comm *part, imbalance *float64, r *recorder, st *stack, rows, total int64, prefill bool, f float64) (hidden float64) {
	var d *part
	var x *mixture
	if r == nil {
		d, x = s.dense(st, rows), s.mixture(st, rows, total, prefill)
	} else {
		d, x = &part{}, &mixture{}
		r.weight = f
		s.fillDense(d, r, st, float64(rows))
		s.fillMixture(x, r, st, float64(rows), float64(total), prefill)
		r.weight = 1
	}
	layers.plus(d, f)
	// Padding rows take time, but are nobody's FLOPs.
	padding := 1 - float64(total)/float64(rows*int64(s.config.Layout.groups()))
	layers.flops -= f * d.flops * padding
	layers.atPeak -= f * d.atPeak * padding
	layers.plus(&x.mean, f)
	comm.plus(&x.comm, f)
	*imbalance += f * x.imbalance
	return f * x.hidden
}

// addDrafts books the draft passes: each over one row a sequence, and one pass
// over the prompt tokens, which the draft module's own cache needs.
func (s *Stepper) addDrafts(layers, comm *part, imbalance *float64, r *recorder, c *counts) (hidden float64) {
	if c.sequences > 0 {
		hidden += s.addStack(layers, comm, imbalance, r, &s.draft, c.sequences, c.totalSequences, false, 1)
	}
	if c.chunk > 0 {
		hidden += s.addStack(layers, comm, imbalance, r, &s.draft, c.chunk, c.totalChunk, true, 1/float64(s.config.Drafts))
	}
	return hidden
}

// stages is what the fullest pipeline stage takes beyond the mean one: stages hold
// whole layers.
func (s *Stepper) stages(layers *part, imbalance *float64) float64 {
	pp, n := s.config.Layout.PP, len(s.config.Model.Layers)
	if pp == 1 {
		return 0
	}
	fullest := float64((n+pp-1)/pp*pp) / float64(n)
	return (fullest - 1) * (layers.total() + *imbalance)
}

// coreTax is how much longer arithmetic takes while communication kernels hold
// some of the cores: in two-batch overlap of a prefill (decode's low-latency
// kernels hold none).
func (s *Stepper) coreTax(comm *part, c *counts) float64 {
	if s.config.Layout.Overlap != TwoBatch || comm.time[cause.CommBandwidth] == 0 || c.chunk == 0 {
		return 1
	}
	return 1 / (1 - s.config.Engine.CommCoresFraction)
}

// batches is in how many the step's rows are cut: two with two-batch overlap, when
// there are experts elsewhere and at least two sequences or prompt tokens. Each
// half runs every kernel and reads every weight.
func (s *Stepper) batches(loads []Load) int64 {
	if s.config.Layout.Overlap != TwoBatch || !s.mixed || !s.dispatched() {
		return 1
	}
	for i := range loads {
		if loads[i].Sequences+loads[i].ChunkTokens >= 2*int64(s.config.Layout.PP) {
			return 2
		}
	}
	return 1
}

// overlap takes what two-batch overlap hides off the communication: the engine's
// fraction of the shorter of the two sides, one half's layers against the other
// half's dispatch and combine. An engine that runs the halves in two streams hides
// as much of one half's launch floors, during which cores idle, behind the other's work.
func (s *Stepper) overlap(layers, comm *part, r *recorder) float64 {
	total, f := comm.total(), s.config.Engine.Fitted.OverlapFraction
	if total == 0 {
		return 0
	}
	hidden := f * min(total, layers.total())
	comm.scaleTime(1 - hidden/total)
	floors := 1.0
	if s.config.Engine.OverlapStreams == 2 {
		floors = 1 - f/2
	}
	r.exposed(1-hidden/total, floors)
	hidden += layers.time[cause.Launch] * (1 - floors)
	layers.time[cause.Launch] *= floors
	return hidden
}

// dependentShare of the time of a kernel that does next to nothing is launch and
// drain, which programmatic dependent launch hides at every kernel boundary; assumed,
// and consistent with gpt-oss on B200 with TensorRT-LLM, the published rows that set it.
const dependentShare = 0.8

// addHost books the host's time a step and the launches that an eager host cannot
// issue as fast as the chip runs them.
func (s *Stepper) addHost(p *part, r *recorder, loads []Load, c *counts) {
	e := s.config.Engine
	busiest, verifies := int64(0), int64(0)
	for i := range loads {
		busiest = max(busiest, loads[i].Sequences+loads[i].Chunks)
		verifies = max(verifies, loads[i].Sequences)
	}
	if e.DependentLaunch {
		early := min(p.time[cause.Launch], p.kernels*dependentShare*s.smallKernel)
		p.time[cause.Launch] -= early
		r.other("all", "launches behind the kernel before", cause.Launch, -early)
	}
	gpu := p.total()
	host := e.Fitted.HostStepUs*1e-6 + e.Fitted.HostSequenceUs*1e-6*float64(busiest)
	if s.config.Drafts > 0 {
		host += e.Fitted.DraftSequenceUs * 1e-6 * float64(verifies)
	}
	host *= s.relieved(cause.Host)
	if e.HostOverlapped {
		host = max(0, host-gpu)
	}
	mode := e.DecodeLaunch
	if c.chunk > 0 {
		mode = e.PrefillLaunch
	}
	if n := int64(e.GraphTokens); n > 0 && c.chunk > 0 && c.rows > n {
		mode = Eager
	}
	launch := 0.0
	if mode == Eager {
		launch = max(0, p.kernels*e.Fitted.EagerKernelUs*1e-6*s.relieved(cause.Launch)-gpu)
	}
	p.time[cause.Launch] += launch
	p.time[cause.Host] += host
	r.other("host", "eager launches", cause.Launch, launch)
	r.other("host", "scheduler and sampling", cause.Host, host)
}

// addBoundary books the sends between pipeline stages: PP − 1 of a micro-batch's
// residual streams (HC × hidden, BF16).
func (s *Stepper) addBoundary(p *part, r *recorder, loads []Load) {
	pp := s.config.Layout.PP
	if pp == 1 {
		return
	}
	width := float64(s.config.Model.Hidden * max(1, s.config.Model.HC))
	rows := ceilDiv(ceilDiv(busiest(loads, s.verify), int64(pp)), int64(s.config.Layout.CP))
	b := s.comms.send(float64(rows) * width * 2 / float64(s.config.Layout.TP))
	o := operator{kind: "all", name: "stage boundary", class: "send", precision: string(topologies.BF16), m: float64(rows), n: width, bytes: float64(rows) * width * 2}
	p.communicate(r, o, float64(pp-1), &b)
}

// busiest is the most rows that any rank has.
func busiest(loads []Load, verify float64) int64 {
	most := int64(0)
	for i := range loads {
		most = max(most, loads[i].Sequences*int64(verify)+loads[i].ChunkTokens)
	}
	return most
}

// addHead books the LM head and sampling of the main model, and of every draft.
func (s *Stepper) addHead(p *part, r *recorder, c *counts) {
	s.head(p, r, c.head, c.totalHead, 1)
	if s.config.Drafts > 0 {
		s.head(p, r, c.draftHead, c.totalDraftHead, float64(s.config.Drafts))
	}
}

// headRanks is how many ranks share the LM head.
func (s *Stepper) headRanks() int {
	l := s.config.Layout
	return min(max(l.TP, s.config.Engine.HeadRanks), l.TP*l.groups())
}

func (s *Stepper) head(p *part, r *recorder, rows, total int64, count float64) {
	if rows == 0 {
		return
	}
	padding := 1 - float64(total)/float64(rows*int64(s.config.Layout.groups()))
	if r == nil {
		h, ok := s.heads.at(rows, 0)
		if !ok {
			*h = part{}
			s.fillHead(h, nil, float64(rows))
		}
		p.plus(h, count)
		p.flops -= count * h.flops * padding
		p.atPeak -= count * h.atPeak * padding
		return
	}
	var h part
	r.weight = count
	s.fillHead(&h, r, float64(rows))
	r.weight = 1
	p.plus(&h, count)
	p.flops -= count * h.flops * padding
	p.atPeak -= count * h.atPeak * padding
}

// fillHead prices the head for rows a rank. Where it is shared by more ranks than
// the TP group, their rows are gathered first, and each rank scores its part of
// the vocabulary for all of them. Candidates come back in one small message, or the
// logits themselves in BF16, to be widened and sampled from on every rank.
func (s *Stepper) fillHead(p *part, r *recorder, rows float64) {
	ranks, tp := s.headRanks(), s.config.Layout.TP
	all := rows
	if ranks > tp {
		all = rows * float64(ranks/tp)
		bytes := all * float64(s.config.Model.Hidden) * 2
		g := s.comms.allGather(ranks, bytes)
		p.communicate(r, operator{kind: "head", name: "gather rows", class: "all-gather", precision: string(topologies.BF16), m: all, n: float64(s.config.Model.Hidden), bytes: bytes}, 1, &g)
	}
	l := shardLinear(s.config.Model.Head, ranks, s.config.Chip)
	if l.name == "" {
		l.name = "lm_head"
	}
	s.gemm(p, r, "head", &l, all, 1)
	p.kernels += 3
	sampling := operator{kind: "head", name: "sampling", class: "elementwise", precision: "fp32", m: all, n: l.n}
	switch {
	case ranks == 1:
		p.add(r, sampling, 1, s.laws.Elementwise(3, 8*all*l.n))
	case s.config.Engine.GathersLogits:
		sampling.n *= float64(ranks)
		bytes := 2 * all * sampling.n
		g := s.comms.allGather(ranks, bytes)
		p.communicate(r, operator{kind: "head", name: "gather logits", class: "all-gather", precision: string(topologies.BF16), m: all, n: sampling.n, bytes: bytes}, 1, &g)
		p.add(r, sampling, 1, s.laws.Elementwise(3, 10*all*sampling.n))
	default:
		p.add(r, sampling, 1, s.laws.Elementwise(3, 8*all*l.n))
		g := s.comms.allGather(ranks, all*8*float64(ranks))
		p.communicate(r, operator{kind: "head", name: "gather candidates", class: "all-gather", precision: "fp32", m: all, n: 2, bytes: all * 8 * float64(ranks)}, 1, &g)
	}
}

// settle rounds the causes to nanoseconds by their running sum, so that they add
// up to the step, and scales the work to all ranks and to the share of the cut
// batches that is filled.
func (s *Stepper) settle(step *Step, p *part, hidden, filled float64) {
	var running float64
	var before des.Time
	for c := range p.time {
		running += p.time[c]
		now := des.FromSeconds(running)
		step.Causes[c] = now - before
		before = now
	}
	step.Time = before
	step.Tau = min(des.FromSeconds(p.tau), step.Causes[cause.CommLatency])
	step.Hidden = des.FromSeconds(hidden)
	ranks := float64(s.Ranks()) * filled
	step.Flops, step.Bytes = p.flops*ranks, p.bytes*ranks
	for t := range p.link {
		step.LinkBytes[t] = p.link[t] * ranks
	}
}
