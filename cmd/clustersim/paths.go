package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/topologies"
	"github.com/clustersim/clustersim/traces"
)

// completeSet completes the path of --set, and its value where there are names for it: paths of the scenario, and those of the
// descriptions that the flags before it name.
func (in *scenarioInput) completeSet(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	if path, value, valued := strings.Cut(typed, "="); valued {
		begun := value[:strings.LastIndexByte(value, ',')+1] // a sweep takes several
		fitting, directive := offered(in.setValues(path, value[len(begun):]), value[len(begun):])
		for i := range fitting {
			fitting[i] = path + "=" + begun + fitting[i]
		}
		return fitting, directive
	}
	var fitting []string
	for _, path := range in.setPaths(typed) {
		if !strings.HasSuffix(path, ".") {
			path += "="
		}
		if strings.HasPrefix(path, typed) {
			fitting = append(fitting, path)
		}
	}
	return fitting, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// setPaths lists paths that may go on as typed: a description's own once its root has
// been typed, since there are thousands.
func (in *scenarioInput) setPaths(typed string) []string {
	paths := scenario.Paths()
	root, rest, deeper := strings.Cut(typed, ".")
	if !deeper {
		for _, r := range scenario.PatchRoots {
			paths = append(paths, r.Root+".")
		}
		return paths
	}
	systems := topologies.NewSource(in.topologyDirs, nil)
	below := func(prefix string, found []string, err error) {
		for _, path := range found {
			if err == nil {
				paths = append(paths, prefix+"."+path)
			}
		}
	}
	named := func(names []string, of func(string) ([]string, error)) {
		for _, name := range names {
			if strings.HasPrefix(rest, name+".") {
				found, err := of(name)
				below(root+"."+name, found, err)
			}
			paths = append(paths, root+"."+name+".")
		}
	}
	switch root {
	case "model":
		found, err := models.Source{Dirs: in.modelDirs}.Paths(in.value("model"))
		below(root, found, err)
	case "topology":
		found, err := systems.Paths(in.value("topo"))
		below(root, found, err)
	case "chip":
		if t, err := systems.Load(in.value("topo")); err == nil {
			found, err := systems.ChipPaths(t.Chip.Name)
			below(root, found, err)
		}
	case "chips":
		named(topologies.ChipNames(in.topologyDirs...), systems.ChipPaths)
	case "library":
		named(topologies.LibraryNames(in.topologyDirs...), systems.LibraryPaths)
	case "engine":
		below(root, cost.EnginePaths(), nil)
	case "workload":
		profile := in.value("workload")
		if profile == "" {
			profile = "chat"
		}
		found, err := traces.ProfilePaths(profile)
		below(root, found, err)
	}
	return paths
}

// value is what a flag has been given last, or nothing: the shell's completion reads
// the flags twice.
func (in *scenarioInput) value(flag string) string {
	values := in.flags[flag].values
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}
