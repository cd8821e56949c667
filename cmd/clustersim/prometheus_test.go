package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/clustersim/clustersim/sim/des"
)

// requirePrometheus is set where the server must be installed.
const requirePrometheus = "CLUSTERSIM_REQUIRE_PROMETHEUS"

// freeAddress is an address of this machine that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startPrometheus runs a real server that scrapes the target, and gives a function
// that queries it.
func startPrometheus(t *testing.T, target string) (query func(expr string) (float64, bool)) {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv(requirePrometheus) == "1" {
			t.Fatalf("%s=1, but %v", requirePrometheus, err)
		}
		t.Skip("no prometheus on the path: apt-get install prometheus, or see .ci/run")
	}
	dir, address := t.TempDir(), freeAddress(t)
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`global: {scrape_interval: 100ms, scrape_timeout: 100ms}
scrape_configs:
  - job_name: clustersim
    honor_labels: true
    static_configs: [{targets: ["%s"]}]
`, target)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := exec.Command(binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(os.Interrupt)
		server.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", log.String())
		}
	})
	base := "http://" + address
	await(t, "the server is ready", func() bool {
		reply, err := http.Get(base + "/-/ready")
		if err != nil {
			return false
		}
		reply.Body.Close()
		return reply.StatusCode == http.StatusOK
	})
	return func(expr string) (float64, bool) { return instant(t, base, expr) }
}

// await polls until something holds; it fails after half a minute.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// instant asks for an expression's single value now.
func instant(t *testing.T, base, expr string) (float64, bool) {
	t.Helper()
	reply, err := http.Get(base + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Value [2]any
			}
		}
	}
	if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %v %s", expr, err, answer.Error)
	}
	if len(answer.Data.Result) != 1 {
		return 0, false
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return v, true
}

// What the observer was shown is what a real server answers.
func TestPrometheusScrapesAnObserver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w, err := newObserver(ctx, observing{Addr: "127.0.0.1:0", Speed: 60})
	if err != nil {
		t.Fatal(err)
	}
	w.begin("v4", []string{"board", "fabric"})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for now := des.Time(0); !w.observe(snapshot(now)); now += w.interval() {
		}
	}()
	defer func() {
		cancel()
		<-ended
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	query := startPrometheus(t, w.addr.String())
	await(t, "the run is scraped", func() bool { _, ok := query("clustersim_simulated_seconds_total"); return ok })
	for expr, want := range map[string]float64{
		`vllm:num_requests_running{pool="decode",instance="0"}`:                     3,
		`sum by (model_name) (vllm:num_requests_running{model_name="v4"})`:          6,
		`vllm:kv_cache_usage_perc{pool="decode",instance="0"}`:                      0.75,
		`vllm:generation_tokens_total`:                                              8,
		`vllm:inter_token_latency_seconds_count`:                                    7,
		`vllm:e2e_request_latency_seconds_sum`:                                      0.27,
		`histogram_quantile(1, vllm:time_to_first_token_seconds_bucket)`:            0.08,
		`vllm:prefix_cache_hits / vllm:prefix_cache_queries`:                        0.25,
		`clustersim_cause_seconds_total{phase="decode",cause="hbm_kv"}`:             0.5,
		`clustersim_requests{state="in_flight"}`:                                    5,
		`clustersim_link_utilisation_ratio{tier="fabric"}`:                          0.4,
		`count(count by (cause) (clustersim_cause_seconds_total{phase="prefill"}))`: 10,
	} {
		if got, ok := query(expr); !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", expr, got, ok, want)
		}
	}
	// Paced, so a scraper sees simulated time move, and move at the speed asked for.
	await(t, "simulated time moves", func() bool {
		moved, ok := query("delta(clustersim_simulated_seconds_total[2s])")
		return ok && moved > 0
	})
	if speed, ok := query("clustersim_speed_ratio"); !ok || speed <= 0 || speed > 61 {
		t.Errorf("speed ratio %v", speed)
	}
}

// A real server watches a real run: its counters never go back, and what
// it saw last is near what the result says.
func TestPrometheusScrapesARun(t *testing.T) {
	address := freeAddress(t)
	query := startPrometheus(t, address)
	var stdout, stderr bytes.Buffer
	ended := make(chan int)
	go func() {
		ended <- run([]string{
			"--model", "llama-3.1-8b", "--topo", "hgx-h100:8", "--mode", "aggregated", "--output", "json",
			"--set", "deployment.serve.tp=1", "--set", "deployment.serve.instances=8",
			"--rate", "40", "--requests", "1000", "--speed", "20", "--metrics-addr", address,
		}, nil, &stdout, &stderr)
	}()
	const tokens = `sum(vllm:generation_tokens_total{model_name="llama-3.1-8b",pool="serve"})`
	seen := 0.0
	for name, expr := range map[string]string{
		"tokens come out":        tokens,
		"requests run":           `sum(vllm:num_requests_running)`,
		"the cache is used":      `max(vllm:kv_cache_usage_perc)`,
		"gaps are observed":      `vllm:inter_token_latency_seconds_count`,
		"requests arrive":        `clustersim_requests{state="arrived"}`,
		"causes are booked":      `clustersim_cause_seconds_total{phase="decode",cause="hbm_weights"}`,
		"every instance reports": `count(vllm:num_requests_running) == 8`,
		"simulated time moves":   `delta(clustersim_simulated_seconds_total[1s])`,
	} {
		await(t, name, func() bool { v, ok := query(expr); return ok && v > 0 })
		if now, ok := query(tokens); ok {
			if now < seen {
				t.Errorf("tokens went from %v back to %v", seen, now)
			}
			seen = now
		}
	}
	if code := <-ended; code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	r, err := parseResult("stdout", stdout.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	arrived, ok := query(`max_over_time(clustersim_requests{state="arrived"}[5m])`)
	if all := float64(r.Requests.Arrived); !ok || arrived > all || arrived < 0.8*all {
		t.Errorf("%v arrived at the last scrape, %v in the result", arrived, all)
	}
}
