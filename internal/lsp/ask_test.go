package lsp

import (
	"strings"
	"testing"
)

// hovers are cases: the cursor in a text behind head, and what is shown, "" for
// nothing.
var hovers = map[string]struct{ text, shows string }{
	"a key of the plan":        {"nam▮e2: x", ""},
	"a key of a phase":         {"  - name: b\n    downti▮me: 5m", "**downtime**: duration, at least 1ms\n\nThe longest outage"},
	"its value":                {"  - name: b\n    on_failure: ha▮lt", "**on_failure**: halt, rollback, default halt"},
	"a key of a task":          {"  - name: b\n    steps:\n      - { id: x, with: { pa▮th: . }, task: host/disk }", "**path**: text, required\n\na file or directory"},
	"a task":                   {"  - name: b\n    steps:\n      - { id: x, task: host/▮disk }", "**host/disk** (looks)\n\nHolds that enough space"},
	"a task that is unknown":   {"  - name: b\n    steps:\n      - { id: x, task: host/▮dis }", "**task**: name of a task, required"},
	"a variable":               {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"/🚀/${{ env.ENVIRON▮MENT }}\" } }", "**env.ENVIRONMENT**: text, default test"},
	"a secret":                 {"  - name: b\n    steps:\n      - { id: x, task: postgres/ready, with: { dsn: \"${{ env▮.DSN }}\" } }", "**env.DSN**: secret variable\n\nthe database"},
	"a receipt":                {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"${{ steps.co▮py }}\" } }", "**steps.copy**: the receipt of postgres/backup\n"},
	"a field":                  {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"${{ steps.copy.fi▮le }}\" } }", "**steps.copy.file**: text\n\nabsolute path of the backup\n\nOf the receipt of postgres/backup."},
	"a field of an expression": {"  - name: b\n    gates:\n      - id: g\n        task: gate/assert\n        with:\n          that: |\n            steps.copy.fil▮e != \"\"", "**steps.copy.file**: text"},
	"a reference to nothing":   {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"${{ steps.no▮thing.x }}\" } }", ""},
	"the run":                  {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"${{ run.i▮d }}\" } }", "**run.id**: text"},
	"an escaped reference":     {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"$${{ run.i▮d }}\" } }", "**path**"},
	"a word of a text":         {"  - name: b\n    summary: about env.D▮SN", "**summary**"},
	"an ignored rule":          {"# phasegate:ignore con▮tacts for a test\n", "**contacts**: warning"},
	"a comment":                {"# con▮tacts\n", ""},
	"between words":            {"\n▮\n", ""},
}

func TestHoverShowsWhatAWordMeans(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, c := range hovers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, p := at(t, head+c.text)
			shown, _ := s.hover(doc, p).(hover)
			if c.shows == "" {
				if shown.Contents != nil {
					t.Errorf("it shows %s", shown.Contents.Value)
				}
				return
			}
			if shown.Contents == nil || !strings.HasPrefix(shown.Contents.Value, c.shows) {
				t.Fatalf("it shows %+v", shown.Contents)
			}
			if at := doc.offset(p.Position); at < doc.offset(shown.Range.Start) || at > doc.offset(shown.Range.End) {
				t.Errorf("it is about %+v, where the cursor is not", shown.Range)
			}
		})
	}
}

// definitions are cases: the cursor, and the text that is gone to, with the line
// before it, "" for nowhere.
var definitions = map[string]struct{ text, leads string }{
	"a variable":           {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"${{ env.ENVIRON▮MENT }}\" } }", "ENVIRONMENT: { default: test }"},
	"a step":               {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"${{ steps.copy.fi▮le }}\" } }", "copy\n        summary"},
	"an expression's step": {"  - name: b\n    gates:\n      - id: g\n        task: gate/assert\n        with: { that: steps.appr▮ove.approved }", "approve, task: gate/approval"},
	"a hook's step":        {"  - name: b\n    rollback:\n      - { id: h, task: host/disk, after: [co▮py] }", "copy\n        summary"},
	"a declaration":        {"▮", ""},
	"the run":              {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"${{ run.i▮d }}\" } }", ""},
	"a step that is not":   {"  - name: b\n    steps:\n      - { id: x, task: host/disk, with: { path: \"${{ steps.n▮o.x }}\" } }", ""},
	"a file that is not":   {"  - name: b\n    gates:\n      - { id: x, task: gate/approval, with: { signers: sig▮ners } }", ""},
	"a key":                {"  - na▮me: b", ""},
}

func TestDefinitionLeadsToWhatIsNamed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, c := range definitions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, p := at(t, head+c.text)
			there, ok := s.define(doc, p).(location)
			if ok != (c.leads != "") {
				t.Fatalf("it leads to %+v", there)
			}
			if ok && !strings.HasPrefix(doc.text[doc.offset(there.Range.Start):], c.leads) {
				t.Errorf("it leads to %+v", there)
			}
		})
	}
}
