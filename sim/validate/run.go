package validate

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
)

// Options steer a run; none of them changes what is predicted.
type Options struct {
	Run     sim.Options // model and topology folders, an engine; the rest is not used
	Workers int         // scenarios at a time; 0 is GOMAXPROCS
	// Done is told of every scenario that has ended, one at a time; nil for nobody.
	Done func(done, total int)
}

// Row is one figure, predicted and measured. Its JSON is a stable surface.
type Row struct {
	ID        string  `json:"id"`
	Metric    string  `json:"metric"`
	Measured  float64 `json:"measured"`
	Predicted float64 `json:"predicted"`
	Error     float64 `json:"error"` // predicted/measured − 1
	Hardware  string  `json:"hardware"`
	Model     string  `json:"model"`
	Engine    string  `json:"engine"`
	Regime    Regime  `json:"regime"`

	kind   string
	note   string
	causes *Causes
}

// Causes is where the time of a predicted run went.
type Causes struct {
	Prefill, Decode [cost.NumCauses]float64
	Request         sim.RequestSpans
}

// Regime is how loaded a deployment was by its prediction: nothing of the
// measurement decides on it.
type Regime string

// Light: at most 8 requests under way an instance on average, over requests'
// whole life. Overload: requests spent more than a tenth of their time waiting or
// pre-empted. Knee is what lies between.
const (
	Light    Regime = "light"
	Knee     Regime = "knee"
	Overload Regime = "overload"
)

const (
	lightRequests = 8.0
	overloadShare = 0.1
)

func regime(r *sim.Result) Regime {
	pool := cmp.Or(r.Deployment.Serve, r.Deployment.Decode)
	running := r.Throughput.RequestsPerS * r.Latency.E2E.Mean / 1e3
	waiting := r.Causes.Request.Queue + r.Causes.Request.Preempted
	switch {
	case running <= lightRequests*float64(pool.Instances):
		return Light
	case waiting > overloadShare:
		return Overload
	}
	return Knee
}

// Report is what came of all cases.
type Report struct {
	Partial bool      `json:"partial"` // an interruption came before all were run
	Rows    []Row     `json:"rows"`
	Summary Summary   `json:"summary"`
	Skipped []Skipped `json:"skipped"`
}

// outcome is one scenario's run.
type outcome struct {
	result *sim.Result
	causes *Causes
	err    error
}

// Run predicts every case: equal scenarios once, several at a time, and lists rows
// in the order of the cases. A case that cannot be run is skipped with its error.
// When the context ends, what has finished is kept and the report marked partial.
func Run(ctx context.Context, sets []*Set, o Options) (*Report, error) {
	scenarios, which, err := distinct(sets)
	if err != nil {
		return nil, err
	}
	outcomes := runAll(ctx, scenarios, &o)
	report := &Report{Rows: []Row{}, Skipped: []Skipped{}}
	next := 0
	for _, set := range sets {
		report.Skipped = append(report.Skipped, set.Skipped...)
		for i := range set.Cases {
			c, out := &set.Cases[i], outcomes[which[next]]
			next++
			switch {
			case out.err != nil:
				report.Skipped = append(report.Skipped, Skipped{c.ID, oneLine(out.err)})
			case out.result == nil:
				report.Partial = true
			default:
				report.Rows = append(report.Rows, rows(c, &out)...)
			}
		}
	}
	report.Summary = summarise(report.Rows)
	return report, nil
}

// distinct numbers the different scenarios; which gives each case's, in order.
func distinct(sets []*Set) (scenarios []*sim.Scenario, which []int, err error) {
	number := map[string]int{}
	for _, set := range sets {
		for i := range set.Cases {
			text, err := set.Cases[i].Scenario.Marshal()
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", set.Cases[i].ID, err)
			}
			n, has := number[string(text)]
			if !has {
				n = len(scenarios)
				number[string(text)] = n
				scenarios = append(scenarios, set.Cases[i].Scenario)
			}
			which = append(which, n)
		}
	}
	return scenarios, which, nil
}

func runAll(ctx context.Context, scenarios []*sim.Scenario, o *Options) []outcome {
	out := make([]outcome, len(scenarios))
	next := make(chan int)
	var wait sync.WaitGroup
	var telling sync.Mutex
	done := 0
	for range min(cmp.Or(o.Workers, runtime.GOMAXPROCS(0)), len(scenarios)) {
		wait.Go(func() {
			for i := range next {
				out[i] = runOne(ctx, scenarios[i], o)
				if o.Done != nil && ctx.Err() == nil {
					telling.Lock()
					done++
					o.Done(done, len(scenarios))
					telling.Unlock()
				}
			}
		})
	}
	for i := range scenarios {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wait.Wait()
	return out
}

func runOne(ctx context.Context, s *sim.Scenario, o *Options) outcome {
	if ctx.Err() != nil {
		return outcome{}
	}
	r, err := sim.Run(ctx, s, sim.Options{ModelDirs: o.Run.ModelDirs, TopologyDirs: o.Run.TopologyDirs, Engine: o.Run.Engine})
	switch {
	case ctx.Err() != nil && (err != nil || r.Partial):
		return outcome{}
	case err != nil:
		return outcome{err: err}
	case r.Requests.Rejected > 0:
		return outcome{err: fmt.Errorf("%d of %d requests do not fit the KV cache", r.Requests.Rejected, r.Requests.Arrived)}
	}
	return outcome{result: r, causes: &Causes{Prefill: r.Causes.Prefill.List(), Decode: r.Causes.Decode.List(), Request: r.Causes.Request}}
}

func rows(c *Case, o *outcome) []Row {
	out := make([]Row, 0, len(c.Measures))
	at := regime(o.result)
	for _, m := range c.Measures {
		metric, err := findMetric(m.Metric)
		if err != nil {
			panic("validate: " + err.Error()) // readers give known ones
		}
		p := metric.of(o.result, c.Phase)
		out = append(out, Row{
			ID: c.ID, Metric: m.Metric, Measured: m.Value, Predicted: p, Error: p/m.Value - 1,
			Hardware: c.Hardware, Model: c.Model, Engine: c.Engine, Regime: at, kind: metric.kind, note: c.Note, causes: o.causes,
		})
	}
	return out
}
