//go:build !race

package auth0

// burden is what limits of memory and of the processor's time are multiplied by.
const burden = 1
