package validate

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

// Options steer a run; none of them changes what is predicted.
type Options struct {
	Run     sim.Options // model and topology folders, an engine; the rest is not used
	Workers int         // scenarios at a time; 0 is GOMAXPROCS
	By      []string    // keys of the one grouping that tables have; nil for each key in turn
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
	Family    string  `json:"family"` // models that are built alike
	Mode      string  `json:"mode"`   // aggregated, or disaggregated: also one phase alone

	Assumed []string `json:"assumed,omitempty"` // what the row does not state
	Note    string   `json:"note,omitempty"`    // what is doubtful about the measurement

	Causes *Causes `json:"causes,omitempty"` // of the predicted run's time

	kind string
}

// Causes is where the time of a predicted run went.
type Causes struct {
	Prefill result.Shares       `json:"prefill"`
	Decode  result.Shares       `json:"decode"`
	Request result.RequestSpans `json:"request"`
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

func regime(r *result.Result) Regime {
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
	// Distributions compare replayed runs request by request.
	Distributions []Distribution `json:"distributions,omitempty"`

	by []string // the grouping that was asked for
}

// outcome is one scenario's run.
type outcome struct {
	result *result.Result
	causes *Causes
	regime Regime
	served []Served // of a replay, in the order of its trace
	doubt  string   // about the prediction, told with a bad error
	err    error
}

// task is one thing to predict: a scenario to run, or a step of it to price.
type task struct {
	scenario *scenario.Scenario
	steady   *Steady
	phase    Phase   // of the step
	replay   *Replay // the scenario's trace
}

// Run predicts every case: equal scenarios once, several at a time, and lists rows
// in the order of the cases. A case that cannot be run is skipped with its error.
// When the context ends, what has finished is kept and the report marked partial. A
// broken invariant costs its case alone, is listed like any other fault, and comes back
// as an error beside the report.
func Run(ctx context.Context, sets []*Set, o Options) (*Report, error) {
	tasks, which, err := distinct(sets)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, len(tasks))
	done := 0
	broken := work.Each(ctx, len(tasks), o.Workers, func(i int) error {
		outcomes[i] = tasks[i].run(ctx, &o)
		return nil
	}, func(int, error) {
		if done++; o.Done != nil {
			o.Done(done, len(tasks))
		}
	})
	report := &Report{Rows: []Row{}, Skipped: []Skipped{}, by: o.By}
	var faults []error
	next := 0
	for _, set := range sets {
		report.Skipped = append(report.Skipped, set.Skipped...)
		for i := range set.Cases {
			c, out, panicked := &set.Cases[i], outcomes[which[next]], broken[which[next]]
			next++
			switch {
			case panicked != nil:
				report.Skipped = append(report.Skipped, Skipped{c.ID, oneLine(panicked)})
				faults = append(faults, fmt.Errorf("%s: %w", c.ID, panicked))
			case out.err != nil:
				report.Skipped = append(report.Skipped, Skipped{c.ID, oneLine(out.err)})
			case out.result == nil:
				report.Partial = true
			default:
				report.Rows = append(report.Rows, rows(c, &out)...)
				if c.Replay != nil {
					report.Distributions = append(report.Distributions, c.Replay.compare(c.ID, out.served)...)
				}
			}
		}
	}
	report.Summary = summarise(report.Rows, o.By)
	return report, errors.Join(faults...)
}

// distinct numbers what is to be predicted, equal things once; which gives each
// case's, in order.
func distinct(sets []*Set) (tasks []task, which []int, err error) {
	number := map[string]int{}
	for _, set := range sets {
		for i := range set.Cases {
			c := &set.Cases[i]
			key, err := c.Scenario.Marshal()
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", c.ID, err)
			}
			if c.Steady != nil {
				key = fmt.Appendf(key, "%s %+v", c.Phase, *c.Steady)
			}
			if c.Replay != nil {
				key = append(key, c.Replay.Trace...)
			}
			n, has := number[string(key)]
			if !has {
				n = len(tasks)
				number[string(key)] = n
				tasks = append(tasks, task{c.Scenario, c.Steady, c.Phase, c.Replay})
			}
			which = append(which, n)
		}
	}
	return tasks, which, nil
}

func (t *task) run(ctx context.Context, o *Options) outcome {
	if ctx.Err() != nil {
		return outcome{}
	}
	opt := sim.Options{Source: o.Run.Source}
	if t.steady != nil {
		return t.steady.run(t.scenario, t.phase, &opt)
	}
	var served []Served
	if t.replay != nil {
		served = t.replay.listen(&opt)
	}
	r, err := sim.Run(ctx, t.scenario, opt)
	switch {
	case ctx.Err() != nil && (err != nil || r.Partial):
		return outcome{}
	case err != nil:
		return outcome{err: err}
	case r.Partial:
		return outcome{err: errors.New(r.Reason)}
	case r.Requests.Rejected > 0:
		return outcome{err: fmt.Errorf("%d of %d requests do not fit the KV cache", r.Requests.Rejected, r.Requests.Arrived)}
	}
	causes := &Causes{Prefill: r.Causes.Prefill, Decode: r.Causes.Decode, Request: r.Causes.Request}
	return outcome{result: r, causes: causes, regime: regime(r), served: served}
}

func rows(c *Case, o *outcome) []Row {
	out := make([]Row, 0, len(c.Measures))
	mode := "aggregated"
	if d := &c.Scenario.Deployment; d.Prefill != nil || d.Decode != nil {
		mode = "disaggregated"
	}
	for _, m := range c.Measures {
		metric, err := findMetric(m.Metric)
		if err != nil {
			panic("validate: " + err.Error()) // readers give known ones
		}
		p := metric.of(o.result, c.Phase)
		out = append(out, Row{
			ID: c.ID, Metric: m.Metric, Measured: m.Value, Predicted: p, Error: p/m.Value - 1,
			Hardware: c.Hardware, Model: c.Model, Engine: c.Engine, Regime: o.regime, Family: familyOf(c.Model), Mode: mode,
			Assumed: c.Assumed, Note: joined(c.Note, o.doubt), kind: metric.kind, Causes: o.causes,
		})
	}
	return out
}

func joined(a, b string) string {
	if a != "" && b != "" {
		return a + "; " + b
	}
	return a + b
}
