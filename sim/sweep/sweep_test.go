package sweep

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

func TestParseAxis(t *testing.T) {
	for text, want := range map[string][]string{
		"slo.tpot=30ms,50ms":                     {"30ms", "50ms"},
		"a=uniform(1,2),lognormal(mean=1,p99=2)": {"uniform(1,2)", "lognormal(mean=1,p99=2)"},
		`a="x,y",'z,w',v`:                        {"x,y", "z,w", "v"},
		"a={tp: 1, dp: [1,2]},{tp: 2}":           {"{tp: 1, dp: [1,2]}", "{tp: 2}"},
		"a= 1 , 2 ":                              {"1", "2"},
		`a={x: "}"},2`:                           {`{x: "}"}`, "2"},
		"kv_compress=csa=4":                      {"csa=4"},
	} {
		a, err := ParseAxis(text)
		if err != nil || !slices.Equal(a.Values, want) {
			t.Errorf("%s: got %q, %v; want %q", text, a.Values, err, want)
		}
	}
	for _, text := range []string{"", "a", "=1", "a=", "a=1,", "a=,1", "a=(1", "a=1)", `a="1`, "a=(1]"} {
		if a, err := ParseAxis(text); err == nil {
			t.Errorf("%q: want an error, got %+v", text, a)
		}
	}
}

// Values without commas, brackets and quotes come back as they were joined.
func TestSplitJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.StringMatching(`[a-z0-9=.%-]{1,8}`), 1, 6).Draw(t, "values")
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = v
			if rapid.Bool().Draw(t, "quote") {
				values[i] = v + ",("
				quoted[i] = strconv.Quote(values[i])
			}
		}
		got, err := split(strings.Join(quoted, ","))
		if err != nil || !slices.Equal(got, values) {
			t.Fatalf("%q: got %q, %v", quoted, got, err)
		}
	})
}

func FuzzParseAxis(f *testing.F) {
	f.Add(`a.b="x,y",{c: [1,2]},lognormal(mean=1,p99=2)`)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAxis(text)
		if err == nil && (a.Path == "" || len(a.Values) == 0 || slices.Contains(a.Values, "")) {
			t.Errorf("%q gave %+v", text, a)
		}
	})
}

func base() *scenario.Scenario {
	return &scenario.Scenario{
		Version: scenario.Version, Model: "llama-3.1-8b", Topology: "hgx-h100:8", Seed: 1,
		Workload:   &scenario.Workload{Profile: "chat", Rate: 5, Requests: 60},
		Deployment: scenario.Deployment{Mode: "aggregated", Serve: &scenario.Pool{Instances: 2, TP: 1}},
	}
}

func TestGrid(t *testing.T) {
	points, err := Grid(base(), []Axis{{"workload.rate", []string{"1", "2"}}, {"seed", []string{"7", "8", "9"}}})
	if err != nil || len(points) != 6 {
		t.Fatalf("%d points, %v", len(points), err)
	}
	for i, p := range points {
		if p.ID != i || p.Scenario.Workload.Rate != float64(1+i/3) || p.Scenario.Seed != uint64(7+i%3) {
			t.Errorf("point %d: rate %g, seed %d", p.ID, p.Scenario.Workload.Rate, p.Scenario.Seed)
		}
		if p.Set[0].Path != "workload.rate" || p.Set[1].Value != strconv.Itoa(7+i%3) {
			t.Errorf("point %d: %v", i, p.Set)
		}
	}
	_, err = Grid(base(), []Axis{{"workload.rat", []string{"1"}}, {"seed", []string{"x"}}})
	if err == nil || !strings.Contains(err.Error(), "workload.rate") || !strings.Contains(err.Error(), "seed=x") {
		t.Errorf("both faults: %v", err)
	}
	many := make([]string, 400)
	for i := range many {
		many[i] = strconv.Itoa(i + 1)
	}
	if _, err := Grid(base(), []Axis{{"seed", many}, {"workload.requests", many}}); err == nil {
		t.Error("160,000 points")
	}
}

