package result

import "runtime/debug"

// module is the program's path, by which a program of one's own that links it finds its
// version.
const module = "github.com/clustersim/clustersim"

// Program is the version of clustersim that is running, and of the Go that built it: the
// module's, or the commit it was built from.
func Program() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return version(info)
}

func version(info *debug.BuildInfo) string {
	v := ""
	if info.Main.Path == module {
		v = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
				v = s.Value
			}
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			v = dep.Version
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v + " " + info.GoVersion
}
