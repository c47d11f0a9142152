// Package outline reads the shape of a plan while it is being written: which
// keys and lists stand inside which, and where. It judges nothing. A text that
// YAML cannot read, as nearly every text is between two keystrokes, gives an
// outline too: a line that makes no sense costs what stands on it, and no more.
//
// It knows the block and flow styles, quotes, block scalars and comments of YAML
// 1.2, and passes over anchors and tags. What a valid plan says it reads as the
// YAML library does, which the tests hold.
package outline

// A Kind is what a node is.
type Kind int

// The kinds.
const (
	Scalar Kind = iota
	Mapping
	List
)

// A Node is a value or a key.
type Node struct {
	Kind  Kind
	Start int // its first byte in the text
	End   int // the byte behind its last
	Flow  bool

	Text  string // of a scalar, without quotes; a block scalar's is as it stands in the file
	Quote byte   // of a scalar: ' or " or | or > or * (an alias), or 0

	Pairs []Pair  // of a mapping
	Items []*Node // of a list; nil for an item without a value
}

// A Pair is a key with its value.
type Pair struct {
	Key   *Node
	Value *Node // nil if there is none
	Colon bool  // the key is followed by one; without, it is being written
}

// Find returns the value of key, or nil. Any node may be asked, nil too.
func (n *Node) Find(key string) *Node {
	if pair := n.Pair(key); pair != nil {
		return pair.Value
	}
	return nil
}

// Pair returns the first pair of that key, or nil.
func (n *Node) Pair(key string) *Pair {
	if n == nil {
		return nil
	}
	for i := range n.Pairs {
		if n.Pairs[i].Key.Text == key {
			return &n.Pairs[i]
		}
	}
	return nil
}

// Word returns the text of a scalar, or "". Any node may be asked, nil too.
func (n *Node) Word() string {
	if n == nil || n.Kind != Scalar || n.Quote == '*' {
		return ""
	}
	return n.Text
}

// A Step is one node on the way from the root to a place.
type Step struct {
	In    *Node // a mapping or a list
	Key   *Node // of the pair, in a mapping
	Index int   // of the item, in a list
}

// A Place is where a byte of the text stands.
type Place struct {
	Path  []Step // from the root down to the mapping or list that holds Token
	Token *Node  // the scalar at the place, or nil
	IsKey bool   // Token is a key
}

// At returns the place of the byte at offset. The byte behind a token is still
// the token's: that is where a cursor stands that has just written it.
func (n *Node) At(offset int) Place {
	var place Place
	for n != nil && n.Start <= offset && offset <= n.End {
		switch n.Kind {
		case Scalar:
			place.Token = n
			return place
		case Mapping:
			pair := pairAt(n, offset)
			if pair == nil {
				return place
			}
			place.Path = append(place.Path, Step{In: n, Key: pair.Key})
			if pair.Key.holds(offset) {
				place.Token, place.IsKey = pair.Key, true
				return place
			}
			n = pair.Value
		case List:
			i := itemAt(n, offset)
			if i < 0 {
				return place
			}
			place.Path = append(place.Path, Step{In: n, Index: i})
			n = n.Items[i]
		}
	}
	return place
}

func (n *Node) holds(offset int) bool { return n != nil && n.Start <= offset && offset <= n.End }

func pairAt(n *Node, offset int) *Pair {
	for i := range n.Pairs {
		if p := &n.Pairs[i]; p.Key.holds(offset) || p.Value.holds(offset) {
			return p
		}
	}
	return nil
}

func itemAt(n *Node, offset int) int {
	for i, item := range n.Items {
		if item.holds(offset) {
			return i
		}
	}
	return -1
}
