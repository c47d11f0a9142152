package lsp

import (
	"net/url"
	"os"
	"path/filepath"

	"github.com/medlogistics/phasegate/runner/plan/outline"
)

// define answers textDocument/definition: null where nothing is named.
func (s *server) define(doc *document, p params) any {
	at := doc.offset(p.Position)
	place := doc.outline().At(at)
	here := s.guide.at(place)
	if place.Token == nil || place.IsKey {
		return nil
	}
	if m, ok := mentionAt(doc, at, here.key != nil && here.key.Type == "condition"); ok {
		if target := targetOf(doc, m); target != nil {
			return location{doc.uri, doc.spanOf(target)}
		}
		return nil
	}
	switch {
	case here.key == nil:
	case here.task == nil && here.key.Name == "after":
		_, step := s.guide.receiptOf(stepsOf(doc.outline()), place.Token.Word())
		if step != nil {
			return location{doc.uri, doc.spanOf(step.id)}
		}
	case here.key.Type == "path":
		return fileAt(doc, place.Token.Word())
	}
	return nil
}

// targetOf is the id of the step, or the declaration of the variable, that a
// reference names, or nil.
func targetOf(doc *document, m mention) *outline.Node {
	switch m.root {
	case "env":
		for _, v := range variables(doc.outline()) {
			if v.Key.Text == m.name {
				return v.Key
			}
		}
	case "steps":
		for _, step := range stepsOf(doc.outline()) {
			if step.id.Text == m.name {
				return step.id
			}
		}
	}
	return nil
}

// fileAt is the start of the file that a plan names, or null if there is none: an
// editor cannot open a directory.
func fileAt(doc *document, name string) any {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(doc.path()), name)
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil
	}
	return location{URI: (&url.URL{Scheme: "file", Path: filepath.ToSlash(absolute)}).String()}
}
