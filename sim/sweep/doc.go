// Package sweep runs a grid of scenarios: every combination of values for some of
// the scenario's paths.
//
// Points are numbered in the order of the grid, the last path varying fastest, and
// results come in that order whatever finishes first. Each point is planned and run
// on one goroutine of its own with no state shared, so that results do not depend on
// how many run at a time. A point that cannot run reports why in its place; the
// others go on. An interrupted sweep keeps the points that have finished.
package sweep
