package models

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

// A patched model is the model whose file says what the patches say.
func TestPatchedModels(t *testing.T) {
	v4, err := Load("v4")
	if err != nil {
		t.Fatal(err)
	}
	patches := spec.Patches{}.With("model.attention.csa.ratio", "8").With("model.attention.*.window", "256").With("model.attention.swa.window", "64").
		With("model.ffn.moe.experts", "x0.5").With("model.formats.kv", "bf16").With("model.max_context", "x2").With("model.mtp.accepted_length", "null").With("model.mtp.accepted_source", "null").
		With("model.ffn.hash.hash_routed", "false").With("model.layers.2.repeat", "28").With("model.layer_count", "59")
	got, err := Source{Patches: patches.Under("model")}.Load("v4")
	if err != nil {
		t.Fatal(err)
	}
	text, err := v4.YAML()
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.NewReplacer("ratio: 4\n", "ratio: 8\n", "kv: fp8\n", "kv: bf16\n", "max_context: 1048576", "max_context: 2097152", "    hash_routed: true\n", "",
		"repeat: 29", "repeat: 28", "layer_count: 61", "layer_count: 59").Replace(string(text))
	edited, _, _ = strings.Cut(edited, "  accepted_length:") // it and its source are the last lines
	swa := strings.Index(edited, "  swa:")
	edited = strings.ReplaceAll(edited[:swa], "window: 128", "window: 256") + strings.Replace(edited[swa:], "window: 128", "window: 64", 1)
	moe := strings.Index(edited, "  moe:")
	edited = edited[:moe] + strings.Replace(edited[moe:], "experts: 384", "experts: 192", 1)
	want, err := fromYAML("edited.yaml", []byte(edited), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		g, _ := got.YAML()
		w, _ := want.YAML()
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// Of a Hugging Face file the patched thing is what it was converted to.
func TestPatchesFollowConversion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tiny.json")
	if err := os.WriteFile(file, []byte(tinyGQA+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := Source{}.Paths(file)
	if err != nil {
		t.Fatal(err)
	}
	kind := ""
	for _, p := range paths {
		if strings.HasPrefix(p, "attention.") && strings.HasSuffix(p, ".heads") {
			kind = p
		}
	}
	m, err := Source{Patches: spec.Patches{}.With("model.vocab", "x3").With("model."+kind, "x2").Under("model")}.Load(file)
	if err != nil || m.Vocab != 3*plain.Vocab || m.Layers[0].Attention.Heads != 2*plain.Layers[0].Attention.Heads {
		t.Fatalf("%+v, %v", m, err)
	}
	_, err = Source{Patches: spec.Patches{}.With("model.vocab_size", "7").Under("model")}.Load(file)
	if err == nil || err.Error() != `patch model.vocab_size=7: unknown key "vocab_size"; did you mean model.vocab?` {
		t.Error(err)
	}
}

func TestRefusedModelPatches(t *testing.T) {
	for _, c := range [][3]string{
		{"attention.csaa.ratio", "8", `patch model.attention.csaa.ratio=8: unknown key "csaa"; did you mean model.attention.csa.ratio?`},
		{"attention.newkind.window", "8", `patch model.attention.newkind.window=8: unknown key "newkind"`},
		{"attention.csa.rato", "8", `did you mean model.attention.csa.ratio?`},
		{"attention.csa.ratio", "0", `ratio`},
		{"attention.csa.design", "csb", `patch model.attention.csa.design=csb: unknown`},
		{"attention.csa.kv_heads", "8", `patch model.attention.csa.kv_heads=8: `},
		{"formats.kv", "fp7", `patch model.formats.kv=fp7: unknown`},
		{"layers.9.repeat", "2", `patch model.layers.9.repeat=2: layers: there is no element 9; they count from 0 to 2`},
		{"layers.2.repeat", "x2", `layer_count`},
		{"hidden", "x1.0001", `patch model.hidden=x1.0001: want a whole number`},
	} {
		_, err := Source{Patches: spec.Patches{}.With("model."+c[0], c[1]).Under("model")}.Load("v4")
		if err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s=%s: %v\nwant %q in it", c[0], c[1], err, c[2])
		}
	}
}

// Every value of every shipped model by itself changes nothing.
func TestAnyModelValueByItself(t *testing.T) {
	for _, name := range Names() {
		m, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := shipped.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var file any
		if err := yaml.Load(data, &file); err != nil {
			t.Fatal(err)
		}
		all := scalars("", file, nil)
		if len(all) < 15 {
			t.Errorf("%s has %d values", name, len(all))
		}
		if got, err := (Source{Patches: all}).Load(name); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// scalars are the values of a decoded file as patches that change nothing.
func scalars(path string, v any, into spec.Patches) spec.Patches {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			into = scalars(strings.TrimPrefix(path+"."+key, "."), inner, into)
		}
		return into
	case []any:
		for i, inner := range v {
			into = scalars(path+"."+itoa(int64(i)), inner, into)
		}
		return into
	}
	text, err := yaml.Dump(v)
	if err != nil {
		panic(err)
	}
	return into.With(path, strings.TrimSpace(string(text)))
}
