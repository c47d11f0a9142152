package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

const (
	header = "version: 1\nname: example\n"
	looks  = "gates: [{ id: stage, task: host/disk, with: { path: \".\", min: 5GB } }]"
)

// frames put one key of a mapping, or several in one line, into a plan in which
// the mapping stands. base is what the mapping has when the key is not of it.
var frames = map[string]struct{ base, frame string }{
	"A plan":                    {"version: 1|name: example|phases: [{ name: one, " + looks + " }]", "%"},
	"A variable, under env":     {"", header + "env: { NAME: { % } }\nphases: [{ name: one, " + looks + " }]\n"},
	"A contact, under contacts": {"role: a team|reach: a channel", header + "contacts: [{ % }]\nphases: [{ name: one, " + looks + " }]\n"},
	"A probe, under probes": {
		"name: page|url: \"http://localhost/\"",
		header + "env: { API_URL: { default: \"http://localhost\" } }\nprobes: [{ % }]\nphases: [{ name: one, " + looks + " }]\n",
	},
	"A phase, under phases": {"name: one|" + looks, header + "phases: [{ % }]\n"},
	"A step, under gates, steps or rollback": {
		"id: two|task: host/disk|with: { path: \".\", min: 5GB }",
		header + "phases: [{ name: one, " + looks + ", rollback: [{ % }] }]\n",
	},
	"Retry, of a step": {
		"times: 2",
		header + "phases: [{ name: one, steps: [{ id: two, task: host/disk, with: { path: \".\", min: 5GB }, retry: { % } }] }]\n",
	},
}

func TestEveryExampleOfAKeyIsValid(t *testing.T) {
	t.Parallel()
	source := newSource(root)
	for _, part := range parts() {
		keys, err := source.keys(reflect.Zero(part.typ), nil, task.Fields)
		if err != nil || frames[part.title].frame == "" {
			t.Fatalf("%s: no frame, or %v", part.title, err)
		}
		for _, k := range keys {
			text := framed(part.title, k)
			_, findings := plan.Parse(filepath.Join(root, "plans", "example.yaml"), []byte(text), tasks.All())
			if findings.HasErrors() {
				t.Errorf("the example of %s in %s:\n%s", k.name, part.title, rendered(findings))
			}
		}
	}
}

// framed returns a plan in which the key has its example.
func framed(title string, k key) string {
	separator := ", "
	if title == "A plan" {
		separator = "\n"
	}
	lines := []string{k.name + ": " + k.example}
	for line := range strings.SplitSeq(frames[title].base, "|") {
		if line != "" && !strings.HasPrefix(line, k.name+":") {
			lines = append(lines, line)
		}
	}
	return strings.Replace(frames[title].frame, "%", strings.Join(lines, separator), 1) + "\n"
}
