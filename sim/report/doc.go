// Package report writes a finished run's result: text for a person, JSON for
// programs, CSV for a spreadsheet. It sees results, never a simulator. A format is
// one file with a function of one shape, and one line in Formats.
package report
