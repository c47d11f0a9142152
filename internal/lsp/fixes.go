package lsp

import (
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/plan"
)

// fixes answers textDocument/codeAction: the words that were meant, for the
// findings in a range.
func (s *server) fixes(doc *document, p params) any {
	actions := []codeAction{}
	if len(p.Context.Only) > 0 && !slices.Contains(p.Context.Only, quickFix) {
		return actions
	}
	from, to := doc.offset(p.Range.Start), doc.offset(p.Range.End)
	for _, f := range doc.check(s.Tasks) {
		start := doc.byteOf(f.Pos)
		end := doc.forward(start, f.Width)
		word, ok := f.Meant()
		if !ok || end < from || start > to {
			continue
		}
		if start, end = wordMeant(doc.text, start, end, word); start == end {
			continue
		}
		actions = append(actions, codeAction{
			Title: "Change to " + word, Kind: quickFix, Diagnostics: []diagnostic{s.asDiagnostic(doc, f)}, IsPreferred: true,
			Edit: workspaceEdit{map[string][]textEdit{doc.uri: {{doc.span(start, end), word}}}},
		})
	}
	return actions
}

// wordMeant returns the word that is to be changed: the token, or what is between
// its quotes, or, where the token is the beginning of a comment, what follows it.
// It is empty if none of them is like the word that was meant.
func wordMeant(text string, start, end int, meant string) (int, int) {
	if end-start >= 2 && (text[start] == '"' || text[start] == '\'') && text[end-1] == text[start] {
		start, end = start+1, end-1
	}
	if strings.HasPrefix(text[start:end], "#") {
		start = end + len(text[end:]) - len(strings.TrimLeft(text[end:], " "))
		end = start + strings.IndexAny(text[start:]+" ", " \r\n")
	}
	if plan.Closest(text[start:end], []string{meant}) == "" {
		return start, start
	}
	return start, end
}
