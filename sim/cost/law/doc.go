// Package law gives the time of one operator on one chip, split by cause: a
// functional form per operator class with a handful of constants per (chip, class,
// precision).
package law
