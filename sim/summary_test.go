package sim

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/slo"
)

const second = des.Time(1e9)

// recorded is a run of two pools over 10 s: prefill 1 instance of 2 chips that works
// 4 s, decode 2 instances of 4 chips that work 16 s together.
func recorded() (*metrics.Recorder, *summary) {
	rec := metrics.NewRecorder(metrics.Config{
		Pools: []string{"prefill", "decode"}, SLO: slo.Default(),
		Hardware: []metrics.Hardware{{Chips: 2, Peak: 1e12, HBM: 1e10}, {Chips: 4, Peak: 1e12, HBM: 1e10}}, Links: []float64{1e9, 1e8},
	})
	prefill := &cost.Step{Flops: 4e12, Bytes: 1e9}
	prefill.Causes[cause.Compute], prefill.Causes[cause.CommLatency], prefill.Tau = 3*second, second, second/4
	prefill.LinkBytes[0] = 8e9
	rec.Step(0, metrics.Prefill, prefill, 4000, 1)
	rec.Idle(0, int64(6*second))
	decode := &cost.Step{Flops: 1e12, Bytes: 50e9, Hidden: 7}
	decode.Causes[cause.HBMWeights], decode.Causes[cause.HBMKV], decode.Causes[cause.HBMAct], decode.Causes[cause.Host] = 3*second, 2*second, second, 2*second
	for range 2 {
		rec.Step(1, metrics.Decode, decode, 0, 500)
		rec.Idle(1, int64(2*second))
	}
	rec.KVPeak(0, 999)
	rec.KVPeak(1, 60)
	rec.KVPeak(1, 40)
	rec.Prefix(10, 4)
	rec.Preempted()
	c := &metrics.Completion{
		Arrival: 0, FirstToken: second, Finish: 5 * second, Queue: second / 4, Prefill: 3 * second / 4,
		KVTransfer: second, Decode: 3 * second, InputTokens: 4000, OutputTokens: 101, Measured: true,
	}
	for range 3 {
		rec.Arrive()
	}
	rec.Complete(c)
	rec.Reject(true)
	return rec, &summary{
		Now: 10 * second,
		Pools: []deployed{
			{Name: "prefill", Chips: 2, ChipsPerInstance: 2, TDP: 1000, KVCapacity: 1000},
			{Name: "decode", Chips: 8, ChipsPerInstance: 4, TDP: 500, KVCapacity: 50, KVParts: 2},
		},
		Tiers: []string{"board", "fabric"},
		SLO:   slo.Default(), InFlight: 1, Unfinished: 1, KVBytesPerToken: 3.5,
	}
}

func TestSummaryClosedForm(t *testing.T) {
	rec, s := recorded()
	var r result.Result
	if err := summarise(rec, s, &r); err != nil {
		t.Fatal(err)
	}
	const u = (3.0 + 0 + 0) / 10 // of the prefill pool's time in compute
	watts := 2000*(idlePower+(busyPower-idlePower)*u) + 4000*(idlePower+(busyPower-idlePower)*0.6)
	for name, c := range map[string]struct{ got, want float64 }{
		"simulated":        {r.SimulatedS, 10},
		"input tokens":     {r.Throughput.InputTokensPerS, 400},
		"output tokens":    {r.Throughput.OutputTokensPerS, 100.1},
		"a chip":           {r.Throughput.OutputTokensPerSPerChip, 10.01},
		"requests":         {r.Throughput.RequestsPerS, 0.1},
		"TTFT":             {r.Latency.TTFT.P99, 1000},
		"TPOT":             {r.Latency.TPOT.Mean, 40},
		"E2E":              {r.Latency.E2E.Max, 5000},
		"goodput":          {r.Goodput.Fraction, 0.5}, // one met, one rejected
		"goodput rate":     {r.Goodput.RequestsPerS, 0.05},
		"prefill compute":  {r.Causes.Prefill[cause.Compute], 0.3},
		"prefill idle":     {r.Causes.Prefill[cause.Idle], 0.6},
		"decode weights":   {r.Causes.Decode[cause.HBMWeights], 0.3},
		"decode KV":        {r.Causes.Decode[cause.HBMKV], 0.2},
		"decode act":       {r.Causes.Decode[cause.HBMAct], 0.1},
		"decode idle":      {r.Causes.Decode[cause.Idle], 0.2},
		"prefill tau":      {float64(r.Causes.NS.Prefill.Tau), 2.5e8},
		"decode hidden":    {float64(r.Causes.NS.Decode.Hidden), 14},
		"request queue":    {r.Causes.Request.Queue, 0.05},
		"request transfer": {r.Causes.Request.KVTransfer, 0.2},
		// 10 s × 2 chips + 20 s × 4 chips = 100 chip-seconds.
		"MFU":         {r.Utilisation.MFU, 6e12 / 100e12},
		"MBU":         {r.Utilisation.MBU, 101e9 / 1000e9},
		"pool's MFU":  {r.Utilisation.Pools["prefill"].MFU, 4e12 / 20e12},
		"pool's MBU":  {r.Utilisation.Pools["decode"].MBU, 100e9 / 800e9},
		"pool's busy": {r.Utilisation.Pools["decode"].Busy, 0.8},
		"link":        {r.Utilisation.Links["board"].Mean, 8e9 / 100e9},
		"busiest":     {r.Utilisation.Links["board"].Busiest, 8e9 / 20e9}, // prefill's alone
		"link unused": {r.Utilisation.Links["fabric"].Mean, 0},
		"KV peak":     {float64(r.KV.PeakBytes), 120},
		"KV capacity": {float64(r.KV.CapacityBytes), 100},
		"hits":        {r.KV.PrefixHitRate, 0.4},
		"preemptions": {float64(r.KV.Preemptions), 1},
		"watts":       {r.Energy.WattsMean, watts},
		"joules":      {r.Energy.JoulesPerOutputToken, watts * 10 / 1001},
	} {
		if math.Abs(c.got-c.want) > 1e-12*math.Abs(c.want) {
			t.Errorf("%s is %v, want %v", name, c.got, c.want)
		}
	}
	want := result.Requests{Arrived: 3, Completed: 1, Rejected: 1, InFlight: 1, Measured: 1}
	if r.Requests != want {
		t.Errorf("requests %+v, want %+v", r.Requests, want)
	}
	if !r.Latency.TTFT.Censored || r.Latency.ITL.Censored {
		t.Error("an unfinished measured request censors TTFT, TPOT and E2E, and not ITL")
	}
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, "censored") || !strings.Contains(text, "assumed") {
		t.Errorf("warnings: %s", text)
	}
}

