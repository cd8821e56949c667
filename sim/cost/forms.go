package cost

import (
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost/law"
)

// form is the law that prices a design. Those above linearForm cover the whole
// attention block, projections and small kernels included.
type form int

const (
	gqaForm form = iota
	linearForm
	mlaForm
	dsaForm
	csaForm
	hcaForm
	denseForm
	noForm form = -1
)

// formLaw is what a form is priced by, and what of an attention it has terms for:
// anything else in an attention would cost nothing.
type formLaw struct {
	classes []string // of operators
	index   bool     // index keys, their scores and the choice of the top-k
	strided bool     // entries that stand for several tokens
	perHead bool     // a cache of every head, which tensor parallelism divides; otherwise one that ranks keep whole
	state   bool     // fixed state
	none    bool     // no cache at all
}

var formLaws = [...]formLaw{
	gqaForm:    {classes: []string{"gqa_decode", "gqa_prefill"}, perHead: true},
	linearForm: {classes: []string{"gated_delta"}, state: true, none: true},
	mlaForm:    {classes: []string{"mla_decode", "mla_prefill"}},
	dsaForm:    {classes: []string{"dsa_decode", "dsa_prefill"}, index: true},
	csaForm:    {classes: []string{"csa_decode", "csa_prefill"}, index: true, strided: true, state: true},
	hcaForm:    {classes: []string{"hca_decode", "hca_prefill"}, strided: true, state: true},
	denseForm:  {classes: []string{"hca_decode", "hca_prefill", "mla_kernel_decode"}},
}

// formOf picks the law of a design: V4's window-only layers run the HCA form
// without compressed entries; its uncompressed ones have that form's projections
// and floors around dense attention of many heads on one shared entry a token,
// which gathers nothing and decodes as the absorbed MLA kernel does; plain windows
// are GQA, and latent attention with a cache of its own per head runs the GQA kernel.
// A design that is not listed, or that has what its form does not price, is refused.
func formOf(a *models.Attention) (form, error) {
	f := noForm
	switch a.Design {
	case "gqa":
		f = gqaForm
	case "linear":
		f = linearForm
	case "mla":
		if f = mlaForm; len(a.Pieces) > 0 && a.Pieces[0].PerHead {
			f = gqaForm
		}
	case "window":
		if f = hcaForm; a.Window == 0 {
			f = denseForm
		}
	case "dsa":
		f = dsaForm
	case "csa":
		f = csaForm
	case "hca":
		f = hcaForm
	}
	if f == noForm {
		return f, refused(a, "no law prices it")
	}
	return f, formLaws[f].covers(a)
}

// refused says why an attention has no price, and which places would have to know it.
func refused(a *models.Attention, why string, args ...any) error {
	return fmt.Errorf("attention %s: design %q: %s; a design needs its form in formOf and formLaws of sim/cost/forms.go and, "+
		"where its kernels are of no class there is, a law in sim/cost/law with constants in topologies/chips and a form in sim/calibrate/forms.go",
		a.Label, a.Design, fmt.Sprintf(why, args...))
}

// covers refuses an attention with parts that the form's law has no terms for.
func (l *formLaw) covers(a *models.Attention) error {
	var errs []error
	refuse := func(why string, args ...any) { errs = append(errs, refused(a, why, args...)) }
	class := l.classes[0]
	if (a.RunsIndexer || a.TopK > 0 || a.IndexHeads > 0) && !l.index {
		refuse("it chooses its top-k by an indexer, which %s has no terms for", class)
	}
	if a.StateBytes > 0 && !l.state {
		refuse("it keeps %d B of state a sequence, which %s has no terms for", a.StateBytes, class)
	}
	if len(a.Pieces) > 0 == l.none {
		refuse("it has %d kinds of cache entries, and %s wants none: %v", len(a.Pieces), class, l.none)
	}
	for _, p := range a.Pieces {
		switch {
		case p.Role != models.Core && p.Role != models.Index:
			refuse("cache entries are %s or %s, got %q", models.Core, models.Index, p.Role)
		case p.Role == models.Index && !l.index:
			refuse("it has index keys, which %s has no terms for", class)
		case p.Role == models.Core && p.Stride > 1 && !l.strided:
			refuse("its entries stand for %d tokens, which %s has no terms for", p.Stride, class)
		case p.PerHead != l.perHead:
			refuse("%s caches every head by itself: %v; the design does: %v", class, l.perHead, p.PerHead)
		}
		if _, err := eightBit(p.Format); err != nil {
			errs = append(errs, refused(a, "%v", err))
		}
	}
	return errors.Join(errs...)
}

