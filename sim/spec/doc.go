// Package spec holds what every reader of a user's file needs: units that carry
// their dimension (Bytes, Bandwidth, Duration, Compute, Power), strict YAML whose
// every fault is reported at once with file, line, column and field, and suggestions
// for a mistyped name.
//
// A unit is written with its unit and never guessed: 80GiB and 144GB differ, 400Gb/s is
// 50GB/s, a bare number is an error. What a unit writes it reads back to the same bit.
//
// A file is one document of UTF-8. Unknown keys, keys given twice, unknown tags and
// wrong types are errors, in words about the file rather than about Go; anchors and
// merge keys work within the YAML library's limits of depth and growth. A key without
// a value counts as absent.
//
// The package knows nothing of models, topologies or simulation, and everybody may use it.
package spec
