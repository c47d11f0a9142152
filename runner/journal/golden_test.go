package journal

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The golden journals were written by the phasegate of their folder's contract.
// They are never written again: whoever has such a journal must be able to go
// on with it. A new contract gets a folder of its own.
func TestEveryJournalEverWrittenIsReadToTheStateItHadThen(t *testing.T) {
	t.Parallel()
	journals, err := filepath.Glob("testdata/golden/*/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	ofThisContract := 0
	for _, path := range journals {
		if filepath.Base(filepath.Dir(path)) == Contract {
			ofThisContract++
		}
		t.Run(strings.TrimPrefix(path, "testdata/golden/"), func(t *testing.T) {
			t.Parallel()
			want := decoded(t, mustReadFile(t, strings.TrimSuffix(path, ".jsonl")+".state.json"))
			run, _ := want.(map[string]any)["run"].(string)
			got, err := json.Marshal(Fold(reopened(t, run, mustReadFile(t, path))))
			if err != nil {
				t.Fatal(err)
			}
			if lost := missing("state", want, decoded(t, got)); len(lost) > 0 {
				t.Error(strings.Join(lost, "\n"))
			}
		})
	}
	if ofThisContract < 3 {
		t.Errorf("%d golden journals of contract %s: a done run, a rolled-back and an interrupted one are wanted", ofThisContract, Contract)
	}
}

// reopened puts the journal where its run would be and takes the run up.
func reopened(t *testing.T, run string, content []byte) []Event {
	t.Helper()
	dir := NewDir(t.TempDir())
	if err := os.MkdirAll(dir.RunDir(run), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.file(run), content, 0o600); err != nil {
		t.Fatal(err)
	}
	w, events, err := dir.Open(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if len(events) != strings.Count(string(content), "\n") {
		t.Errorf("%d events in %d lines", len(events), strings.Count(string(content), "\n"))
	}
	mustAppend(t, w, Event{Type: Opened, Run: run, Contract: Contract})
	return events
}

func mustReadFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func decoded(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// missing says what of the recorded value is not in the one of today. Fields
// that were added since are none of its business.
func missing(at string, want, got any) (lost []string) {
	switch recorded := want.(type) {
	case map[string]any:
		today, _ := got.(map[string]any)
		for name, value := range recorded {
			lost = append(lost, missing(at+"."+name, value, today[name])...)
		}
	case []any:
		today, _ := got.([]any)
		if len(today) != len(recorded) {
			return []string{fmt.Sprintf("%s: %d, and there were %d", at, len(today), len(recorded))}
		}
		for i, value := range recorded {
			lost = append(lost, missing(fmt.Sprintf("%s[%d]", at, i), value, today[i])...)
		}
	case nil: // there was nothing
	default:
		if !reflect.DeepEqual(want, got) {
			lost = append(lost, fmt.Sprintf("%s: %v, and it was %v", at, got, want))
		}
	}
	return lost
}
