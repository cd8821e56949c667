// Package sweep runs a grid of scenarios: every combination of values for some of
// the scenario's paths.
//
// Points are numbered in the order of the grid, the last path varying fastest, and
// results come in that order whatever finishes first. Each point is planned and run
// on one goroutine of its own with no state shared, so that results do not depend on
// how many run at a time. A point that cannot run reports why in its place; the
// others go on. An interrupted sweep keeps the points that have finished.
//
// # Going on
//
// A point that has ended is a line (Outcome.Line) that the caller keeps; Restore reads the
// lines of a sweep that was cut, of which the last may be torn, and Options.Finished takes
// them. A Manifest says of which grid the lines are: the base scenario with its seed, the
// axes, every point's scenario and the digests of what they read. Lines of another grid, or
// of another version of the program, are refused. A point with a result is never run again;
// one that failed is, since a full disk or a file that was missing may be mended by now.
package sweep
