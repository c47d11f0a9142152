package plan

import (
	"encoding/hex"
	"maps"
	"slices"
)

// Own is the name of the plan's own file among its [Plan.Sums]. No other file
// can have it.
const Own = "."

// Sums returns the SHA-256, in hex, of the plan's own file, as [Own], and of the
// others by their names in the digest. They are what the digest was made of.
func (p *Plan) Sums() map[string]string { return maps.Clone(p.sums) }

// A Change is a file that is not what it was. Before or Now is "" where there was
// or is no such file.
type Change struct {
	Name        string
	Before, Now string // SHA-256, in hex
}

// Changes compares the sums of a plan with those of the same plan at another
// time, by name.
func Changes(before, now map[string]string) []Change {
	all := maps.Clone(before)
	maps.Copy(all, now)
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if before[name] != now[name] {
			changes = append(changes, Change{name, before[name], now[name]})
		}
	}
	return changes
}

// String says in a word or a few what became of the file.
func (c Change) String() string {
	name := c.Name
	if name == Own {
		name = "the plan itself"
	}
	switch "" {
	case c.Before:
		return name + " (new)"
	case c.Now:
		return name + " (gone)"
	}
	return name
}

func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }
