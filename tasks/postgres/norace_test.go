//go:build !race

package postgres_test

// raced tells whether the race detector is at work.
const raced = false
