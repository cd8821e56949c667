package topologies

import "github.com/clustersim/clustersim/sim/spec"

// Precision names an arithmetic unit's operand format.
type Precision string

// The precisions a chip may have peaks for.
const (
	BF16 Precision = "bf16"
	FP8  Precision = "fp8"
	FP4  Precision = "fp4"
	INT8 Precision = "int8"
)

// Chip is one package: peaks, memory, links, and the constants of its operator laws.
type Chip struct {
	Name        string
	Aliases     []string
	Vendor      string
	Year        int
	Source      string
	Confidence  string
	Dies        int                        // ranks a package has: 2 for Ascend 910C, otherwise 1
	Cores       int                        // SMs, CUs or AI cores of the package
	Peak        map[Precision]spec.Compute // dense, of the package
	Memory      Memory
	Power       spec.Power // TDP, 0 when not published
	Efficiency  map[string]float64
	Assumptions []string
	// Ancestor names the chip whose operator constants this one inherits, scaled
	// by its own peaks; empty when it has constants of its own.
	Ancestor string
	// Operators holds fitted constants by operator class and variant; see
	// operators.go for the classes, their forms and their constants' names.
	Operators map[string]map[string]Constants
}

// Memory is a package's HBM.
type Memory struct {
	Capacity  spec.Bytes
	Bandwidth spec.Bandwidth
}

// Constants are the fitted numbers of one operator class and variant, with where
// they come from and how well they fit.
type Constants struct {
	Values         map[string]float64
	Source         string
	Rows           int     // kernel timings fitted
	MedianErrorPct float64 // of |predicted/measured − 1|
	P90ErrorPct    float64
	Assumed        bool // taken from another chip or a vendor's figure
}
