package scenario

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

// Set puts a value, written as in YAML, at a dotted path of the scenario such as
// "deployment.decode.tp" or "slo.tpot". Units and names are checked as in a file. A path
// of a description, such as "chip.memory.bandwidth", becomes a patch. The value null, or
// none, leaves the path open as if it had not been given.
func (s *Scenario) Set(path, value string) error {
	if path == "" {
		return unknownPath(path)
	}
	path = strings.TrimPrefix(path, "patches.")
	if IsPatch(path) {
		s.Patches = s.Patches.With(path, strings.TrimSpace(value))
		return nil
	}
	s.given(path)
	if text := strings.TrimSpace(value); text == "" || text == "null" || text == "~" {
		return s.unset(path)
	}
	field, err := locate(reflect.ValueOf(s).Elem(), path, path)
	if err != nil {
		return err
	}
	if err := field(value); err != nil {
		return err
	}
	s.seedZero = s.Seed == 0 && (s.seedZero || path == "seed")
	mtp := &s.Deployment.MTP
	mtp.Off = mtp.Drafts == 0 && (mtp.Off || path == "deployment.mtp.drafts")
	return s.refuseZero(path)
}

// given forgets that a plan decided what is now set.
func (s *Scenario) given(path string) {
	s.Deployment.Chosen = slices.DeleteFunc(s.Deployment.Chosen, func(p string) bool { return spec.Covers(path, p) || spec.Covers(p, path) })
}

// always are paths that every scenario has.
var always = []string{"version", "seed"}

// unset leaves a path open again.
func (s *Scenario) unset(path string) error {
	if spec.Covers(path, "deployment.mtp.drafts") {
		s.Deployment.MTP.Off = false
	}
	if slices.Contains(always, path) {
		return fmt.Errorf("%s: every scenario has one; give a value", path)
	}
	if _, err := locate(reflect.ValueOf(s.Clone()).Elem(), path, path); err != nil {
		return err
	}
	v := reflect.ValueOf(s).Elem()
	for rest := path; ; {
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		head, tail, deeper := strings.Cut(rest, ".")
		switch v.Kind() {
		case reflect.Map:
			if !v.IsNil() {
				v.SetMapIndex(reflect.ValueOf(rest).Convert(v.Type().Key()), reflect.Value{})
			}
			return nil
		case reflect.Struct:
			v = v.FieldByIndex(fieldNamed(v.Type(), head))
		default:
			return nil // nothing was given there
		}
		if rest = tail; !deeper {
			v.SetZero()
			return nil
		}
	}
}

// fieldNamed is the index of the field that a key of YAML means; locate has found it.
func fieldNamed(t reflect.Type, key string) []int {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name == key {
			return t.Field(i).Index
		}
	}
	panic(fmt.Sprintf("scenario: %s has no key %s", t, key))
}

// openFields are those whose zero value means that they are left open. To ask for 0
// is a fault.
var openFields = []struct {
	path string
	zero func(*Scenario) bool
}{
	{"workload.rate", func(s *Scenario) bool { return s.Workload != nil && s.Workload.Rate == 0 }},
	{"workload.requests", func(s *Scenario) bool { return s.Workload != nil && s.Workload.Requests == 0 }},
	{"workload.duration", func(s *Scenario) bool { return s.Workload != nil && s.Workload.Duration == 0 }},
	{"workload.concurrency", func(s *Scenario) bool { return s.Workload != nil && s.Workload.Concurrency == 0 }},
	{"slo.ttft", func(s *Scenario) bool { return s.SLO.TTFT.Limit == 0 }},
	{"slo.tpot", func(s *Scenario) bool { return s.SLO.TPOT == 0 }},
	{"slo.itl", func(s *Scenario) bool { return s.SLO.ITL == 0 }},
	{"slo.e2e", func(s *Scenario) bool { return s.SLO.E2E == 0 }},
	{"trace.rate_scale", func(s *Scenario) bool { return s.Trace != nil && s.Trace.RateScale == 0 }},
}

// zeroFault says what to do instead of asking for 0.
func zeroFault(path string) string {
	if strings.HasPrefix(path, "slo.") {
		return "must be above 0; leave it out where nothing is promised"
	}
	return "must be above 0; leave it out to have it chosen"
}

func (s *Scenario) refuseZero(path string) error {
	for _, f := range openFields {
		if f.path == path && f.zero(s) {
			return fmt.Errorf("%s: %s", path, zeroFault(path))
		}
	}
	return nil
}

// keysOf is what a file says, without its types.
func keysOf(data []byte) (file map[string]any) {
	if yaml.Load(data, &file) != nil {
		return nil
	}
	return file
}

// zeros are the paths of open fields that a file gives as 0.
func zeros(file map[string]any, s *Scenario) []string {
	var paths []string
	for _, f := range openFields {
		section, field, _ := strings.Cut(f.path, ".")
		in, _ := file[section].(map[string]any)
		if in[field] != nil && f.zero(s) {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// Paths lists every path that Set takes, sorted.
func Paths() []string {
	names := paths("", reflect.TypeFor[Scenario](), nil)
	slices.Sort(names)
	return names
}

// Clone is a copy that shares nothing with the original.
func (s *Scenario) Clone() *Scenario {
	c := *s
	detach(reflect.ValueOf(&c).Elem())
	return &c
}

// locate walks to a field, making what is absent on the way, and returns how to
// set it. A map's key is all that is left of the path.
func locate(v reflect.Value, rest, whole string) (func(string) error, error) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if rest == "" {
		return func(value string) error { return decode(value, v, whole) }, nil
	}
	switch v.Kind() {
	case reflect.Struct:
		head, tail, _ := strings.Cut(rest, ".")
		for i := range v.NumField() {
			if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); name == head && name != "" {
				return locate(v.Field(i), tail, whole)
			}
		}
	case reflect.Map:
		return func(value string) error {
			elem := reflect.New(v.Type().Elem()).Elem()
			if err := decode(value, elem, whole); err != nil {
				return err
			}
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			v.SetMapIndex(reflect.ValueOf(rest).Convert(v.Type().Key()), elem)
			return nil
		}, nil
	}
	return nil, unknownPath(whole)
}

// decode reads YAML into a field. It decodes into a fresh value first, so that a
// faulty value leaves the scenario as it was.
func decode(value string, into reflect.Value, path string) error {
	fresh := reflect.New(into.Type())
	fresh.Elem().Set(into)
	if into.Kind() == reflect.String && !strings.ContainsAny(value, `"'`) {
		fresh.Elem().SetString(strings.TrimSpace(value))
	} else if err := spec.Parse(path, []byte(value), fresh.Interface()).Err(); err != nil {
		var ps spec.Problems
		if !errors.As(err, &ps) {
			return fmt.Errorf("%s: %w", path, err)
		}
		lines := make([]string, len(ps))
		for i, p := range ps {
			lines[i] = fmt.Sprintf("%s: %s", path, p.Text)
		}
		return errors.New(strings.Join(lines, "\n"))
	}
	into.Set(fresh.Elem())
	return nil
}

// unknownPath names the path that was probably meant: one that ends in what was
// written, or else the nearest.
func unknownPath(path string) error {
	if where, ok := elsewhere()[path]; ok {
		return fmt.Errorf("unknown scenario path %q: %s", path, where)
	}
	all := Paths()
	var ends []string
	for _, p := range all {
		if strings.HasSuffix(p, "."+path) {
			ends = append(ends, p)
		}
	}
	if len(ends) > 0 {
		return fmt.Errorf("unknown scenario path %q; did you mean %s?", path, strings.Join(ends, " or "))
	}
	if near := spec.Nearest(path, all); near != "" {
		return fmt.Errorf("unknown scenario path %q; did you mean %s?", path, near)
	}
	return fmt.Errorf("unknown scenario path %q (--print-scenario shows the paths)", path)
}

func paths(prefix string, t reflect.Type, into []string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	named := false
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name == "" || name == "-" {
				continue
			}
			named = true
			into = paths(prefix+"."+name, t.Field(i).Type, into)
		}
	}
	if !named {
		into = append(into, strings.TrimPrefix(prefix, "."))
	}
	return into
}

// detach replaces everything that v points to by a copy.
func detach(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.CanSet() {
			fresh := reflect.New(v.Type().Elem())
			fresh.Elem().Set(v.Elem())
			v.Set(fresh)
			detach(fresh.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				detach(v.Field(i))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v))
			for i := range v.Len() {
				detach(v.Index(i))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			fresh := reflect.MakeMapWithSize(v.Type(), v.Len())
			for _, k := range v.MapKeys() {
				fresh.SetMapIndex(k, v.MapIndex(k))
			}
			v.Set(fresh)
		}
	}
}
