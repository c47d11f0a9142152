package auth0_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// A tally counts recorded requests by how the tenant's answers compare.
type tally struct {
	alike    int // status, keys and types are the same
	newer    int // the same but for properties that other recordings of the family have
	known    int // with a difference that is listed
	unknown  int
	unserved int // the tenant has no such endpoint
}

func (t *tally) add(o tally) {
	t.alike, t.newer, t.known = t.alike+o.alike, t.newer+o.newer, t.known+o.known
	t.unknown, t.unserved = t.unknown+o.unknown, t.unserved+o.unserved
}

// count counts an interaction by its differences.
func (t *tally) count(differences, newer, listed int) {
	switch differences {
	case 0:
		t.alike++
	case newer:
		t.newer++
	case listed + newer:
		t.known++
	default:
		t.unknown++
	}
}

// share is how many percent are alike, but for properties that the API has got
// since they were recorded.
func (t tally) share() float64 {
	return 100 * float64(t.alike+t.newer) / float64(max(1, t.alike+t.newer+t.known+t.unknown+t.unserved))
}

func (t tally) String() string {
	served := t.alike + t.newer + t.known + t.unknown
	share := func(n int) float64 { return 100 * float64(n) / float64(max(served, 1)) }
	return fmt.Sprintf("%4d served: %4d alike (%5.1f%%), %3d more but for properties that other recordings have (%5.1f%%), %3d as listed, %3d otherwise; %2d not served",
		served, t.alike, share(t.alike), t.newer, share(t.alike+t.newer), t.known, t.unknown, t.unserved)
}

// compare returns what differs between the recorded answer and the tenant's,
// and learns which names the tenant has given.
func compare(i interaction, status int, body []byte, names map[string]string) []string {
	if status != i.Response.Code {
		return []string{fmt.Sprintf("status %d, recorded %d", status, i.Response.Code)}
	}
	var recorded, given any
	if err := json.Unmarshal([]byte(i.Response.Body), &recorded); err != nil && i.Response.Body != "" {
		return []string{"the recorded body is no JSON"}
	}
	if err := json.Unmarshal(body, &given); err != nil && len(body) > 0 {
		return []string{"the body is no JSON"}
	}
	var differences []string
	walk("", recorded, given, names, func(d string) { differences = append(differences, d) })
	slices.Sort(differences)
	return slices.Compact(differences)
}

func walk(path string, recorded, given any, names map[string]string, differ func(string)) {
	if a, b := typeOf(recorded), typeOf(given); a != b {
		differ(fmt.Sprintf("%s is %s, recorded %s", path, b, a))
		return
	}
	switch r := recorded.(type) {
	case map[string]any:
		g := given.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(r)) {
			if _, ok := g[key]; !ok {
				differ(path + "." + key + " is missing")
			} else {
				walk(path+"."+key, r[key], g[key], names, differ)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(g)) {
			if _, ok := r[key]; !ok {
				differ(path + "." + key + " is not in the recording")
			}
		}
	case []any:
		g := given.([]any)
		if (len(r) == 0) != (len(g) == 0) {
			differ(fmt.Sprintf("%s has %d items, recorded %d", path, len(g), len(r)))
		}
		for n := range min(len(r), len(g)) {
			walk(path+"[]", r[n], g[n], names, differ)
		}
	case string:
		if g := given.(string); g != r && len(r) >= 8 {
			names[r] = g
		}
	}
}

func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// properties returns which properties the answers of an endpoint have in one
// recording or another. The recordings span four years in which answers grew.
func properties(all []recording) map[string]bool {
	seen := map[string]bool{}
	for _, r := range all {
		for _, i := range r.Interactions {
			var body any
			if json.Unmarshal([]byte(i.Response.Body), &body) == nil {
				collect(shape(i), "", body, seen)
			}
		}
	}
	return seen
}

// shape names what an answer is about, so that answers can be compared.
func shape(i interaction) string {
	family := families.FindStringSubmatch(i.path())
	if family == nil || i.Response.Code >= 400 {
		return ""
	}
	return family[1]
}

// plain takes the frame of a list off a property's path.
func plain(path string) string { return frame.ReplaceAllString(path, "") }

var frame = regexp.MustCompile(`^(\.\w+)?\[\]`)

func collect(family, path string, value any, seen map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			seen[family+plain(path+"."+key)] = true
			collect(family, path+"."+key, inner, seen)
		}
	case []any:
		for _, inner := range v {
			collect(family, path+"[]", inner, seen)
		}
	}
}
