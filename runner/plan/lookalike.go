package plan

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// miswritten finds what is probably meant as a reference: other tools write it so.
var miswritten = pattern.Lazy(`\$?[ \t]*\{{1,2}[ \t]*(env|steps)\.([A-Za-z0-9_-]+)(\.[a-z0-9_]+)?[ \t]*\}`)

// lookalike returns what value looks like that YAML and a plan take for plain text,
// how to write what was meant, and the variable that is probably meant.
func lookalike(n *yaml.Node) (is, hint, variable string) {
	text := n.Value
	const curly = "“”„‟‘’"
	if n.Style == 0 && strings.TrimLeft(text, curly) != text && strings.TrimRight(text, curly) != text {
		return "these quotes are part of the value", `use the straight quotes " or '`, ""
	}
	if !strings.Contains(text, "env.") && !strings.Contains(text, "steps.") || strings.Contains(text, opening) {
		return "", "", ""
	}
	match := miswritten().FindStringSubmatch(text)
	if match == nil {
		return "", "", ""
	}
	if match[1] == "env" {
		variable = match[2]
	}
	return "this is no reference, but text", "write ${{ " + match[1] + "." + match[2] + match[3] + " }}", variable
}

// asText warns of a value that is taken for text, and looks as if more was meant.
func (d *decoder) asText(n *yaml.Node, c site) {
	if _, running := d.refs.(*live); running || c.key != nil && (c.key.Value == "id" || c.key.Value == "name") {
		return
	}
	is, hint, variable := lookalike(n)
	if is == "" {
		return
	}
	d.at(n, "taken-as-text", "%s", is).warn().hint("%s", hint)
	if variable != "" {
		d.mentioned[variable] = true
	}
}
