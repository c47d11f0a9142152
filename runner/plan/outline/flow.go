package outline

import "strings"

// flow reads {...} or [...]. One that is not closed ends where its line does, or
// with the lines below that are indented by more than parent.
func (r *reader) flow(parent int) *Node {
	n := &Node{Kind: Mapping, Start: r.at, Flow: true}
	closing := byte('}')
	if r.text[r.at] == '[' {
		n.Kind, closing = List, ']'
	}
	r.at++
	if r.depth++; r.depth < maxDepth {
		r.flowContent(n, closing, parent)
	}
	r.depth--
	n.End = r.at
	return n
}

func (r *reader) flowContent(n *Node, closing byte, parent int) {
	for r.flowGap(parent) {
		switch c := r.text[r.at]; {
		case c == closing:
			r.at++
			return
		case c == ',':
			r.at++
		case c == '}' || c == ']':
			return // closes what is around it: this one's own is missing
		case n.Kind == Mapping:
			n.Pairs = append(n.Pairs, r.flowPair(parent))
		default:
			n.Items = append(n.Items, r.flowItem(parent))
		}
	}
}

// flowGap goes to the next character that is neither space nor comment, and tells
// whether it still belongs to what is open.
func (r *reader) flowGap(parent int) bool {
	for r.at < len(r.text) {
		r.spaces()
		switch {
		case r.at == len(r.text):
			return false
		case r.text[r.at] == '#' && r.isComment():
			for !r.ends() {
				r.at++
			}
		case r.ends():
			end := r.at
			r.nextLine()
			if !r.goesOn(parent) {
				r.at = end
				return false
			}
		default:
			return true
		}
	}
	return false
}

// goesOn tells whether the next line with content belongs to what is open.
func (r *reader) goesOn(parent int) bool {
	if !r.toContentInText(parent) {
		return r.at < len(r.text) && !r.ends() && r.column() == parent && strings.IndexByte("]}", r.text[r.at]) >= 0
	}
	return true
}

func (r *reader) flowPair(parent int) Pair {
	pair := Pair{Key: r.flowScalar(parent)}
	r.spaces()
	if r.at == len(r.text) || r.text[r.at] != ':' {
		return pair
	}
	pair.Colon = true
	r.at++
	if r.properties(); !r.flowGap(parent) || strings.IndexByte(",}]", r.text[r.at]) >= 0 {
		return pair
	}
	pair.Value = r.flowValue(parent)
	return pair
}

// flowItem reads an item of a list: a value, or a mapping of one pair without
// braces.
func (r *reader) flowItem(parent int) *Node {
	r.properties()
	start := r.at
	item := r.flowValue(parent)
	r.spaces()
	if item.Kind != Scalar || r.at == len(r.text) || r.text[r.at] != ':' {
		return item
	}
	r.at = start
	pair := r.flowPair(parent)
	n := &Node{Kind: Mapping, Start: start, End: pair.Key.End, Flow: true, Pairs: []Pair{pair}}
	if pair.Value != nil {
		n.End = pair.Value.End
	}
	return n
}

func (r *reader) flowValue(parent int) *Node {
	if r.at < len(r.text) && (r.text[r.at] == '{' || r.text[r.at] == '[') {
		return r.flow(parent)
	}
	return r.flowScalar(parent)
}

// flowScalar reads a scalar between commas and brackets. It takes at least one
// character.
func (r *reader) flowScalar(parent int) *Node {
	switch {
	case r.at == len(r.text):
		return &Node{Start: r.at, End: r.at}
	case r.text[r.at] == '"' || r.text[r.at] == '\'':
		return r.quoted(parent)
	case r.text[r.at] == '*':
		return r.alias(",[]{}:")
	}
	start := r.at
	for !r.ends() && !r.isComment() && strings.IndexByte(",[]{}", r.text[r.at]) < 0 {
		if r.text[r.at] == ':' && (r.at+1 == len(r.text) || isSpace(r.text[r.at+1]) || strings.IndexByte(",[]{}", r.text[r.at+1]) >= 0) {
			break
		}
		r.at++
	}
	if r.at == start && !r.ends() && r.text[r.at] != ':' {
		r.at++
	}
	return r.trimmed(start)
}
