package cli

import (
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/tasks"
)

// shipped are the plans that ship, and one that tries to break out of a drawing.
func shipped(t *testing.T) map[string]*plan.Plan {
	t.Helper()
	paths, err := filepath.Glob("../../plans/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("plans %v, error %v", paths, err)
	}
	all := map[string]*plan.Plan{}
	for _, path := range append(paths, "testdata/odd.yaml") {
		p, findings, err := plan.Load(path, tasks.All())
		if err != nil || p == nil {
			t.Fatalf("%s: %v %v", path, err, findings)
		}
		all[path] = p
	}
	return all
}

func everyStep(p *plan.Plan) []string {
	var ids []string
	for _, phase := range p.Phases {
		for _, list := range [][]plan.Step{phase.Gates, phase.Steps, phase.Rollback} {
			for _, step := range list {
				ids = append(ids, step.ID)
			}
		}
	}
	return ids
}

func TestAGraphInSVGIsWellFormedAndShowsEveryStep(t *testing.T) {
	t.Parallel()
	for path, p := range shipped(t) {
		drawn := svg(p)
		var words strings.Builder
		for decoder := xml.NewDecoder(strings.NewReader(drawn)); ; {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			switch token := token.(type) {
			case xml.CharData:
				words.Write(token)
			case xml.StartElement:
				if token.Name.Local == "script" {
					t.Errorf("%s: a plan's text became markup", path)
				}
			}
		}
		for _, id := range everyStep(p) {
			if !strings.Contains(words.String(), id) {
				t.Errorf("%s: step %s is not shown", path, id)
			}
		}
	}
}

// Mermaid's grammar of a line, as far as it is used here:
// https://mermaid.js.org/syntax/flowchart.html.
var mermaidLine = regexp.MustCompile(`^(flowchart TB|  subgraph \w+ \["[^"]*"\]|    direction TB|  end|` +
	` +\w+(\{\{"[^"]*"\}\}|\["[^"]*"\]|\[/"[^"]*"/\]|\(\["?[^"]*"?\]\))| +\w+ (-->|-\.->|-\. "[^"]*" \.->) \w+)$`)

func TestAGraphInMermaidKeepsToItsGrammarAndShowsEveryStep(t *testing.T) {
	t.Parallel()
	for path, p := range shipped(t) {
		drawn := mermaid(p)
		open := 0
		for line := range strings.Lines(drawn) {
			line = strings.TrimSuffix(line, "\n")
			if !mermaidLine.MatchString(line) {
				t.Errorf("%s: %q", path, line)
			}
			switch {
			case strings.HasPrefix(line, "  subgraph"):
				open++
			case line == "  end":
				open--
			}
		}
		if open != 0 {
			t.Errorf("%s: %d boxes are not closed", path, open)
		}
		for _, id := range everyStep(p) {
			if !strings.Contains(drawn, `"`+id+`"`) {
				t.Errorf("%s: step %s is not shown", path, id)
			}
		}
	}
}
