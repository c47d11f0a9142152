package auth0

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// deepest is how far pages of offsets reach.
const deepest = 1000

// A page is which part of a list a request wants.
type page struct {
	start, size int
	totals      bool
	from        string // checkpoint, with take
	checkpoint  bool
}

// page reads the paging parameters. usual is the size without per_page, most
// the largest.
func (c *call) page(usual, most int) (page, reply, bool) {
	p := page{size: usual, totals: c.query.Get("include_totals") == "true", from: c.query.Get("from")}
	p.checkpoint = c.query.Has("take") || c.query.Has("from")
	size := "per_page"
	if p.checkpoint {
		size = "take"
	}
	n, refused, ok := c.count(size, usual, most)
	if !ok {
		return p, refused, false
	}
	at, refused, ok := c.count("page", 0, 1<<30)
	if !ok {
		return p, refused, false
	}
	p.size, p.start = n, at*n
	return p, reply{}, true
}

// count reads a query parameter that is a number.
func (c *call) count(key string, usual, most int) (int, reply, bool) {
	value := c.query.Get(key)
	if value == "" {
		return usual, reply{}, true
	}
	n, err := strconv.Atoi(value)
	switch {
	case err != nil:
		return 0, invalidQuery("Expected type integer but found type string", key), false
	case n < 0:
		return 0, invalidQuery(fmt.Sprintf("Value %d is less than minimum 0", n), key), false
	case n > most:
		return 0, invalidQuery(fmt.Sprintf("Value %d is greater than maximum %d", n, most), key), false
	}
	return n, reply{}, true
}

func invalidQuery(problem, key string) reply {
	return badRequest("Query validation error: '"+problem+"' on property "+key+".", "invalid_query_string")
}

// slice returns the page's part of a list.
func slice[T any](list []T, p page) []T {
	if p.start >= len(list) {
		return []T{}
	}
	return list[p.start:min(len(list), p.start+p.size)]
}

// list answers with a page of a list, bare or with totals, as the request asks.
func list[T any](name string, part []T, total int, p page) reply {
	if !p.totals {
		return answer(200, part)
	}
	return answer(200, document{name: part, "start": p.start, "limit": p.size, "total": total})
}

// A checkpoint names the place after which a list goes on.
func checkpoint(after string) string { return base64.RawURLEncoding.EncodeToString([]byte(after)) }

func readCheckpoint(from string) (string, bool) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(from, "="))
	return string(data), err == nil
}

// listDocuments answers with documents by offset or checkpoint, with the
// properties that the parameter fields asks for.
func (c *call) listDocuments(name, key string, all []document) reply {
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	if p.checkpoint {
		return c.listFromCheckpoint(name, key, all, p)
	}
	return list(name, c.pickFields(slice(all, p)), len(all), p)
}

func (c *call) listFromCheckpoint(name, key string, all []document, p page) reply {
	if p.from != "" {
		after, ok := readCheckpoint(p.from)
		if !ok {
			return invalidQuery("Invalid checkpoint", "from")
		}
		for i, d := range all {
			if text(d, key) == after {
				all = all[i+1:]
				break
			}
		}
	}
	out := document{}
	if len(all) > p.size {
		all = all[:p.size]
		out["next"] = checkpoint(text(all[len(all)-1], key))
	}
	out[name] = c.pickFields(all)
	return answer(200, out)
}

// pickFields cuts documents down to the parameter fields.
func (c *call) pickFields(all []document) []document {
	fields := c.query.Get("fields")
	if fields == "" {
		return all
	}
	out := make([]document, 0, len(all))
	for _, d := range all {
		out = append(out, pick(d, strings.Split(fields, ","), c.query.Get("include_fields") != "false"))
	}
	return out
}
