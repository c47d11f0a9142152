package lsp

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

// Every quick fix that is offered for the bad plans mends what it is offered for,
// and is offered wherever a word was meant.
func TestQuickFixesMendTheBadPlans(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../runner/plan/testdata/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	s.Tasks = plantest.Tasks()
	offered := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		doc := newDocument("file://"+absolute, "phasegate", 1, string(text))
		for _, f := range doc.check(s.Tasks) {
			word, ok := f.Meant()
			if !ok {
				continue
			}
			at := doc.position(doc.byteOf(f.Pos))
			action := actionFor(s, doc, at, "Change to "+word)
			if action == nil {
				t.Errorf("%s: nothing is offered for\n%s", path, f.Render())
				continue
			}
			offered++
			mended := doc
			for _, edit := range action.Edit.Changes[doc.uri] {
				mended = mended.edited(2, []contentChange{{Range: &edit.Range, Text: edit.NewText}})
			}
			if left := about(mended.check(s.Tasks), f); left != nil {
				t.Errorf("%s: with %q it says\n%s", path, action.Title, left.Render())
			}
		}
	}
	if offered < 20 {
		t.Errorf("only %d fixes are offered", offered)
	}
}

func actionFor(s *server, doc *document, at position, title string) *codeAction {
	for _, action := range s.fixes(doc, params{Range: textRange{at, at}}).([]codeAction) {
		if action.Title == title && action.Diagnostics[0].Range.Start == at {
			return &action
		}
	}
	return nil
}

// about is a finding like f at its place, or nil.
func about(found plan.Diagnostics, f plan.Diagnostic) *plan.Diagnostic {
	for _, other := range found {
		if other.Pos == f.Pos && other.Rule == f.Rule && other.Message == f.Message {
			return &other
		}
	}
	return nil
}
