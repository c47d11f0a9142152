package gate

import (
	_ "embed" // for the names
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // so that the program knows the zones on a machine without a database of them

	"github.com/medlogistics/phasegate/runner/task"
)

// zoneNames are the names in the database that time/tzdata embeds, one a line.
// That package does not tell them; they are those of lib/time/zoneinfo.zip in
// the Go distribution, which is made of the same data.
//
//go:embed zones.txt
var zoneNames string

// A Zone is a time zone of the IANA database, https://www.iana.org/time-zones.
// Its names are those that the program itself knows, so that a plan which is
// right on one machine is right on all. Its rules are the machine's if it has
// them, as those are likely to be newer.
type Zone struct{ location *time.Location }

// UnmarshalText looks up the zone of that name.
func (z *Zone) UnmarshalText(text []byte) error {
	name, names := string(text), strings.Fields(zoneNames)
	if !slices.Contains(names, name) {
		return task.Hint(fmt.Errorf("%q is not a time zone", name), zoneHint(name, names))
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return fmt.Errorf("load the time zone: %w", err)
	}
	z.location = location
	return nil
}

func zoneHint(name string, names []string) string {
	if near := nearestZone(name, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "write a name of the IANA database, such as Europe/Berlin or UTC: an offset or an abbreviation knows no summer time"
}

// nearestZone returns the name that was probably meant, or "". What was written
// may be the place alone. An offset is never meant: Etc/GMT+2 is two hours behind
// UTC, and not ahead of it as most would take it.
func nearestZone(name string, names []string) string {
	written := foldZone(name)
	best, least := "", max(2, len(written)/4+1)
	if len(written) < 4 || len(written) > 64 {
		return ""
	}
	for _, candidate := range names {
		if strings.Contains(candidate, "GMT") {
			continue
		}
		whole := foldZone(candidate)
		place := whole[strings.LastIndexByte(whole, '/')+1:]
		for _, known := range []string{whole, place} {
			if d := letters(written, known); d < least {
				best, least = candidate, d
			}
		}
	}
	return best
}

// foldZone takes out the differences that are easily overlooked.
func foldZone(name string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(name))
}

// letters returns how many letters must be put in, taken out or changed to make
// b of a: their Levenshtein distance.
func letters(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, changed)
		}
	}
	return row[len(b)]
}
