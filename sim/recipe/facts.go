package recipe

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Facts are what launch scripts decide by. What is not known is 0 or empty.
type Facts struct {
	// Benchmark is whose scripts are meant: inferencex, or aiconfigurator for that
	// project's own runs. It, Engine, Version, Snapshot, Precision and Spec choose a
	// recipe; values do not depend on them.
	Benchmark string `expr:"benchmark"`
	// Engine is the serving framework as the benchmark names it: sglang, vllm, trtllm,
	// atom, a front end before it (dynamo-sglang, mori-sglang).
	Engine    string `expr:"engine"`
	Version   string `expr:"version"`   // of the engine
	Snapshot  string `expr:"snapshot"`  // of the data that a row is from
	Precision string `expr:"precision"` // of the checkpoint: fp4, fp8, int4, bf16
	Spec      string `expr:"spec"`      // speculative decoding: none or mtp

	Chip  string `expr:"chip" stated:"topology"`
	Model string `expr:"model" stated:"model"`
	// Mode is aggregated or disaggregated.
	Mode string `expr:"mode" stated:"deployment.mode"`
	// Clients each send a request when their last one has ended.
	Clients int `expr:"clients" stated:"workload.concurrency"`
	// Input and Output are the nominal lengths of prompts and answers in tokens: the
	// longest, where lengths are drawn from a range.
	Input  int `expr:"input" stated:"workload.input_tokens"`
	Output int `expr:"output" stated:"workload.output_tokens"`
	// Drafts are tokens drafted a step; 0 is none.
	Drafts int `expr:"drafts" stated:"deployment.mtp.drafts"`

	Serve   Pool `expr:"serve" stated:"deployment.serve"`
	Prefill Pool `expr:"prefill" stated:"deployment.prefill"`
	Decode  Pool `expr:"decode" stated:"deployment.decode"`
}

// Pool is what is known of a pool.
type Pool struct {
	Instances int `expr:"instances" stated:"instances"`
	// Ranks are the chips of an instance, tp × dp where these are known.
	Ranks int `expr:"ranks" stated:"tp"`
	TP    int `expr:"tp" stated:"tp"`
	DP    int `expr:"dp" stated:"dp"`
	EP    int `expr:"ep" stated:"ep"`
}

// Known lists the names of all facts.
func Known() []string { return known("", reflect.TypeFor[Facts]()) }

func known(prefix string, t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("expr")
		if f.Type.Kind() == reflect.Struct {
			names = append(names, known(name+".", f.Type)...)
			continue
		}
		names = append(names, name)
	}
	return names
}

// field finds a fact by its name, and the scenario path where a run states it.
func (f *Facts) field(name string) (v reflect.Value, stated string, found bool) {
	v = reflect.ValueOf(f).Elem()
	for part := range strings.SplitSeq(name, ".") {
		if v.Kind() != reflect.Struct {
			return v, "", false
		}
		t, i := v.Type(), 0
		for i < t.NumField() && t.Field(i).Tag.Get("expr") != part {
			i++
		}
		if i == t.NumField() {
			return v, "", false
		}
		v, stated = v.Field(i), stated+"."+t.Field(i).Tag.Get("stated")
	}
	return v, strings.TrimPrefix(stated, "."), v.Kind() != reflect.Struct
}

// text is a fact as it stands in a table.
func (f *Facts) text(name string) string {
	v, _, _ := f.field(name)
	if v.CanInt() {
		return strconv.FormatInt(v.Int(), 10)
	}
	return v.String()
}

// at finds the fact that a scenario path states.
func (f *Facts) at(path string) (v reflect.Value, found bool) {
	name := strings.TrimPrefix(strings.TrimPrefix(path, "deployment."), "mtp.")
	v, stated, found := f.field(name)
	return v, found && stated == path
}

// learn takes a value that the recipe sets for the fact at its path.
func (f *Facts) learn(path, value string) {
	v, found := f.at(path)
	switch {
	case !found:
	case v.Kind() == reflect.String:
		v.SetString(value)
	default:
		if n, err := strconv.ParseInt(value, 10, 32); err == nil {
			v.SetInt(n)
		}
	}
}

// lacks reports that the deployment is known to have no pool of this name.
func (f *Facts) lacks(pool string) bool {
	switch pool {
	case "serve":
		return f.Mode == "disaggregated"
	case "prefill", "decode":
		return f.Mode == "aggregated"
	}
	return false
}

// needs says which of the facts is not known. Drafts always are.
func (f *Facts) needs(names []string) error {
	for _, name := range names {
		if v, stated, _ := f.field(name); v.IsZero() && name != "drafts" {
			if stated == "" {
				return fmt.Errorf("needs %s, which the run does not state", name)
			}
			return fmt.Errorf("needs %s, which the run does not state (%s)", name, stated)
		}
	}
	return nil
}
