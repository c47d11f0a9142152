package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/sethvargo/go-envconfig"

	"github.com/medlogistics/phasegate/runner/journal"
)

// page is what docs/journal.md shows, by the language of its blocks.
func page(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/journal.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string][]string{}
	for _, match := range regexp.MustCompile("(?s)\n```([a-z]+)\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
		blocks[match[1]] = append(blocks[match[1]], match[2])
	}
	if len(blocks["yaml"]) != 1 || len(blocks["jsonl"]) != 1 || len(blocks["json"]) != 2 || len(blocks) != 3 {
		t.Fatalf("the page shows %d kinds of blocks: a plan, its journal, a state and an audit are wanted", len(blocks))
	}
	return blocks
}

func TestJournalPageShowsARealRunThatFitsItsSchema(t *testing.T) {
	t.Parallel()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	fits := func(part, text string) {
		schema, err := compiler.Compile("../../docs/journal.schema.json" + part)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
	blocks := page(t)
	var lines [][]byte
	for line := range strings.Lines(blocks["jsonl"][0]) {
		fits("", line)
		lines = append(lines, []byte(strings.TrimSuffix(line, "\n")))
	}
	fits("#/$defs/state", blocks["json"][0])
	fits("#/$defs/audit", blocks["json"][1])
	var first journal.Event
	if err := json.Unmarshal(lines[0], &first); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Verify(first.Run, lines); err != nil {
		t.Error(err)
	}
}

// The page's plan is carried out. What it then says of it is the page's, but for
// times, hashes of events, sizes and the machine.
func TestJournalPageSaysWhatPhasegateSays(t *testing.T) {
	blocks := page(t)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("plan.yaml", []byte(blocks["yaml"][0]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says := func(args ...string) string {
		var out, err bytes.Buffer
		around := Surroundings{Out: &out, Err: &err, Lookup: envconfig.MapLookuper(nil), Account: "ops"}
		if code := Main(args, around); code != ExitDone {
			t.Fatalf("%v: exit code %d: %s", args, code, err.String())
		}
		return strings.TrimSpace(out.String())
	}
	events := says("run", "plan.yaml", "--json")
	runs, err := filepath.Glob("phasegate-runs/2*")
	if err != nil || len(runs) != 1 {
		t.Fatalf("%v, %v", runs, err)
	}
	run := filepath.Base(runs[0])
	ours, pages := strings.Split(events, "\n"), strings.Split(blocks["jsonl"][0], "\n")
	ours = append(ours, says("status", run, "--json"), says("audit", run, "--json"))
	pages = append(pages, blocks["json"]...)
	if len(ours) != len(pages) {
		t.Fatalf("%d lines, and the page has %d", len(ours), len(pages))
	}
	for i := range ours {
		if got, want := lasting(t, ours[i]), lasting(t, pages[i]); !reflect.DeepEqual(got, want) {
			t.Errorf("the page has\n%v\nand phasegate says\n%v", want, got)
		}
	}
}

// lasting is JSON without what differs from run to run.
func lasting(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return steady(value)
}

var changing = regexp.MustCompile(`^(time|run|prev|pid|host|by|initiator|version|free_bytes|total_bytes|began|last_seen|since|duration_ms|last)$`)

func steady(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			path, ok := inner.(string)
			if value[name] = steady(inner); changing.MatchString(name) || ok && filepath.IsAbs(path) {
				delete(value, name)
			}
		}
		if detail, ok := value["detail"].(string); ok {
			value["detail"] = regexp.MustCompile(`SHA-256 [0-9a-f]{64}`).ReplaceAllString(detail, "SHA-256")
		}
	case []any:
		for i := range value {
			value[i] = steady(value[i])
		}
	}
	return value
}
