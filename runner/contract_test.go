package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// contract compiles a part of the journal's published schema. A strict one lets
// nothing through that the schema does not name.
func contract(t *testing.T, part string, strict bool) *jsonschema.Schema {
	t.Helper()
	const name = "../docs/journal.schema.json"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if strict {
		closeObjects(parsed)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(name, parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(name + part)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func closeObjects(node any) {
	switch node := node.(type) {
	case map[string]any:
		if node["type"] == "object" && node["properties"] != nil {
			node["additionalProperties"] = false
		}
		for _, inner := range node {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range node {
			closeObjects(inner)
		}
	}
}

func holds(t *testing.T, schema *jsonschema.Schema, text []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%s\n%v", text, err)
	}
}

// holdsState holds that the fold of a journal's lines is what status may print.
func holdsState(t *testing.T, run string, lines [][]byte) {
	t.Helper()
	events, err := journal.Verify(run, lines)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(journal.Fold(events))
	if err != nil {
		t.Fatal(err)
	}
	holds(t, contract(t, "#/$defs/state", true), text)
}

func TestEveryEventOfARunAndItsRollbackFitsThePublishedSchema(t *testing.T) {
	b := outageBench(t, "10s", 50*time.Millisecond)
	serviceBack := b.world.on["start"]
	b.world.when("start", func(ctx context.Context, env *task.Env) error {
		if err := errors.Join(serviceBack(ctx, env), env.Save(toyReceipt{"half way"})); err != nil {
			return err
		}
		return task.Hint(errors.New("no luck"), "try again")
	})
	b.world.when("back", fails(errors.New("no luck either")))
	state := b.run(t.Context())
	if state.Status != journal.RollbackIncomplete {
		t.Fatalf("%s: %s", state.Status, state.Reason)
	}
	b.world.when("back", nil)
	b.rollback(t.Context())
	lines, err := b.options.Store.Lines(t.Context(), state.Run)
	if err != nil {
		t.Fatal(err)
	}
	schema := contract(t, "", true)
	seen := map[journal.Type]bool{}
	for i, line := range lines {
		holds(t, schema, line)
		seen[b.events[i].Type] = true
	}
	if len(seen) < 10 {
		t.Errorf("only %v", slices.Collect(maps.Keys(seen)))
	}
	holdsState(t, state.Run, lines)
}

func TestEveryJournalEverWrittenFitsThePublishedSchema(t *testing.T) {
	journals, err := filepath.Glob("journal/testdata/golden/*/*.jsonl")
	if err != nil || len(journals) < 5 {
		t.Fatalf("%v, %v", journals, err)
	}
	for _, path := range journals {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		for _, line := range lines {
			holds(t, contract(t, "", true), line)
		}
		var first journal.Event
		if err := json.Unmarshal(lines[0], &first); err != nil {
			t.Fatal(err)
		}
		holdsState(t, first.Run, lines)
	}
}

func TestThePublishedSchemaRefusesWhatIsNoEventAndTakesWhatALaterOneMayAdd(t *testing.T) {
	schema := contract(t, "", false)
	event := func(more string) []byte {
		return fmt.Appendf(nil, `{"seq":1,"time":"2026-11-22T21:51:18Z","run":"r",%s}`, more)
	}
	step := `"phase":"p","step":"s","task":"toy/do","kind":"step","attempt":1`
	holds(t, schema, event(`"type":"step_started",`+step))
	holds(t, schema, event(`"type":"step_started","moon":"full",`+step))
	holds(t, schema, event(`"type":"moon_rose","height":3`))
	for _, wrong := range []string{
		`"type":"step_started","phase":"p"`,
		`"type":"step_finished",` + step,
		`"type":"step_finished","status":"fine",` + step,
		`"type":"step_started",` + strings.Replace(step, `"kind":"step"`, `"kind":"hook"`, 1),
		`"type":"opened"`,
		`"type":7`,
	} {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(event(wrong)))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(value) == nil {
			t.Errorf("%s passes", wrong)
		}
	}
}
