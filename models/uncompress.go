package models

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// kinds are the attention kinds sorted by name.
func (d *document) kinds() []*attentionDoc {
	out := make([]*attentionDoc, 0, len(d.Attention))
	for _, name := range slices.Sorted(maps.Keys(d.Attention)) {
		out = append(out, d.Attention[name])
	}
	return out
}

// clone copies all that Compress and WithFormats change.
func (d *document) clone() *document {
	out := *d
	out.Attention = make(map[string]*attentionDoc, len(d.Attention))
	for name, a := range d.Attention {
		c := *a
		out.Attention[name] = &c
	}
	out.Layers = slices.Clone(d.Layers)
	for i := range out.Layers {
		out.Layers[i].Pattern = slices.Clone(d.Layers[i].Pattern)
	}
	if d.MTP != nil {
		mtp := *d.MTP
		mtp.Layers = slices.Clone(d.MTP.Layers)
		out.MTP = &mtp
	}
	return &out
}

// uncompress replaces every compressed kind by its full form (Compression says
// which) and merges the kinds that become equal.
func (d *document) uncompress() error {
	to := map[string]string{}
	var designs []string
	for _, name := range slices.Sorted(maps.Keys(d.Attention)) {
		a := d.Attention[name]
		designs = append(designs, a.Design)
		if label, full := a.full(); full != nil {
			to[name] = label
		}
	}
	if len(to) == 0 {
		slices.Sort(designs)
		return fmt.Errorf("kv-compress: model %s cannot be uncompressed: %s attention keeps no compressed or selected entries (csa, hca, window, dsa and mla do)",
			d.Name, strings.Join(slices.Compact(designs), " and "))
	}
	for _, name := range slices.Sorted(maps.Keys(to)) {
		_, full := d.Attention[name].full()
		delete(d.Attention, name)
		d.Attention[to[name]] = full
	}
	rename := func(layers []string) {
		for i, l := range layers {
			an, fn, _ := strings.Cut(l, "/")
			if label, ok := to[an]; ok {
				layers[i] = label + "/" + fn
			}
		}
	}
	for _, run := range d.Layers {
		rename(run.Pattern)
	}
	if d.MTP != nil {
		rename(d.MTP.Layers)
	}
	if !slices.ContainsFunc(d.kinds(), func(a *attentionDoc) bool { return a.IndexDim > 0 }) {
		d.Formats.Indexer = ""
	}
	return nil
}

// full is the kind without compression and its label, or nil where there is none.
func (a *attentionDoc) full() (string, *attentionDoc) {
	out := *a
	switch a.Design {
	case "csa", "hca", "window":
		if a.Design == "window" && a.Window == 0 {
			return "", nil
		}
		out.Design = "window"
		out.Window, out.Ratio, out.TopK, out.IndexHeads, out.IndexDim = 0, 0, 0, 0, 0
		return "dense", &out
	case "dsa":
		out.Design = "mla"
		out.TopK, out.IndexHeads, out.IndexDim, out.SharesTopK = 0, 0, 0, false
		return "mla", &out
	case "mla":
		if a.PerHeadKV {
			return "", nil
		}
		out.PerHeadKV = true
		return "mha", &out
	}
	return "", nil
}
