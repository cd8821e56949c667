// Package spec holds what every reader of a user's file needs: units that carry
// their dimension (Bytes, Bandwidth, Duration, Compute, Power), strict YAML whose
// every fault is reported at once with file, line and column, and suggestions for
// a mistyped name.
//
// It knows nothing of models, topologies or simulation, and everybody may use it.
package spec