// eightBit says which of the two kernels that laws know reads a cache: the one of a
// narrow cache, or of one in BF16.
func eightBit(f models.Format) (bool, error) {
	switch f {
	case models.BF16, models.FP32:
		return false, nil
	case models.FP8, models.FP8Block, models.INT8, models.NVFP4, models.MXFP4:
		return true, nil
	}
	return false, fmt.Errorf("no kernel reads a cache in %q", f)
}

// uses are the kernels that price an attention.
func (k *attention) uses() []law.Use {
	var out []law.Use
	for _, class := range formLaws[k.form].classes {
		out = append(out, law.Use{Class: class, Variant: k.block.Variant, KV8: k.kv8})
	}
	if !k.wholeBlock() {
		out = append(out, products(k.linears)...)
	}
	return out
}

func products(ls []linear) []law.Use {
	out := make([]law.Use, len(ls))
	for i := range ls {
		out[i] = law.Use{Class: "gemm", Variant: ls[i].variant}
	}
	return out
}

// use is a kernel with what of the model needs it.
type use struct {
	law.Use
	by string
}

// uses are the kernels that the configuration is priced by.
func (s *Stepper) uses() []use {
	head := shardLinear(s.config.Model.Head, 1, s.config.Chip)
	out := []use{{law.Use{Class: "gemm", Variant: head.variant}, "the LM head"}, {law.Use{Class: "small_kernel"}, "every model"}}
	add := func(by string, uses ...law.Use) {
		for _, u := range uses {
			out = append(out, use{u, by})
		}
	}
	for _, st := range []*stack{&s.main, &s.draft} {
		for i := range st.attentions {
			add("attention "+st.attentions[i].label, st.attentions[i].uses()...)
		}
		for i := range st.ffns {
			f := &st.ffns[i]
			add("the FFN "+f.label, products(f.linears)...)
			if f.moe == nil {
				continue
			}
			class := "moe"
			if s.dispatched() {
				class = "moe_dispatched"
			}
			add("the routed experts", law.Use{Class: class, Variant: f.moe.arithmetic.variant})
		}
		add("the draft module", products(st.linears)...)
	}
	if s.config.Model.HC > 1 {
		add("hyper-connections", law.Use{Class: "mhc"})
	}
	return out
}

// priced refuses a configuration of which some kernel has no price on the chip.
func (s *Stepper) priced() error {
	var errs []error
	said := map[law.Use]bool{}
	for _, u := range s.uses() {
		if said[u.Use] {
			continue
		}
		said[u.Use] = true
		if err := s.laws.Need(u.Use); err != nil {
			errs = append(errs, fmt.Errorf("model %s: %s: %w", s.config.Model.Name, u.by, err))
		}
	}
	return errors.Join(errs...)
}

// classes are the operator classes that this configuration is priced by.
func (s *Stepper) classes() []string {
	var classes []string
	for _, u := range s.uses() {
		classes = append(classes, u.Class)
		if u.Class == "gemm" && u.Variant == law.FP32 {
			classes = append(classes, "gemm_fp32")
		}
	}
	return classes
}

// formats refuses weights in a format that no kernel multiplies on the chip.
func (s *Stepper) formats() error {
	var errs []error
	said := map[string]bool{}
	check := func(where, name string, stored, compute models.Format) {
		if arithmeticOf(stored, compute, s.config.Chip).variant != "" || said[where+name] {
			return
		}
		said[where+name] = true
		errs = append(errs, fmt.Errorf("model %s: %s: no kernel multiplies %s, stored in %q and computed in %q", s.config.Model.Name, where, name, stored, compute))
	}
	each := func(where string, ls ...models.Linear) {
		for i := range ls {
			check(where, ls[i].Name, ls[i].Format, ls[i].Compute)
		}
	}
	m := s.config.Model
	each("head", m.Head)
	each("draft module", m.MTPLinears...)
	for _, layers := range [][]models.Layer{m.Layers, m.MTP} {
		for _, l := range layers {
			each(l.Attention.Label, l.Attention.Linears...)
			each(l.FFN.Label, l.FFN.Linears...)
			if e := l.FFN.MoE; e != nil {
				check(l.FFN.Label, "experts", e.Format, "")
				each(l.FFN.Label, e.Gate)
				each(l.FFN.Label, e.Latent...)
				each(l.FFN.Label, e.Shared...)
			}
		}
	}
	return errors.Join(errs...)
}

// reprojects is the projection that a prefix in the cache goes through again (MLA in
// MHA form), nil where none does.
func (k *attention) reprojects() (*linear, error) {
	if k.a.PrefixFlops == 0 {
		return nil, nil
	}
	for i := range k.linears {
		if k.linears[i].name == "kv_b" {
			return &k.linears[i], nil
		}
	}
	return nil, refused(k.a, "it projects its cached prefix again, and has no projection kv_b to do it by")
}
