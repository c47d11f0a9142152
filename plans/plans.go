// Package plans holds the plans that ship with phasegate, so that the program
// alone can validate, rehearse and run them.
package plans

import "embed"

// FS has the plans, each a YAML file at the top.
//
//go:embed *.yaml
var FS embed.FS
