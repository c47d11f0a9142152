//go:build !linux

package cli

// forgetStart does what it does on Linux only.
func forgetStart() {}
