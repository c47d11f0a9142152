//go:build unix && !linux

package postgres

// locale is that of new clusters.
const locale = "en_US.UTF-8"
