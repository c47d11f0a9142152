package condition

import "strings"

// A Kind is what a value is, in a plan's own terms. Kinds are comparable.
type Kind struct {
	name string
	list int // how many lists deep
}

// The kinds of values.
var (
	Unknown = Kind{}                      // of a reference that is wrong itself
	Number  = Kind{name: "a number"}      //
	Text    = Kind{name: "text"}          //
	Bool    = Kind{name: "true or false"} //
	Other   = Kind{name: "a composite"}   // keys and values
)

// ListOf returns the kind of a list of values of kind k.
func ListOf(k Kind) Kind {
	k.list++
	return k
}

// Scalar tells whether k is a number, a text, or true or false.
func (k Kind) Scalar() bool { return k.list == 0 && (k == Number || k == Text || k == Bool) }

// String names the kind as a message does: "a number", "a list of texts".
func (k Kind) String() string {
	if k.list == 0 {
		return k.name
	}
	of := map[string]string{Number.name: "numbers", Text.name: "texts", Bool.name: "true or false", Other.name: "composites"}[k.name]
	return "a list of " + strings.Repeat("lists of ", k.list-1) + of
}

// fits tells whether a value of a receipt is of kind k.
func (k Kind) fits(value any) bool {
	if k.list > 0 {
		_, ok := value.([]any)
		return ok
	}
	switch value.(type) {
	case int, float64:
		return k == Number
	case string:
		return k == Text
	case bool:
		return k == Bool
	}
	return false
}
