package lsp

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/tasks"
)

// cursor is where the cursor stands in the texts of the tests.
const cursor = "▮"

func newServer(t testing.TB) *server {
	t.Helper()
	language, err := docs.ReadLanguage()
	if err != nil {
		t.Fatal(err)
	}
	return &server{Options: Options{Tasks: tasks.All(), Language: language, Log: slog.New(slog.DiscardHandler)}, guide: newGuide(language)}
}

// at returns the document without its cursor, and a request for that place.
func at(t testing.TB, text string) (*document, params) {
	t.Helper()
	before, after, ok := strings.Cut(text, cursor)
	if !ok {
		t.Fatalf("there is no cursor in\n%s", text)
	}
	doc := newDocument("file:///plans/plan.yaml", "yaml", 1, before+after)
	return doc, params{Position: doc.position(len(before))}
}

const head = `version: 1
name: demo
env:
  DSN: { secret: true, summary: the database }
  ENVIRONMENT: { default: test }
contacts:
  - { role: "Ärzte 👩‍⚕️", reach: "#a" }
phases:
  - name: first
    irreversible: because
    gates:
      - { id: approve, task: gate/approval, with: { environment: x } }
    steps:
      - id: copy
        summary: A copy of all
        task: postgres/backup
        with: { dsn: "${{ env.DSN }}", directory: b }
`

