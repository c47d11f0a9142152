package ci

import _ "embed" // the action

// ActionFile is where the action that installs phasegate stands in a repository.
const ActionFile = ".github/actions/phasegate/action.yml"

// Action is the action that installs phasegate: a released binary, verified by
// its checksum, or what the repository builds.
//
//go:embed action.yml
var Action string