// The outcome is the same for any number of workers, in grid order, and each point
// equals its own run; a point that cannot run says why.
func TestRunIsDeterministic(t *testing.T) {
	axes := []Axis{{"model", []string{"llama-3.1-8b", "v4"}}, {"workload.rate", []string{"3", "6"}}}
	grid := func() []Point {
		points, err := Grid(base(), axes)
		if err != nil {
			t.Fatal(err)
		}
		return points
	}
	one := Run(context.Background(), grid(), Options{Workers: 1})
	var order []int
	two := Run(context.Background(), grid(), Options{Workers: 3, Done: func(o *Outcome) { order = append(order, o.ID) }})
	if len(order) != 4 {
		t.Errorf("told of %v", order)
	}
	var a, b bytes.Buffer
	if err := errors.Join(JSON(&a, &Sweep{Points: one}), JSON(&b, &Sweep{Points: two})); err != nil || a.String() != b.String() {
		t.Errorf("1 and 3 workers differ: %v", err)
	}
	for i := range one {
		if failed := i >= 2; (one[i].Err != nil) != failed || (one[i].Result == nil) != failed {
			t.Errorf("point %d: %v", i, one[i].Err)
		}
	}
	alone, err := sim.Run(context.Background(), one[1].Result.Scenario, sim.Options{})
	if err != nil || !reflect.DeepEqual(alone.Latency, one[1].Result.Latency) || alone.RunID != one[1].Result.RunID {
		t.Errorf("the point's own run differs: %v", err)
	}
}

func TestFormats(t *testing.T) {
	points, err := Grid(base(), []Axis{{"model", []string{"llama-3.1-8b", "v4"}}})
	if err != nil {
		t.Fatal(err)
	}
	out := Run(context.Background(), points, Options{})
	out = append(out, Outcome{ID: 2, Set: []Setting{{"model", "v3"}}}) // as an interruption leaves it
	var table, rows, doc bytes.Buffer
	if err := errors.Join(Table(&table, &Sweep{Points: out}), CSV(&rows, &Sweep{Points: out}), JSON(&doc, &Sweep{Points: out})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"B/TOKEN", "131072", "failed: ", "interrupted", "2 × TP1 DP1 EP1", "point 1: "} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
	records, err := csv.NewReader(&rows).ReadAll() // refuses rows of different lengths
	if err != nil || len(records) != 4 || records[0][1] != "model" || records[3][len(records[3])-1] != "interrupted" {
		t.Errorf("CSV: %v, %q", err, records)
	}
	var read struct {
		Version int
		Partial bool
		Points  []struct {
			ID     int
			Set    map[string]string
			Result *result.Result
			Error  string
		}
	}
	if err := json.Unmarshal(doc.Bytes(), &read); err != nil || !read.Partial || len(read.Points) != 3 ||
		read.Points[0].Result == nil || read.Points[1].Error == "" || read.Points[2].Set["model"] != "v3" {
		t.Errorf("JSON: %v, %+v", err, read)
	}
}

// An interruption keeps what has finished and starts nothing more.
func TestInterrupted(t *testing.T) {
	points, err := Grid(base(), []Axis{{"seed", []string{"1", "2", "3", "4", "5", "6"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := Run(ctx, points, Options{Workers: 1, Done: func(o *Outcome) {
		if o.ID == 1 {
			cancel()
		}
	}})
	for i, o := range out {
		if (o.Result != nil) != (i < 2) || o.Err != nil || o.ID != i {
			t.Errorf("point %d: result %v, error %v", o.ID, o.Result != nil, o.Err)
		}
	}
}

func TestFix(t *testing.T) {
	s := base()
	s.Deployment = scenario.Deployment{}
	fixed, err := Fix(context.Background(), s, sim.Options{})
	if err != nil || fixed.Deployment.Mode == "auto" || fixed.Deployment.Why == "" || s.Deployment.Mode != "" {
		t.Errorf("%v, %+v", err, fixed)
	}
}