// completions are cases: what is offered at the cursor behind head, first some
// labels that have to be there, then some that must not.
var completions = map[string]struct {
	text    string
	has     string
	hasNot  string
	written string // the text once the first of has is taken, from the cursor's line
}{
	"keys of a plan":                     {"pro▮", "probes, summary", "phases, env, name, steps", "probes:"},
	"keys of a phase":                    {"  - name: second\n    ▮", "downtime, steps, gates, rollback", "name, id, task", "    downtime: "},
	"keys of a new phase":                {"  - ▮", "name", "id", "  - name: "},
	"keys of a phase above others":       {"  - dow▮\n    name: second\n", "downtime", "name", "  - downtime: "},
	"keys of a step":                     {"  - name: b\n    steps:\n      - id: x\n        ▮", "task, with, timeout, retry, summary", "id, gates, after", "        task: "},
	"keys of a step between others":      {"  - name: b\n    steps:\n      - id: x\n        ▮\n        task: host/disk\n        with: {}\n", "timeout", "id, task, with", "        timeout: "},
	"keys of a hook":                     {"  - name: b\n    rollback:\n      - id: x\n        ▮", "after", "", "        after:"},
	"keys of retry":                      {"  - name: b\n    steps:\n      - id: x\n        retry: { ▮ }", "times, wait", "", "        retry: { times:  }"},
	"keys of a task":                     {"  - name: b\n    steps:\n      - id: x\n        task: host/disk\n        with:\n          ▮", "path, min", "id, dsn", "          path: "},
	"keys of a task above others":        {"  - name: b\n    steps:\n      - id: x\n        task: host/disk\n        with:\n          ▮\n          min: 5GB\n", "path", "min", "          path: "},
	"keys of a task before it is named":  {"  - name: b\n    steps:\n      - { id: x, with: { ▮ }, task: host/disk }", "path, min", "id", "      - { id: x, with: { path:  }, task: host/disk }"},
	"keys of a task in braces not ended": {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { p▮\n", "path", "id", "      - { id: x, task: host/disk, with: { path: "},
	"a key that has a value already":     {"  - name: b\n    steps:\n      - id: x\n        ta▮: host/disk\n", "task", "id", "        task: host/disk"},
	"keys of a variable":                 {"▮\nenv:\n", "summary", "", "summary: "},
	"tasks for a step":                   {"  - name: b\n    steps:\n      - id: x\n        task: ▮", "host/disk, postgres/swap", "gate/approval", "        task: host/disk"},
	"tasks for a gate":                   {"  - name: b\n    gates:\n      - { id: x, task: gate/▮ }", "gate/approval, postgres/ready", "postgres/swap", "      - { id: x, task: gate/approval }"},
	"tasks over another":                 {"  - name: b\n    steps:\n      - id: x\n        task: pos▮tgres/backup", "host/disk", "", "        task: host/disk"},
	"words":                              {"  - name: b\n    on_failure: ▮", "halt, rollback", "first", "    on_failure: halt"},
	"true and false":                     {"  - name: b\n    keep_going: t▮", "true, false", "", "    keep_going: true"},
	"secrets":                            {"  - name: b\n    steps:\n      - id: x\n        task: postgres/ready\n        with: { dsn: ▮ }", "DSN", "ENVIRONMENT", `        with: { dsn: "${{ env.DSN }}" }`},
	"what a reference begins with":       {"  - name: b\n    steps:\n      - id: x\n        task: host/disk\n        with: { path: \"${{ ▮ }}\" }", "env, steps, run.id, plan.digest", "DSN", `        with: { path: "${{ env. }}" }`},
	"variables":                          {"  - name: b\n    steps:\n      - id: x\n        task: host/disk\n        with: { path: \"${{ env.▮ }}\" }", "ENVIRONMENT", "DSN", `        with: { path: "${{ env.ENVIRONMENT }}" }`},
	"secret variables":                   {"  - name: b\n    steps:\n      - id: x\n        task: postgres/ready\n        with: { dsn: \"${{ env.▮ }}\" }", "DSN", "ENVIRONMENT", `        with: { dsn: "${{ env.DSN }}" }`},
	"earlier steps":                      {"  - name: b\n    steps:\n      - { id: one, task: host/disk }\n      - id: x\n        task: host/disk\n        with: { path: \"${{ steps.▮ }}\" }\n      - { id: later, task: host/disk }", "copy, approve, one", "x, later", `        with: { path: "${{ steps.copy }}" }`},
	"steps for a gate":                   {"  - name: b\n    gates:\n      - { id: g, task: gate/assert, with: { that: steps.▮ } }\n    steps:\n      - { id: one, task: host/disk }", "copy, approve", "g, one, env", `      - { id: g, task: gate/assert, with: { that: steps.copy } }`},
	"steps for a hook":                   {"  - name: b\n    rollback:\n      - { id: h, task: host/disk, with: { path: \"${{ steps.▮ }}\" } }\n    steps:\n      - { id: one, task: host/disk }", "copy, one", "h", `      - { id: h, task: host/disk, with: { path: "${{ steps.copy }}" } }`},
	"fields of a receipt":                {"  - name: b\n    steps:\n      - id: x\n        task: host/disk\n        with: { path: \"${{ steps.copy.▮", "file", "dsn, approve", ""},
	"fields in an expression":            {"  - name: b\n    gates:\n      - id: g\n        task: gate/assert\n        with:\n          that: |\n            1 == 1 &&\n            steps.copy.▮ > 0\n", "file", "dsn", ""},
	"steps on which a hook depends":      {"  - name: b\n    steps:\n      - { id: one, task: host/disk }\n    rollback:\n      - { id: h, after: [▮] }", "one", "copy, h", "      - { id: h, after: [one] }"},
	"rules to ignore":                    {"# phasegate:ignore ▮", "no-probe, contacts", "unknown-key", ""},
	"nothing in a comment":               {"# t▮", "", "name, true", ""},
	"nothing in a text":                  {"  - name: b\n    summary: e▮", "", "env, name", ""},
	"nothing below a word":               {"  - name: b\n    steps:\n      - id: x\n        task: host/disk\n          h▮", "", "host/disk, path", ""},
}

func TestCompletionOffersWhatMayStandAtTheCursor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, c := range completions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, ending := range []string{"\n", "\r\n"} {
				doc, p := at(t, strings.ReplaceAll(head+c.text, "\n", ending))
				items := s.complete(doc, p).(completionList).Items
				var labels []string
				for _, item := range items {
					labels = append(labels, item.Label)
				}
				for _, want := range list(c.has) {
					if !slices.Contains(labels, want) {
						t.Errorf("%s is not offered, only %v", want, labels)
					}
				}
				for _, not := range list(c.hasNot) {
					if slices.Contains(labels, not) {
						t.Errorf("%s is offered", not)
					}
				}
				if c.written == "" || len(items) == 0 {
					continue
				}
				taken := items[max(0, slices.Index(labels, list(c.has)[0]))]
				after := doc.edited(2, []contentChange{{Range: &taken.TextEdit.Range, Text: taken.TextEdit.NewText}})
				if got := after.line(p.Position.Line); got != c.written {
					t.Errorf("with %s the line is %q, not %q", taken.Label, got, c.written)
				}
			}
		})
	}
}

func list(names string) []string {
	if names == "" {
		return nil
	}
	return strings.Split(names, ", ")
}
