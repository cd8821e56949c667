package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

func grid(t *testing.T, axes ...Axis) []Point {
	t.Helper()
	points, err := Grid(base(), axes)
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func written(t *testing.T, s *Sweep) string {
	t.Helper()
	var out bytes.Buffer
	for _, f := range Formats {
		if err := f.Write(&out, s); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// Wherever the lines of a sweep are cut, what is restored is whole points, and going on
// from there runs the others alone and gives the same in every format.
func TestResume(t *testing.T) {
	points := grid(t, Axis{"workload.rate", []string{"5", "6", "-1"}}, Axis{"kv_compress", []string{"kv=bf16", "kv=fp8"}})
	var file bytes.Buffer
	var ends []int // of the lines
	var results []bool
	whole := Run(context.Background(), points, Options{Done: func(o *Outcome) {
		line, err := o.Line()
		if err != nil || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("point %d: %v, %q", o.ID, err, line)
		}
		file.Write(line)
		ends, results = append(ends, file.Len()), append(results, o.Result != nil)
	}})
	if len(ends) != 6 || whole[4].Err == nil || whole[3].Result == nil {
		t.Fatalf("%d lines; point 3: %v, point 4: %v", len(ends), whole[3].Err, whole[4].Err)
	}
	want := written(t, &Sweep{"m", whole})
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.IntRange(0, file.Len()).Draw(rt, "cut")
		finished, size, err := Restore("points.jsonl", bytes.NewReader(file.Bytes()[:at]), points)
		if err != nil {
			rt.Fatal(err)
		}
		lines, kept := 0, 0
		for lines < len(ends) && ends[lines] <= at {
			if results[lines] {
				kept++
			}
			lines++
		}
		if lines > 0 && size != int64(ends[lines-1]) || lines == 0 && size != 0 || len(finished) != kept {
			rt.Fatalf("cut at %d: %d points of %d bytes", at, len(finished), size)
		}
	})
	for lines := range ends {
		finished, _, err := Restore("points.jsonl", bytes.NewReader(file.Bytes()[:ends[lines]]), points)
		if err != nil {
			t.Fatal(err)
		}
		began := make([]atomic.Int32, len(points))
		out := Run(context.Background(), points, Options{Finished: finished, Begin: func(id int) { began[id].Add(1) }})
		if got := written(t, &Sweep{"m", out}); got != want {
			t.Errorf("resumed after %d lines:\n%s\nwant\n%s", lines+1, got, want)
		}
		for _, f := range finished {
			if began[f.ID].Load() != 0 {
				t.Errorf("point %d was run again", f.ID)
			}
			if !reflect.DeepEqual(f.Result.Latency, whole[f.ID].Result.Latency) {
				t.Errorf("point %d: %+v, was %+v", f.ID, f.Result.Latency, whole[f.ID].Result.Latency)
			}
		}
	}
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"id":0,"set":{"seed":"1"},"result":{"version":1}}` + "\n" + `{"id":1,"set":{"seed":"2"},"error":"x"}` + "\n"))
	f.Add([]byte(`{"id":0,"set":{"seed":"1"},"result":null,"error":""}` + "\n\x00\x00"))
	points, err := Grid(base(), []Axis{{"seed", []string{"1", "2"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		finished, size, err := Restore("points.jsonl", bytes.NewReader(data), points)
		if err != nil {
			return
		}
		if len(finished) > 2 || size > int64(len(data)) || size > 0 && data[size-1] != '\n' {
			t.Errorf("%d points of %d bytes from %q", len(finished), size, data)
		}
		for _, o := range finished {
			if o.Result == nil || o.Err != nil {
				t.Errorf("%q gave %+v", data, o)
			}
		}
	})
}

// A point whose model of the cluster breaks is that point's error; the others are as they
// are alone.
func TestPanicIsOnePointsError(t *testing.T) {
	plain, err := policy.Find("")
	if err != nil {
		t.Fatal(err)
	}
	breaks := *plain
	breaks.New = func(s policy.Setup) policy.Pick {
		pick := plain.New(s)
		return func(v *policy.View, r *policy.Request) (instance, rank int) {
			if r.Number == 350 { // only the point of 400 requests has one
				panic("the router has lost its ranks")
			}
			return pick(v, r)
		}
	}
	points := grid(t, Axis{"workload.requests", []string{"20", "400", "25"}})
	for _, workers := range []int{1, 2} {
		var told []int
		out := Run(context.Background(), points, Options{Workers: workers, Run: sim.Options{Router: &breaks}, Done: func(o *Outcome) { told = append(told, o.ID) }})
		var p *work.Panic
		if !errors.As(out[1].Err, &p) || out[1].Result != nil || !strings.Contains(string(p.Stack), "TestPanicIsOnePointsError") {
			t.Errorf("%d workers: point 1: %v", workers, out[1].Err)
		}
		slices.Sort(told)
		if out[0].Result == nil || out[2].Result == nil || !slices.Equal(told, []int{0, 1, 2}) {
			t.Errorf("%d workers: points 0 and 2: %v, %v; told of %v", workers, out[0].Err, out[2].Err, told)
		}
		if text := written(t, &Sweep{"m", out}); !strings.Contains(text, `"error": "broken invariant: the router has lost its ranks"`) {
			t.Errorf("%d workers: not said:\n%s", workers, text)
		}
	}
}

// The manifest reads back, and names what differs: anything that could change a result.
func TestManifest(t *testing.T) {
	axes := []Axis{{"workload.rate", []string{"5", "6"}}}
	of := func(base *scenario.Scenario, axes []Axis, o Options, program string) *Manifest {
		points, err := Grid(base, axes)
		if err != nil {
			t.Fatal(err)
		}
		m, err := NewManifest(base, axes, points, &o, program)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := of(base(), axes, Options{}, "v1")
	text, err := m.Write()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ReadManifest("manifest.json", text)
	if err != nil || !reflect.DeepEqual(back, m) {
		t.Fatalf("%v\n%+v, was\n%+v", err, back, m)
	}
	if err := m.Same(back); err != nil {
		t.Error(err)
	}
	if again := of(base(), axes, Options{Workers: 7}, "v1"); again.Digest != m.Digest {
		t.Error("the number of workers changes the digest")
	}
	newer := of(base(), axes, Options{}, "v2")
	if err := newer.Same(back); newer.Digest != m.Digest || err == nil || !strings.Contains(err.Error(), "begun by clustersim v1, this is v2") {
		t.Errorf("another program: %v", err)
	}
	seeded, served := base(), base()
	seeded.Seed = 2
	served.Deployment.Serve.TP = 2
	for want, other := range map[string]*Manifest{
		"seed: 1 there, 2 here":                          of(seeded, axes, Options{}, "v1"),
		"deployment.serve.tp: 1 there, 2 here":           of(served, axes, Options{}, "v1"),
		"--find-capacity: false there, true here":        of(base(), axes, Options{FindCapacity: true}, "v1"),
		"values of workload.rate: 5, 6 there, 6, 5 here": of(base(), []Axis{{"workload.rate", []string{"6", "5"}}}, Options{}, "v1"),
		"values of seed: nothing there, 1 here":          of(base(), append(slices.Clone(axes), Axis{"seed", []string{"1"}}), Options{}, "v1"),
		"content of model qwen3-8b: nothing there":       of(base(), append(slices.Clone(axes), Axis{"model", []string{"qwen3-8b"}}), Options{}, "v1"),
		"points: 2 there, 4 here":                        of(base(), append(slices.Clone(axes), Axis{"seed", []string{"1", "2"}}), Options{}, "v1"),
	} {
		if err := other.Same(back); err == nil || !strings.Contains(err.Error(), want) || other.Digest == m.Digest {
			t.Errorf("want %q: %v", want, err)
		}
	}
	// What a recipe sets shows in the points alone.
	points := grid(t, axes...)
	points[1].Scenario.Deployment.Overlap = "none"
	o := Options{}
	recipe, err := NewManifest(base(), axes, points, &o, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := recipe.Same(back); err == nil || !strings.Contains(err.Error(), "what a recipe sets") {
		t.Errorf("other points: %v", err)
	}
	for _, wrong := range []string{"", "{}", "null", strings.Replace(string(text), `"points": 2`, `"points": 3`, 1)} {
		if _, err := ReadManifest("manifest.json", []byte(wrong)); err == nil || !strings.HasPrefix(err.Error(), "manifest.json: ") {
			t.Errorf("%.40q: %v", wrong, err)
		}
	}
}

// Points of the same files are looked at once; those that cannot be read are left to say
// so themselves.
func TestManifestInputs(t *testing.T) {
	points := grid(t, Axis{"model", []string{"llama-3.1-8b", "no-such-model"}}, Axis{"workload.rate", []string{"5", "6"}})
	got := map[string]int{}
	for _, in := range inputs(points, plant.Source{}) {
		got[in.Kind]++
	}
	if want := fmt.Sprint(map[string]int{"model": 1, "topology": 1, "engine": 1, "libraries": 1, "workload": 1}); fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	file := filepath.Join(t.TempDir(), "t.jsonl")
	if err := os.WriteFile(file, []byte("{}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	points = grid(t, Axis{"model", []string{"no-such-model", "llama-3.1-8b", "qwen3-8b"}})
	for i := range points {
		points[i].Scenario.Trace, points[i].Scenario.Workload = &scenario.Trace{File: file}, nil
	}
	clear(got)
	for _, in := range inputs(points, plant.Source{}) {
		got[in.Kind+" "+in.Name]++
	}
	if got["trace "+file] != 1 || got["model llama-3.1-8b"] != 1 || got["model qwen3-8b"] != 1 || got["workload chat"] != 0 {
		t.Errorf("with a trace: %v", got)
	}
}
