package docs

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed language.json
var language []byte

// A Language is what the sources say of every key of a plan and of every task,
// for programs that help to write plans. `make generate` writes it.
type Language struct {
	Keys  []Key      `json:"keys"` // of a plan
	Tasks []TaskPage `json:"tasks"`
}

// A TaskPage is what the sources say of one task.
type TaskPage struct {
	Name    string `json:"name"` // "system/verb"
	Kind    string `json:"kind"` // changes, looks or gate
	Doc     string `json:"doc"`  // Markdown
	Keys    []Key  `json:"keys,omitempty"`
	Receipt []Key  `json:"receipt,omitempty"`
}

// A Key is a key of a configuration, or a field of a receipt.
type Key struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`            // in a user's words
	Holds    string   `json:"holds,omitempty"` // one of the constants below
	Doc      string   `json:"doc"`             // one line
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty"`
	Example  string   `json:"example,omitempty"`
	Words    []string `json:"words,omitempty"` // that it, or an item of it, may be
	Keys     []Key    `json:"keys,omitempty"`  // of what it holds
}

// What a key holds, beside a single value, which is "".
const (
	List   = "list"
	Map    = "map"    // whose keys the plan's author names
	Object = "object" // with the keys of Key.Keys
	Config = "config" // with the keys of the step's task
)

// ReadLanguage returns the language of this build.
func ReadLanguage() (Language, error) {
	var l Language
	if err := json.Unmarshal(language, &l); err != nil {
		return l, fmt.Errorf("read the embedded language: %w", err)
	}
	return l, nil
}
