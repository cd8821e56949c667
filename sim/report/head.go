package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/typeset"
)

// Asked writes what a resolved scenario asks for, so that what follows can be read
// alone: model and topology, workload, SLO, engine, formats. What a plan decided is marked
// as chosen.
func Asked(w io.Writer, s *scenario.Scenario, offered *result.Workload) error {
	p := &page{columns: min(columns, typeset.Columns(w))}
	p.line("%s on %s", s.Model, s.Topology)
	p.asked(s, offered, nil)
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) asked(s *scenario.Scenario, offered *result.Workload, substituted []string) {
	d := &s.Deployment
	p.field("workload", "%s", workload(s, offered))
	p.field("SLO", "%s", s.SLO)
	p.field("engine", "%s", strings.Join(engine(s), "; "))
	if formats := formats(&d.Precision); formats != "" {
		p.field("formats", "%s", formats)
	}
	for _, note := range substituted {
		p.field("", "%s", note)
	}
	if knobs := s.KVCompress.String(); knobs != "" {
		p.field("kv_compress", "%s", knobs)
	}
	if tau := s.Tau.String(); tau != "" {
		p.field("tau", "%s", tau)
	}
	if len(s.Patches) > 0 {
		patches := make([]string, len(s.Patches))
		for i, patch := range s.Patches {
			patches[i] = patch.String()
		}
		p.field("patches", "%s", strings.Join(patches, ", "))
	}
}

// chosen marks what a plan decided.
func chosen(s *scenario.Scenario, path string) string {
	if s != nil && slices.Contains(s.Deployment.Chosen, path) {
		return " (chosen)"
	}
	return ""
}

// workload is what is offered, in words.
func workload(s *scenario.Scenario, offered *result.Workload) string {
	if t := s.Trace; t != nil {
		return trace(t, offered)
	}
	w := s.Workload
	if w == nil {
		return "none"
	}
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	lengths := fmt.Sprintf("%s in, %s out", offered.InputTokens, offered.OutputTokens)
	switch {
	case offered.InputTokens == "":
		parts = append(parts, w.Profile)
	case w.Profile != "":
		say("%s, tokens %s", w.Profile, lengths)
	default:
		say("tokens %s", lengths)
	}
	if offered.Sessions {
		say("in sessions of several turns")
	}
	switch {
	case w.Concurrency > 0 && w.ThinkTime > 0:
		say("clients: %s, each thinks for %s between requests", count(int64(w.Concurrency)), w.ThinkTime)
	case w.Concurrency > 0:
		say("clients: %s, each with one request at a time", count(int64(w.Concurrency)))
	case w.AllAtOnce():
		say("all at once")
	case w.Rate > 0:
		say("%s requests/s%s, %s", figure(w.Rate), chosen(s, "workload.rate"), arrivals(w, offered))
	}
	if w.Requests > 0 {
		say("%s requests measured%s", count(w.Requests), chosen(s, "workload.requests"))
	}
	if w.Duration > 0 {
		say("those that arrive in %s measured", w.Duration)
	}
	if w.Start == "stationary" {
		say("from a stationary start")
	}
	return strings.Join(parts, "; ")
}

func arrivals(w *scenario.Workload, offered *result.Workload) string {
	switch {
	case offered.Arrivals != "":
		return offered.Arrivals
	case w.Arrivals != "":
		return w.Arrivals
	}
	return "poisson"
}

// trace is a recorded workload, with what has been read of it.
func trace(t *scenario.Trace, offered *result.Workload) string {
	text := "trace " + t.File
	if offered.Format != "" {
		text += " (" + offered.Format + ")"
	}
	if n := offered.Requests; n > 0 {
		text += fmt.Sprintf("; %s requests over %s, tokens %s in and %s out in the mean", count(n), seconds(offered.SpanS), figure(offered.MeanInputTokens), figure(offered.MeanOutputTokens))
	}
	if t.Limit > 0 {
		text += fmt.Sprintf("; the first %s", count(int64(t.Limit)))
	}
	if t.From > 0 || t.To > 0 {
		text += fmt.Sprintf("; cut from %s", t.From)
		if t.To > 0 {
			text += fmt.Sprintf(" to %s", t.To)
		}
	}
	if t.RateScale != 1 && t.RateScale != 0 {
		text += fmt.Sprintf("; offered %s times as fast", figure(t.RateScale))
	}
	return text
}

// engine is what serves, and how: what holds for all pools.
func engine(s *scenario.Scenario) []string {
	d := &s.Deployment
	parts := []string{d.Engine}
	if d.Engine == "" {
		parts[0] = "the chip's own"
	}
	if d.Routing != "" && d.Precision.Experts != "" {
		parts = append(parts, "tokens fall on experts by "+d.Routing)
	}
	switch n := d.MTP.Drafts; {
	case n == 0:
		parts = append(parts, "no drafts")
	case d.MTP.AcceptedLength == 0:
		parts = append(parts, fmt.Sprintf("MTP drafts: %d%s", n, chosen(s, "deployment.mtp.drafts")))
	default:
		parts = append(parts, fmt.Sprintf("MTP drafts: %d%s, %s tokens accepted a step", n, chosen(s, "deployment.mtp.drafts"), figure(d.MTP.AcceptedLength)))
	}
	if s.Router.Policy != "" {
		parts = append(parts, "router "+s.Router.Policy)
	}
	return append(parts, fmt.Sprintf("seed %d", s.Seed))
}

// formats are how weights and caches are stored.
func formats(p *scenario.Precision) string {
	var parts []string
	for _, f := range []struct {
		what   string
		format models.Format
	}{
		{"weights", p.Weights}, {"attention", p.Attention}, {"attention output", p.AttentionOutput}, {"experts", p.Experts},
		{"router", p.Router}, {"KV", p.KV}, {"indexer", p.Indexer},
	} {
		if f.format != "" {
			parts = append(parts, f.what+" "+string(f.format))
		}
	}
	return strings.Join(parts, ", ")
}

// pool is one pool's layout and budgets.
func (p *page) pool(s *scenario.Scenario, i *result.PoolInfo) {
	path := "deployment." + i.Name
	instances, layout := chosen(s, path+".instances"), chosen(s, path+".layout")
	if layout != "" { // its number of instances is part of the choice
		instances = ""
	}
	l := &i.Layout
	redundant := ""
	if l.Redundant > 0 {
		redundant = fmt.Sprintf(", %d redundant experts", l.Redundant)
	}
	p.field(i.Name, "%s%s × %s chips %s: TP %d, DP %d, EP %d, PP %d, CP %d%s%s; overlap %s%s", count(int64(i.Instances)), instances,
		count(int64(i.ChipsPerInstance)), i.Chip, l.TP, l.DP, l.EP, l.PP, l.CP, redundant, layout, l.Overlap, chosen(s, "deployment.overlap"))
	p.field("", "max_tokens %s%s, max_sequences %s; %s weights a chip, %s KV a rank",
		count(int64(i.MaxTokens)), chosen(s, path+".max_tokens"), count(int64(i.MaxSequences)), spec.Bytes(i.WeightBytes), spec.Bytes(i.KVBytes))
}
