package lsp

import (
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/runner/plan/outline"
)

// A guide knows what may stand where.
type guide struct {
	keys  []docs.Key
	tasks []docs.TaskPage
	named map[string]*docs.TaskPage
}

func newGuide(l docs.Language) *guide {
	g := &guide{keys: l.Keys, tasks: l.Tasks, named: map[string]*docs.TaskPage{}}
	for i := range g.tasks {
		g.named[g.tasks[i].Name] = &g.tasks[i]
	}
	return g
}

// A spot is what the language says of a place in a plan.
type spot struct {
	keys    []docs.Key     // of the mapping at hand, if the place is a key in one
	key     *docs.Key      // in whose value the place is, or which it is
	value   bool           // a single value of key is wanted here, not keys
	task    *docs.TaskPage // of the step around, if it is known
	section string         // gates, steps or rollback; "" outside of a step
	phase   int            // index, -1 outside of one
	step    *outline.Node  // the mapping of the step around, or nil
}

// at follows a place from the root of a plan.
func (g *guide) at(place outline.Place) spot {
	s := spot{phase: -1}
	keys, holds := g.keys, docs.Object
	for i, at := range place.Path {
		if at.In.Kind == outline.List {
			s.enterItem(place.Path, i)
			if holds != docs.List {
				return spot{phase: -1}
			}
			if holds = ""; len(keys) > 0 {
				holds = docs.Object
			}
			continue
		}
		switch holds {
		case docs.Map: // the author's own names
			s.key, s.keys, holds = nil, nil, ""
			if len(keys) > 0 {
				holds = docs.Object
			}
			continue
		case docs.Object:
		default:
			return spot{phase: -1}
		}
		s.keys, s.key = keys, keyNamed(keys, at.Key.Text)
		if s.key == nil {
			return s
		}
		keys, holds = s.key.Keys, s.key.Holds
		if holds == docs.Config {
			if s.task = g.named[at.In.Find("task").Word()]; s.task == nil {
				return s
			}
			keys, holds = s.task.Keys, docs.Object
		}
	}
	if place.IsKey {
		return s
	}
	// A value that has only begun where keys are wanted is the first of them.
	s.keys = nil
	if s.value = holds == ""; holds == docs.Object {
		s.keys = keys
	}
	return s
}

// enterItem notes the phase and the step around a place.
func (s *spot) enterItem(path []outline.Step, i int) {
	if i == 0 || path[i-1].In.Kind != outline.Mapping {
		return
	}
	switch name := path[i-1].Key.Text; {
	case i == 1 && name == "phases":
		s.phase = path[i].Index
	case i == 3 && s.phase >= 0 && isSection(name):
		s.section, s.step = name, path[i].In.Items[path[i].Index]
	}
}

func isSection(name string) bool { return name == "gates" || name == "steps" || name == "rollback" }

func keyNamed(keys []docs.Key, name string) *docs.Key {
	for i := range keys {
		if keys[i].Name == name {
			return &keys[i]
		}
	}
	return nil
}

// page is what is shown of a key, or of a field of a receipt, in Markdown.
func page(k docs.Key) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %s\n\n%s", k.Name, summary(k), k.Doc)
	if k.Example != "" {
		fmt.Fprintf(&b, "\n\nExample: `%s: %s`", k.Name, k.Example)
	}
	return b.String()
}

// summary is the type of a key and what else there is to say on one line.
func summary(k docs.Key) string {
	text := k.Type
	if k.Required {
		text += ", required"
	}
	if k.Default != "" {
		text += ", default " + k.Default
	}
	return text
}

// taskPage is what is shown of a task, in Markdown.
func taskPage(t *docs.TaskPage) string {
	var b strings.Builder
	kind := t.Kind
	if kind == "changes" {
		kind = "changes something"
	}
	fmt.Fprintf(&b, "**%s** (%s)\n\n%s\n", t.Name, kind, t.Doc)
	list := func(title string, keys []docs.Key) {
		if len(keys) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n\n", title)
		for _, k := range keys {
			fmt.Fprintf(&b, "- `%s`: %s\n", k.Name, summary(k))
		}
	}
	list("Keys:", t.Keys)
	list("Receipt:", t.Receipt)
	return b.String()
}
