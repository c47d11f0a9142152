package cli

import "runtime/debug"

// lean has a run take little memory for as long as it lasts, an hour perhaps,
// for a little more time of its own: it mostly waits for others.
func lean() {
	debug.SetGCPercent(50)
	forgetStart()
}
