// Package bench measures the phasegate program as a whole process, beside
// programs that do the like. See docs/benchmarks.md.
package bench
