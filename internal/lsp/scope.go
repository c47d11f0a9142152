package lsp

import (
	"strings"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/plan/outline"
)

// A stepAt is a gate, a step or a hook of a plan that is being written.
type stepAt struct {
	node    *outline.Node // the mapping
	id      *outline.Node
	task    string
	phase   int
	section string
}

// stepsOf returns what has an id, in the order in which it is carried out: in
// each phase gates, steps, and then hooks.
func stepsOf(root *outline.Node) []stepAt {
	var all []stepAt
	phases := root.Find("phases")
	if phases == nil {
		return nil
	}
	for i, phase := range phases.Items {
		for _, section := range []string{"gates", "steps", "rollback"} {
			list := phase.Find(section)
			if list == nil {
				continue
			}
			for _, item := range list.Items {
				if id := item.Find("id"); id.Word() != "" {
					all = append(all, stepAt{item, id, item.Find("task").Word(), i, section})
				}
			}
		}
	}
	return all
}

// before returns the steps whose receipts can be there when the one at a spot is
// carried out. The plan's own rule, in package plan, is scope.unreachable; this
// one only chooses what to offer.
func before(all []stepAt, at spot) []stepAt {
	var found []stepAt
	if at.step == nil {
		return nil
	}
	hook := at.section == "rollback"
	for _, s := range all {
		switch {
		case s.phase > at.phase:
		case s.section == "rollback" && (!hook || s.phase < at.phase):
		case s.phase == at.phase && at.section == "gates" && s.section == "steps":
		case s.phase == at.phase && s.section == at.section && s.node.Start >= at.step.Start:
		default:
			found = append(found, s)
		}
	}
	return found
}

// variables are the declarations of env.
func variables(root *outline.Node) []outline.Pair {
	env := root.Find("env")
	if env == nil {
		return nil
	}
	return env.Pairs
}

func isSecret(v outline.Pair) bool { return v.Value.Find("secret").Word() == "true" }

// A mention is a reference in the text: env.NAME, steps.ID.FIELD, run.id or
// plan.digest.
type mention struct {
	root, name, field string
	start, end        int // of the whole, in the text
	nameAt, fieldAt   int // where those begin; 0 without one
}

var mentions = pattern.Lazy(`\b(env|steps|run|plan)\.([A-Za-z0-9_-]+)(?:\.([A-Za-z0-9_]+))?`)

// mentionAt returns the reference at a byte of the document, if there is one: in
// ${{ }}, or in an expression.
func mentionAt(doc *document, offset int, expression bool) (mention, bool) {
	start := strings.LastIndexByte(doc.text[:offset], '\n') + 1
	line := doc.text[start:]
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	for _, m := range mentions().FindAllStringSubmatchIndex(line, -1) {
		if offset < start+m[0] || offset > start+m[1] || !expression && !opened(line[:m[0]]) {
			continue
		}
		found := mention{root: line[m[2]:m[3]], name: line[m[4]:m[5]], start: start + m[0], end: start + m[1], nameAt: start + m[4]}
		if m[6] >= 0 {
			found.field, found.fieldAt = line[m[6]:m[7]], start+m[6]
		}
		return found, true
	}
	return mention{}, false
}

// opened tells whether a reference was begun on the line and not ended.
func opened(line string) bool {
	open := strings.LastIndex(line, "${{")
	return open >= 0 && !strings.Contains(line[open:], "}}") && !strings.HasSuffix(line[:open], "$")
}

// receiptOf returns the fields of the receipt of a step, by its id.
func (g *guide) receiptOf(all []stepAt, id string) (fields []docs.Key, found *stepAt) {
	for i := range all {
		if all[i].id.Text == id {
			if t := g.named[all[i].task]; t != nil {
				fields = t.Receipt
			}
			return fields, &all[i]
		}
	}
	return nil, nil
}
