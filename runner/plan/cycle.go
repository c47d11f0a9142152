package plan

import (
	"slices"
	"strings"
)

// late is a reference to a step that comes later.
type late struct {
	found    *finding
	from, to string // ids of steps
}

// cycles says of every reference to a later step whether that one needs the
// referring step itself: then no other order helps. wants are the steps to which
// each step refers.
func (c *checker) cycles(wants map[string][]string) {
	const enough = 100 // findings; the search for each is linear in the plan
	for _, l := range c.late[:min(len(c.late), enough)] {
		if path := way(wants, l.to, l.from); path != nil && l.from != l.to {
			shown := append([]string{l.from}, path...)
			if len(shown) > 10 {
				shown = append(append(shown[:5:5], "..."), shown[len(shown)-4:]...)
			}
			l.found.hint("the steps need each other, so no order helps: %s", strings.Join(shown, " -> "))
		}
	}
}

// way returns a shortest way from one step to another along what steps want,
// both ends included, or nil if there is none.
func way(wants map[string][]string, from, to string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			var path []string
			for id := to; id != ""; id = before[id] {
				path = append(path, id)
			}
			slices.Reverse(path)
			return path
		}
		for _, next := range wants[queue[0]] {
			if _, seen := before[next]; !seen {
				before[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return nil
}
