package lsp

import (
	"os"
	"path/filepath"
	"testing"
)

// Wherever the cursor is in a plan, whole or cut off there, every question is
// answered, and a completion replaces what is at the cursor, on its line only, as
// the protocol asks.
func TestEveryQuestionIsAnsweredAnywhere(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	paths, err := filepath.Glob("../../runner/plan/testdata/bad/*.yaml")
	if err != nil || len(paths) < 100 {
		t.Fatalf("there are %d plans: %v", len(paths), err)
	}
	offered := 0
	for _, path := range append(paths, "../../plans/auth0-migration.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(text); at += 1 + len(text)/15 {
			for _, shown := range []string{string(text), string(text[:at])} {
				doc := newDocument("file:///plan.yaml", "yaml", 1, shown)
				p := params{Position: doc.position(at)}
				s.hover(doc, p)
				s.define(doc, p)
				s.symbols(doc, p)
				for _, item := range s.complete(doc, p).(completionList).Items {
					offered++
					r := item.TextEdit.Range
					if r.Start.Line != p.Position.Line || r.End.Line != r.Start.Line || r.Start.Character > p.Position.Character || r.End.Character < p.Position.Character {
						t.Fatalf("%s at %v: %s would replace %v", path, p.Position, item.Label, r)
					}
				}
			}
		}
	}
	if offered < 1000 {
		t.Errorf("only %d words are offered", offered)
	}
}

// Every span of the outline that an editor is shown holds the name in it.
func TestSymbolsOfTheShippedPlan(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../plans/auth0-migration.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc := newDocument("file:///plan.yaml", "yaml", 1, string(text))
	names := map[string]bool{}
	var walk func(list []documentSymbol)
	walk = func(list []documentSymbol) {
		for _, symbol := range list {
			names[symbol.Name] = true
			if got := doc.text[doc.offset(symbol.SelectionRange.Start):doc.offset(symbol.SelectionRange.End)]; got != symbol.Name {
				t.Errorf("%s is at %q", symbol.Name, got)
			}
			if doc.offset(symbol.Range.Start) > doc.offset(symbol.SelectionRange.Start) || doc.offset(symbol.Range.End) < doc.offset(symbol.SelectionRange.End) {
				t.Errorf("%s stands outside of its own range", symbol.Name)
			}
			walk(symbol.Children)
		}
	}
	walk(newServer(t).symbols(doc, params{}).([]documentSymbol))
	for _, name := range []string{"DATABASE_URL", "api", "pre-check", "schema", "stop-api"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
}
