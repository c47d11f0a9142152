//go:build race

package auth0

// burden is how many times the memory and the processor's time the race detector
// may take: https://go.dev/doc/articles/race_detector#Runtime_Overheads.
const burden = 10
