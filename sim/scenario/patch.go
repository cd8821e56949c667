package scenario

import (
	"reflect"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/traces"
)

// PatchRoots are what a patch's path may begin with, and what it is laid over. A path
// of the scenario itself goes before one of a description: workload.rate is the
// scenario's, workload.sessions the profile's.
var PatchRoots = []struct{ Root, Of string }{
	{"model", "the model, after a Hugging Face file has been converted"},
	{"chip", "the topology's own chip"},
	{"chips", "a chip by name: chips.NAME.PATH"},
	{"topology", "the topology; a tier goes by its name, and * is every tier"},
	{"library", "a communication library by name: library.NAME.PATH"},
	{"engine", "the engine profile"},
	{"workload", "the workload profile"},
}

// engineOptions are keys that belong to the engine: a scenario that has one in its
// deployment is told to write a patch.
var engineOptions = []string{
	"poll_steps", "memory_fraction", "graph_tokens", "dependent_launch",
	"batch_wait", "batch_wait.steps", "batch_wait.share", "balance", "balance.steps", "balance.gather",
}

// elsewhere says of such paths where their values stand.
func elsewhere() map[string]string {
	out := make(map[string]string, len(engineOptions))
	for _, key := range engineOptions {
		out["deployment."+key] = "it is engine." + key + ", under patches"
	}
	return out
}

func patchRoots() []string {
	names := make([]string, len(PatchRoots))
	for i, r := range PatchRoots {
		names[i] = r.Root
	}
	return names
}

// IsPatch reports whether a path is that of a description, and none of the scenario
// itself. Whether it leads anywhere shows when the description is loaded; a profile's
// own keys are known here, so that a slip in the scenario's workload is called one.
func IsPatch(path string) bool {
	root, rest, deeper := strings.Cut(path, ".")
	if !deeper || rest == "" || !slices.Contains(patchRoots(), root) || slices.Contains(Paths(), path) {
		return false
	}
	return root != "workload" || slices.ContainsFunc(profileKeys(), func(key string) bool { return rest == key || strings.HasPrefix(rest, key+".") })
}

// profileKeys are the keys of a workload profile.
func profileKeys() []string {
	var keys []string
	for _, path := range spec.Paths(reflect.TypeFor[traces.Profile]()) {
		key, _, _ := strings.Cut(path, ".")
		keys = append(keys, key)
	}
	return slices.Compact(keys)
}

// overridden reports patches of what the scenario states itself: one of the two would
// not be heard.
func (s *Scenario) overridden(fault Fault) {
	d := &s.Deployment
	over := func(stated bool, path string, patterns ...string) {
		if !stated {
			return
		}
		for _, p := range s.Patches {
			if slices.ContainsFunc(patterns, func(at string) bool { return spec.Covers(at, p.Path) || spec.Covers(p.Path, at) }) {
				fault("patches", "%s: %s says the same; give one of the two", p.Path, path)
			}
		}
	}
	k := &s.KVCompress
	over(k.Uncompressed || k.CSA != 0 || k.HCA != 0, "kv_compress", "model.attention.*.ratio")
	over(k.Uncompressed || k.TopK != 0, "kv_compress", "model.attention.*.topk")
	over(k.Uncompressed || k.Window != 0, "kv_compress", "model.attention.*.window")
	over(k.KV != "", "kv_compress", "model.formats.kv")
	over(k.Indexer != "", "kv_compress", "model.formats.indexer")
	for key, format := range map[string]models.Format{
		"weights": d.Precision.Weights, "attention": d.Precision.Attention, "attention_output": d.Precision.AttentionOutput, "experts": d.Precision.Experts,
		"router": d.Precision.Router, "kv": d.Precision.KV, "indexer": d.Precision.Indexer,
	} {
		over(format != "", "deployment.precision."+key, "model.formats."+key)
	}
	over(len(s.Tau) > 0, "tau", "topology.tiers.*.tau")
	over(d.MTP.AcceptedLength > 0, "deployment.mtp.accepted_length", "model.mtp.accepted_length")
	over(d.Overlap != "", "deployment.overlap", "engine.overlap")
	for _, p := range d.pools() {
		over(p.pool.Overlap != "", p.path+".overlap", "engine.overlap")
	}
}

// checkPatches reports paths that begin with nothing that can be patched, and paths
// of the scenario itself.
func (s *Scenario) checkPatches(fault Fault) {
	s.overridden(fault)
	for _, p := range s.Patches {
		root, _, _ := strings.Cut(p.Path, ".")
		switch {
		case s.Trace != nil && root == "workload":
			fault("patches", "%s: a trace has no workload profile; leave it out", p.Path)
		case slices.Contains(Paths(), p.Path):
			fault("patches", "%s is a path of the scenario itself: write it there", p.Path)
		case !strings.Contains(p.Path, "."):
			fault("patches", "%s: want a path into it, such as {%s.PATH: VALUE}", p.Path, p.Path)
		case strings.HasSuffix(p.Path, ".name"), strings.HasSuffix(p.Path, ".aliases"):
			fault("patches", "%s: a description keeps its name; what refers to it goes by that", p.Path)
		case !IsPatch(p.Path):
			fault("patches", "%s: %v", p.Path, spec.UnknownName("description", root, patchRoots()))
		}
	}
}
