// Package schema holds the MedLogistics database as versioned migrations in the
// format of Atlas: VERSION_name.sql files and atlas.sum, their checksums. The
// directory down holds the reverse migrations, under the same names, with an
// atlas.sum of their own. After a change to a file, `go test ./schema -update`
// writes both anew.
package schema

import "embed"

// Baseline is the version that databases from before the cut-over are at.
const Baseline = "20260101000000"

// BaselineFile makes the tables of version Baseline in an empty database.
const BaselineFile = Baseline + "_baseline.sql"

// FS holds the migrations and atlas.sum, without a folder, and down.
//
//go:embed *.sql atlas.sum down
var FS embed.FS