func TestSummaryRefusesTheImpossible(t *testing.T) {
	step := func(pool int, flops, bytes float64) func(*metrics.Recorder, *summary) {
		return func(rec *metrics.Recorder, _ *summary) {
			rec.Step(pool, metrics.Decode, &cost.Step{Flops: flops, Bytes: bytes}, 0, 0)
		}
	}
	for name, c := range map[string]struct {
		spoil func(*metrics.Recorder, *summary)
		want  string
	}{
		"lost request":            {func(_ *metrics.Recorder, s *summary) { s.InFlight = 0 }, "arrived 3 ≠ completed 1 + rejected 1 + lost 0 + in flight 0"},
		"a pool beyond its peak":  {step(0, 17e12, 0), "beat the chips' peaks in pool prefill: MFU 1.05"}, // the other pool's do not make up for it
		"a pool beyond its HBM":   {step(1, 0, 701e9), "beat the chips' peaks in pool decode: MFU 0.025, MBU 1.00125"},
		"a pool at its HBM's end": {step(1, 0, 700e9), ""},
	} {
		t.Run(name, func(t *testing.T) {
			rec, s := recorded()
			c.spoil(rec, s)
			err := summarise(rec, s, &result.Result{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEnergyNeedsEveryChipsPower(t *testing.T) {
	rec, s := recorded()
	s.Pools[1].TDP = 0
	var r result.Result
	if err := summarise(rec, s, &r); err != nil || r.Energy != nil {
		t.Errorf("energy %v, error %v", r.Energy, err)
	}
}

func TestSummaryOfNothing(t *testing.T) {
	rec := metrics.NewRecorder(metrics.Config{Pools: []string{"serve"}})
	var r result.Result
	if err := summarise(rec, &summary{Pools: []deployed{{Name: "serve", Chips: 8, ChipsPerInstance: 8, TDP: 700}}}, &r); err != nil {
		t.Fatal(err)
	}
	if r.Throughput != (result.Throughput{}) || r.Causes.Decode != (result.Shares{}) || r.Energy.JoulesPerOutputToken != 0 {
		t.Errorf("%+v", r)
	}
}

// Fractions sum to 1 and keep the order of nanoseconds, whatever was booked.
func TestSharesSumToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l metrics.Ledger
		var total int64
		for p := range metrics.NumPhases {
			for c := range cause.Count {
				l.Causes[p][c] = rapid.Int64Range(0, 1<<rapid.IntRange(0, 58).Draw(t, "bits")).Draw(t, "ns")
			}
		}
		s, ns := phase(&l, metrics.Decode)
		sum, booked := 0.0, int64(0)
		for c, f := range s {
			sum += f
			booked += ns.Causes[c]
			total += l.Causes[metrics.Decode][c]
			if f < 0 || f > 1 {
				t.Fatalf("%s is %v", cause.Names[c], f)
			}
		}
		if total > 0 && math.Abs(sum-1) > 1e-12 {
			t.Fatalf("fractions sum to %v", sum)
		}
		if booked != total {
			t.Fatalf("nanoseconds sum to %d, want %d", booked, total)
		}
	})
}
