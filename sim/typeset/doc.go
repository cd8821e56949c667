// Package typeset lays text out in the width that there is: a terminal's, or Default where
// nobody looks at it, so that what goes to a file or a pipe is the same everywhere. Lines
// are broken between words, a table's cells within their columns; a table of more columns
// than fit goes on below, its first columns repeated.
package typeset
