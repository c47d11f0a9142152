package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// editedPlan has, left of what is asked about, characters of one, two and four
// bytes, which are one or two units of UTF-16.
const editedPlan = `version: 1
name: demo
env:
  DSN: { secret: true, summary: "die Datenbank 🚀" }
contacts:
  - { role: "Ärztin 👩‍⚕️", reach: "#oncall" }
phases:
  - name: look
    summary: "Größe 🚀 prüfen"
    gates:
      - { summary: "Ärztin 👩‍⚕️ fragen", id: ask, task: gate/approval, with: { signers: "größe.txt" } }
    steps:
      - { id: ready, task: postgres/ready, with: { dsn: "${{ env.DSN }}" } }
      - { summary: "größer 🚀", id: page, task: web/check, with: { url: "http://localhost/🚀/${{ steps.ready.databose }}", stotus: 200 } }
`

// A whole session, as an editor has it: findings, edits of both kinds, and each
// of the questions, on lines that are not ASCII.
func TestEditorHasASessionWithTheLanguageServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	signers := filepath.Join(dir, "größe.txt")
	if err := os.WriteFile(signers, []byte("ops ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP1yQ4xOPcq1w9eQ0nEoFqRZ1nJ0m3HcRk6T3v8Q5v5b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	uri := uriOf(filepath.Join(dir, "plan.yaml"))
	e := newEditor(t)

	e.open(uri, editedPlan)
	if got := codes(e.findings(uri, 1)); !slices.Equal(got, []string{"unknown-field", "unknown-key"}) {
		t.Fatalf("the findings are %v", got)
	}
	text := e.mendsWords(uri)
	e.editsWhole(uri, text)
	e.asks(uri, text)
	e.leave()
}

func codes(found []diagnosed) []string {
	var all []string
	for _, d := range found {
		all = append(all, d.Code)
	}
	return all
}

// mendsWords takes the quick fixes of the first version one by one, as
// incremental edits, and returns the text with none of the mistakes.
func (e *editor) mendsWords(uri string) string {
	e.Helper()
	for i, c := range []struct{ wrong, right, rule string }{{"stotus", "status", ""}, {"databose", "database", "unknown-key"}} {
		from := placeBehind(e, editedPlan, strings.Split(editedPlan, c.wrong)[0])
		want := spanned{from, place{from.Line, from.Character + len(c.wrong)}}
		var actions []struct {
			Title, Kind string
			Diagnostics []diagnosed
			Edit        struct {
				Changes map[string][]struct {
					Range   spanned
					NewText string
				}
			}
		}
		e.call("textDocument/codeAction", m{"textDocument": m{"uri": uri}, "range": want, "context": m{"diagnostics": []m{}}}, &actions)
		if len(actions) != 1 || actions[0].Kind != "quickfix" || actions[0].Diagnostics[0].Range != want {
			e.Fatalf("for %s it offers %+v, where %+v is wanted", c.wrong, actions, want)
		}
		edit := actions[0].Edit.Changes[uri][0]
		if edit.Range != want || edit.NewText != c.right {
			e.Fatalf("it would change %+v to %s, not %+v to %s", edit.Range, edit.NewText, want, c.right)
		}
		e.change(uri, 2+i, m{"range": edit.Range, "text": edit.NewText})
	}
	if found := e.findings(uri, 3); len(found) > 0 {
		e.Errorf("once the words are mended it says %+v", found)
	}
	return strings.NewReplacer("databose", "database", "stotus", "status").Replace(editedPlan)
}

// editsWhole replaces the text by one with a mistake, and puts it back.
func (e *editor) editsWhole(uri, text string) {
	e.Helper()
	e.change(uri, 4, m{"text": strings.Replace(text, "id: page", "id: ready", 1)})
	found := e.findings(uri, 4)
	if len(found) != 1 || found[0].Code != "duplicate-name" || len(found[0].RelatedInformation) != 1 {
		e.Fatalf("it says %+v", found)
	}
	d := found[0]
	if d.Range.Start != placeBehind(e, text, `"größer 🚀", id: `) || d.Severity != 1 || d.Source != "phasegate" ||
		!strings.HasSuffix(d.CodeDescription.Href, "/docs/rules.md#duplicate-name") {
		e.Errorf("it says %+v", d)
	}
	if at := d.RelatedInformation[0].Location; at.URI != uri || at.Range.Start.Line != placeBehind(e, text, "{ id: ready").Line {
		e.Errorf("the first one is said to be at %+v", at)
	}
	e.change(uri, 5, m{"text": text})
	if found := e.findings(uri, 5); len(found) > 0 {
		e.Errorf("once it is put back it says %+v", found)
	}
}

// asks puts each question about a place, and changes nothing.
func (e *editor) asks(uri, text string) {
	e.Helper()
	behind := func(before string) m {
		return m{"textDocument": m{"uri": uri}, "position": placeBehind(e, text, before)}
	}
	var offered struct {
		Items []struct {
			Label, Detail string
			Documentation struct{ Value string }
		}
	}
	e.call("textDocument/completion", behind("🚀/${{ steps.ready."), &offered)
	if len(offered.Items) == 0 || offered.Items[0].Label != "database" || offered.Items[0].Detail != "text" ||
		offered.Items[0].Documentation.Value != "name of the database" {
		e.Errorf("of the receipt it offers %+v", offered.Items)
	}
	var shown struct {
		Contents struct{ Kind, Value string }
		Range    spanned
	}
	e.call("textDocument/hover", behind("🚀/${{ steps.ready.d"), &shown)
	if !strings.Contains(shown.Contents.Value, "**steps.ready.database**: text\n\nname of the database") || shown.Range.Start != placeBehind(e, text, "🚀/${{ ") {
		e.Errorf("on the reference it shows %+v", shown)
	}
	e.call("textDocument/hover", behind("🚀\", id: page, task: web/c"), &shown)
	if !strings.Contains(shown.Contents.Value, "**web/check** (looks)") || !strings.Contains(shown.Contents.Value, "`status`") {
		e.Errorf("on the task it shows %+v", shown)
	}
	var at located
	e.call("textDocument/definition", behind("🚀/${{ steps.re"), &at)
	if at.URI != uri || at.Range.Start != placeBehind(e, text, "- { id: ") {
		e.Errorf("the step is said to be at %+v", at)
	}
	e.call("textDocument/definition", behind("${{ env.D"), &at)
	if at.Range.Start != placeBehind(e, text, "env:\n  ") {
		e.Errorf("the variable is said to be at %+v", at)
	}
	e.call("textDocument/definition", behind(`signers: "gr`), &at)
	if !strings.HasSuffix(at.URI, "/gr%C3%B6%C3%9Fe.txt") {
		e.Errorf("the file is said to be %+v", at)
	}
	var nothing any = "something"
	if e.call("textDocument/definition", behind("version"), &nothing); nothing != nil {
		e.Errorf("the version is said to be defined at %v", nothing)
	}
	e.sees(uri, text)
}

// sees asks for the outline.
func (e *editor) sees(uri, text string) {
	e.Helper()
	type symbol struct {
		Name, Detail   string
		SelectionRange spanned
		Children       []symbol
	}
	var symbols []symbol
	e.call("textDocument/documentSymbol", m{"textDocument": m{"uri": uri}}, &symbols)
	if len(symbols) != 2 || symbols[0].Name != "DSN" || symbols[1].Name != "look" || len(symbols[1].Children) != 3 {
		e.Fatalf("the symbols are %+v", symbols)
	}
	last := symbols[1].Children[2]
	if last.Name != "page" || last.Detail != "web/check" || last.SelectionRange.Start != placeBehind(e, text, "größer 🚀\", id: ") {
		e.Errorf("the last step is %+v", last)
	}
}
