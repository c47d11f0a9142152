package lsp

import (
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/outline"
)

// hover answers textDocument/hover: null where there is nothing to say.
func (s *server) hover(doc *document, p params) any {
	at := doc.offset(p.Position)
	place := doc.outline().At(at)
	here := s.guide.at(place)
	if m, ok := mentionAt(doc, at, here.key != nil && here.key.Type == "condition"); ok && !place.IsKey && place.Token != nil {
		if text := s.mentioned(doc, m); text != "" {
			r := doc.span(m.start, m.end)
			return hover{markdown(text), &r}
		}
		return nil
	}
	text := ""
	switch token := place.Token; {
	case token == nil:
		return s.hoverComment(doc, at)
	case here.key == nil:
		text = s.variablePage(place)
	case !place.IsKey && here.key.Type == "name of a task" && s.guide.named[token.Word()] != nil:
		text = taskPage(s.guide.named[token.Word()])
	default:
		text = page(*here.key)
	}
	if text == "" {
		return nil
	}
	r := doc.spanOf(place.Token)
	return hover{markdown(text), &r}
}

// mentioned is what is shown of a reference, "" if it refers to nothing.
func (s *server) mentioned(doc *document, m mention) string {
	switch m.root {
	case "env":
		for _, v := range variables(doc.outline()) {
			if v.Key.Text == m.name {
				return variableText(v)
			}
		}
	case "run":
		return "**run.id**: text\n\nThe run's id."
	case "plan":
		return "**plan.digest**: text\n\n" + digestDoc
	}
	fields, step := s.guide.receiptOf(stepsOf(doc.outline()), m.name)
	if step == nil || m.root != "steps" {
		return ""
	}
	if field := keyNamed(fields, m.field); field != nil {
		return fmt.Sprintf("**steps.%s.%s**: %s\n\n%s\n\nOf the receipt of %s.", m.name, m.field, field.Type, field.Doc, step.task)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "**steps.%s**: the receipt of %s\n", m.name, step.task)
	for _, f := range fields {
		fmt.Fprintf(&b, "\n- `%s`: %s", f.Name, f.Type)
	}
	return b.String()
}

func variableText(v outline.Pair) string {
	text := fmt.Sprintf("**env.%s**: %s", v.Key.Text, variableType(v))
	if summary := v.Value.Find("summary").Word(); summary != "" {
		text += "\n\n" + summary
	}
	return text
}

// variablePage is shown of a variable where it is declared.
func (s *server) variablePage(place outline.Place) string {
	if !place.IsKey || len(place.Path) != 2 || place.Path[0].Key == nil || place.Path[0].Key.Text != "env" {
		return ""
	}
	return variableText(*place.Path[1].In.Pair(place.Token.Text))
}

// hoverComment explains the rule that a comment silences.
func (s *server) hoverComment(doc *document, at int) any {
	start := doc.lines[doc.position(at).Line]
	line := doc.line(doc.position(at).Line)
	hash := strings.IndexByte(line, '#')
	if hash < 0 || at < start+hash || !strings.Contains(line[hash:], "phasegate:ignore") {
		return nil
	}
	for _, rule := range plan.Rules() {
		i := strings.Index(line, " "+rule.Name+" ")
		if i > hash && at > start+i && at <= start+i+1+len(rule.Name) {
			r := doc.span(start+i+1, start+i+1+len(rule.Name))
			return hover{markdown(fmt.Sprintf("**%s**: %s\n\n%s", rule.Name, rule.Severity, rule.Why)), &r}
		}
	}
	return nil
}
