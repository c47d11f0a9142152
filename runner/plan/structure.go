package plan

import (
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// maxExpansion bounds what aliases may add to a plan, in nodes and in text.
const maxExpansion = 1_000_000

// survey walks the document once, before its meaning is read, and reports what
// YAML allows and a plan does not: tags, merge keys, repeated keys, keys that are
// no text, what is nested too deeply, and aliases that grow or never end.
type survey struct {
	*report
	anchored map[*yaml.Node]extent
	open     map[*yaml.Node]bool // the anchored nodes around the one at hand
	expanded int
	fatal    bool // the document cannot be walked further
}

// extent is how large and how deep a node is, with its aliases expanded.
type extent struct{ size, depth int }

// surveyed reports the findings and tells whether the document can be read.
func surveyed(r *report, root *yaml.Node) bool {
	r.mentioned = map[string]bool{}
	s := &survey{report: r, anchored: map[*yaml.Node]extent{}, open: map[*yaml.Node]bool{}}
	for _, n := range root.Content {
		s.node(n, 1)
	}
	return !s.fatal
}

func (s *survey) node(n *yaml.Node, depth int) extent {
	if s.fatal {
		return extent{}
	}
	if depth > MaxDepth {
		s.stop(n, "nesting", "lists and mappings are nested more than %d deep", MaxDepth)
		return extent{}
	}
	if n.Kind == yaml.AliasNode {
		return s.alias(n, depth)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		s.at(n, "tag", "tags such as %s have no place in a plan", quote(n.ShortTag())).
			hint("remove it, or put the value in quotes if it should begin with !")
	}
	if n.Anchor != "" {
		s.open[n] = true
	}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, opening) && strings.Contains(n.Value, "env.") {
		s.mention(n.Value)
	}
	e := extent{size: 1 + len(n.Value)/16}
	if n.Kind == yaml.MappingNode {
		s.keys(n)
	}
	for _, child := range n.Content {
		c := s.node(child, depth+1)
		e.size += c.size
		e.depth = max(e.depth, c.depth+1)
	}
	if n.Anchor != "" {
		delete(s.open, n)
		s.anchored[n] = e
	}
	return e
}

// mention notes the variables to which a value refers, wherever it stands.
func (s *survey) mention(value string) {
	parts, slips := segments(value)
	for _, part := range parts {
		if part.ref != nil && part.ref.root == "env" {
			s.mentioned[part.ref.name] = true
		}
	}
	for _, wrong := range slips {
		inside, _, _ := strings.Cut(value[wrong.offset:], closing)
		for _, rest := range strings.Split(inside, "env.")[1:] {
			end := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			if end < 0 {
				end = len(rest)
			}
			s.mentioned[rest[:end]] = true
		}
	}
}

func (s *survey) alias(n *yaml.Node, depth int) extent {
	if s.open[n.Alias] {
		s.stop(n, "alias", "the alias %s stands inside its own anchor", quote("*"+n.Value)).
			relate(positionOf(n.Alias), "the anchor is here")
		return extent{}
	}
	e := s.anchored[n.Alias]
	if depth+e.depth > MaxDepth {
		s.stop(n, "nesting", "with this alias, lists and mappings are nested more than %d deep", MaxDepth)
	}
	if s.expanded += e.size; s.expanded > maxExpansion {
		s.stop(n, "alias", "the aliases up to here stand for more than %d values", maxExpansion)
	}
	return e
}

func (s *survey) stop(n *yaml.Node, rule, format string, args ...any) *finding {
	s.fatal = true
	return s.at(n, rule, format, args...)
}

// fewKeys is the number up to which comparing each key with those before it is
// faster than a map.
const fewKeys = 12

func (s *survey) keys(n *yaml.Node) {
	var seen map[string]*yaml.Node
	if len(n.Content) > 2*fewKeys {
		seen = make(map[string]*yaml.Node, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			s.at(key, "key", "a key must be plain text")
			continue
		case isMerge(key):
			s.hidden.steps = true
			s.at(key, "merge-key", "merge keys have no place in a plan").hint("write the keys out, or use an alias for a whole value")
			continue
		}
		if first := earlier(n, i, seen); first != nil {
			s.at(key, "duplicate-key", "the key %s stands here a second time", quote(key.Value)).
				relate(positionOf(first), "first written here")
			s.hide(key)
		}
	}
}

// earlier returns the key before index i of n's content with the same text, if
// there is one. It adds the key to seen, if that is in use.
func earlier(n *yaml.Node, i int, seen map[string]*yaml.Node) *yaml.Node {
	key := n.Content[i]
	if seen != nil {
		first := seen[key.Value]
		if first == nil {
			seen[key.Value] = key
		}
		return first
	}
	for j := 0; j < i; j += 2 {
		if n.Content[j].Kind == yaml.ScalarNode && n.Content[j].Value == key.Value {
			return n.Content[j]
		}
	}
	return nil
}

func isMerge(key *yaml.Node) bool { return key.Tag == "!!merge" && key.Style == 0 }

// merges tells whether the mapping n has a merge key.
func merges(n *yaml.Node) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			return true
		}
	}
	return false
}

// isNull tells whether nothing is written at n, or null or ~.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && n.Tag == "!!null"
}
