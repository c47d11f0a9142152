package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

// errUnreadable is that of a file which an editor cannot read as YAML, or not as
// what JSON can hold: no schema is asked then.
var errUnreadable = errors.New("not YAML")

// editor judges plans as an editor with the schema does.
type editor struct{ schema *jsonschema.Schema }

func newEditor(t *testing.T, set task.Set) editor {
	t.Helper()
	files, err := generate(root, set)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(files, func(f file) bool { return strings.HasSuffix(f.name, "plan.schema.json") })
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(files[i].content)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("plan.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("plan.schema.json") // itself held against the schema of schemas
	if err != nil {
		t.Fatal(err)
	}
	return editor{schema}
}

func (e editor) judge(path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var value any
	if err := yaml.Unmarshal(src, &value); err != nil {
		return errUnreadable
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return errUnreadable
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		return errUnreadable
	}
	return e.schema.Validate(document)
}

func TestAnEditorAcceptsEveryGoodPlan(t *testing.T) {
	t.Parallel()
	shipped, toys := newEditor(t, tasks.All()), newEditor(t, plantest.Tasks())
	for pattern, editor := range map[string]editor{
		"plans/*.yaml": shipped, "runner/plan/testdata/good/*.yaml": toys,
	} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			if err := editor.judge(file); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// TestAnEditorFindsWhatASchemaCanSay holds every bad plan against the schema, and
// keeps the list of the rules of which it finds no case, or not all.
func TestAnEditorFindsWhatASchemaCanSay(t *testing.T) {
	t.Parallel()
	editor := newEditor(t, plantest.Tasks())
	files, err := filepath.Glob(filepath.Join(root, "runner/plan/testdata/bad/*.yaml"))
	if err != nil || len(files) < 200 {
		t.Fatalf("%d bad plans, %v", len(files), err)
	}
	found, missed := map[string]int{}, map[string]int{}
	for _, file := range files {
		_, findings, err := plan.Load(file, plantest.Tasks())
		if err != nil || len(findings) == 0 {
			t.Fatalf("%s: %d findings, %v", file, len(findings), err)
		}
		if strings.Contains(file, "several-") {
			continue
		}
		switch err := editor.judge(file); {
		case errors.Is(err, errUnreadable):
		case err == nil:
			missed[findings[0].Rule]++
		default:
			found[findings[0].Rule]++
		}
	}
	var never, partly []string
	for _, rule := range slices.Sorted(maps.Keys(missed)) {
		if found[rule] == 0 {
			never = append(never, rule)
		} else {
			partly = append(partly, rule)
		}
	}
	page := strings.Join(strings.Fields(documents(t)["docs/plan.md"]), " ")
	for _, want := range []string{
		"It finds nothing of: " + strings.Join(never, ", ") + ".", "It finds a part of: " + strings.Join(partly, ", ") + ".",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/plan.md does not say: %s", want)
		}
	}
}
