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
// # Patches
//
// A patch says what stands at a path of a description instead of what its file says. It
// is laid over the YAML before that is checked, so it is held to the same rules:
//
//	memory.bandwidth = 5TB/s     a value, as one would write it in the file
//	memory.bandwidth = x1.2      what is there times 1.2; a unit stays: 3.35TB/s is 4.02TB/s
//	tiers.cabinet.size = 128     the element of a list whose name is cabinet
//	tiers[0].size, tiers.0.size  the first element
//	tiers.*.size, tiers.size     every element; of a mapping, * is every key that it has
//	host_overlapped = false      false and 0 are values like others
//	power = null                 the key is left out
//	memory = {capacity: 80GiB}   a whole: what it does not name is left out
//
// A key that the description knows and the file leaves out is made. An entry of a mapping
// whose names are free must be there already: a slip is an error with the nearest path,
// never a new entry. Of several patches the wide come before the narrow: a whole before
// its parts, a star before a name. So the narrow value wins, and factors multiply. A star
// passes by entries of free names that lack what the path goes on to, as long as some have it.
//
// The package knows nothing of models, topologies or simulation, and everybody may use it.
package spec
