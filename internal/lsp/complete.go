package lsp

import (
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/outline"
)

// cursorMark stands in for the cursor while the outline is read, so that there is
// always a word at it. It is a character for private use, which no plan has.
const cursorMark = "\uE000"

// A completion is one request for what may stand at the cursor.
type completion struct {
	*server
	doc    *document
	at     int           // byte of the cursor
	line   string        // up to the cursor
	root   *outline.Node // of the text with the mark in it
	place  outline.Place
	spot   spot
	start  int // of what is replaced
	end    int // behind it
	result []completionItem
}

// complete answers textDocument/completion.
func (s *server) complete(doc *document, p params) any {
	at := doc.offset(p.Position)
	lineStart := doc.lines[doc.position(at).Line]
	c := &completion{server: s, doc: doc, at: at, line: doc.text[lineStart:at], result: []completionItem{}}
	c.root = outline.Parse(doc.text[:at] + cursorMark + doc.text[at:])
	c.place = c.root.At(at)
	c.spot = s.guide.at(c.place)
	switch {
	case c.place.Token == nil:
		c.comment()
	case opened(c.line):
		c.reference(c.line[strings.LastIndex(c.line, "${{")+len("${{"):], true)
	case c.isExpression():
		c.reference(c.line[strings.LastIndexFunc(c.line, notInReference)+1:], false)
	default:
		c.token()
	}
	return completionList{Items: c.result}
}

func notInReference(r rune) bool {
	return !(r == '.' || r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}

func (c *completion) isExpression() bool {
	return !c.place.IsKey && c.spot.value && c.spot.key.Type == "condition"
}

// replaces makes the word at the cursor, of which typed is there, what is
// replaced.
func (c *completion) replaces(typed string) {
	c.start, c.end = c.at-len(typed), c.at
	for c.end < len(c.doc.text) && !notInReference(rune(c.doc.text[c.end])) && c.doc.text[c.end] != '.' {
		c.end++
	}
}

func (c *completion) add(kind int, label, insert, detail, text string) {
	item := completionItem{
		Label: label, Kind: kind, Detail: detail, SortText: fmt.Sprintf("%04d", len(c.result)), FilterText: label,
		TextEdit: &textEdit{c.doc.span(c.start, c.end), insert},
	}
	if insert[:1] == `"` { // what is typed is compared with it
		item.FilterText = insert
	}
	if text != "" {
		item.Documentation = markdown(text)
	}
	c.result = append(c.result, item)
}

var ignoring = pattern.Lazy(`#\s*phasegate:ignore\s+([a-z-]*)$`)

// comment offers the rules whose warnings a comment can silence.
func (c *completion) comment() {
	m := ignoring().FindStringSubmatch(c.line)
	if m == nil {
		return
	}
	c.replaces(m[1])
	for _, rule := range plan.Rules() {
		if rule.Severity == plan.Warning {
			c.add(kindKeyword, rule.Name, rule.Name, string(rule.Severity), rule.Why)
		}
	}
}

// token offers what the word at the cursor may become: a key, or a value.
func (c *completion) token() {
	token := c.place.Token
	start := token.Start
	if token.Quote == '"' || token.Quote == '\'' {
		start++
	}
	if start > c.at || strings.Contains(c.doc.text[start:c.at], "\n") {
		return // a text of several lines
	}
	c.start, c.end = start, c.at
	if end := token.End - len(cursorMark) - closingQuote(token); end > c.at && !strings.Contains(c.doc.text[c.at:end], "\n") {
		c.end = end
	}
	key := c.spot.key
	switch {
	case c.place.IsKey:
		c.keys(c.place.Path[len(c.place.Path)-1].In, c.spot.keys)
	case c.spot.keys != nil && !c.keyOnLine():
		c.keys(nil, c.spot.keys)
	case key == nil || !c.spot.value:
	case key.Type == "name of a task":
		c.taskNames()
	case key.Name == "after" && c.spot.task == nil:
		c.stepsOfPhase()
	case key.Type == "secret":
		c.secrets(token)
	default:
		for _, word := range key.Words {
			c.add(kindEnumMember, word, word, key.Name, key.Doc)
		}
	}
}

// closingQuote is the length of what ends the token besides its text.
func closingQuote(token *outline.Node) int {
	if token.Quote != 0 && token.End-token.Start == len(token.Text)+2 {
		return 1
	}
	return 0
}

// keyOnLine tells whether the key whose value is being written stands on the
// cursor's line: keys belong below it.
func (c *completion) keyOnLine() bool {
	for _, at := range c.place.Path {
		if at.Key != nil && at.Key.Start >= c.at-len(c.line) {
			return !at.In.Flow
		}
	}
	return false
}

// keys offers those that the mapping in does not have yet, the required ones
// first.
func (c *completion) keys(in *outline.Node, keys []docs.Key) {
	token := c.place.Token
	followed := false
	if in != nil {
		if pair := in.Pair(token.Text); pair != nil {
			followed = pair.Colon
		}
	}
	for _, required := range []bool{true, false} {
		for _, k := range keys {
			if k.Required != required || in.Pair(k.Name) != nil || k.Name == "after" && k.Type == "list of text" && c.spot.section != "rollback" && c.spot.section != "" {
				continue
			}
			insert := k.Name
			switch {
			case followed:
			case k.Holds == "" || in != nil && in.Flow:
				insert += ": "
			default:
				insert += ":"
			}
			c.add(kindProperty, k.Name, insert, summary(k), page(k))
		}
	}
}

// taskNames offers the tasks that may stand in the section.
func (c *completion) taskNames() {
	for _, t := range c.guide.tasks {
		if c.spot.section == "gates" && t.Kind == "changes" || c.spot.section != "gates" && t.Kind == "gate" {
			continue
		}
		c.add(kindFunction, t.Name, t.Name, t.Kind, taskPage(&t))
	}
}

// stepsOfPhase offers the steps on which a hook may depend.
func (c *completion) stepsOfPhase() {
	for _, s := range stepsOf(c.root) {
		if s.phase == c.spot.phase && s.section == "steps" {
			c.add(kindReference, s.id.Text, s.id.Text, s.task, "")
		}
	}
}

// secrets offers the references that may stand where a secret is wanted, quoted
// as YAML wants them.
func (c *completion) secrets(token *outline.Node) {
	for _, v := range variables(c.root) {
		if !isSecret(v) {
			continue
		}
		insert := "${{ env." + v.Key.Text + " }}"
		if token.Quote == 0 {
			insert = `"` + insert + `"`
		}
		c.add(kindVariable, v.Key.Text, insert, "secret variable", v.Value.Find("summary").Word())
	}
}
