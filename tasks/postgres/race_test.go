//go:build race

package postgres_test

// raced tells whether the race detector is at work, whose memory grows with what
// is read.
const raced = true
