// Command clustersim simulates LLM inference on a cluster of accelerators: a model,
// a topology and a workload go in; latency, throughput and what bounded them come
// out. Each command is one file of this package; all of them are thin shells over
// packages plan, sweep, sim and report.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
