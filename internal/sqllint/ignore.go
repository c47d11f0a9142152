package sqllint

import (
	"fmt"
	"slices"
	"strings"
)

// An ignore is a directive "-- phasegate:ignore RULE reason" in front of a
// statement, or within it: the rule does not speak of that statement.
type ignore struct {
	rule string
	pos  int
	used bool
}

const directive = "phasegate:ignore"

// directives reads those among the comments, and reports the wrong ones.
func (f *file) directives(comments []comment) []*ignore {
	var list []*ignore
	for _, c := range comments {
		content, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(c.text, "--")), directive)
		if !ok || content != "" && content[0] != ' ' && content[0] != '\t' {
			continue
		}
		words := strings.Fields(content)
		switch {
		case len(words) == 0:
			f.add("ignore-unknown-rule", c.pos, "the directive names no rule")
			continue
		case catalogue[words[0]] == nil || strings.HasPrefix(words[0], "ignore-"):
			f.add("ignore-unknown-rule", c.pos, fmt.Sprintf("there is no rule %s that can be ignored", words[0]))
			continue
		case len(words) == 1:
			f.add("ignore-without-reason", c.pos, fmt.Sprintf("%s is ignored without a reason", words[0]))
		}
		list = append(list, &ignore{rule: words[0], pos: c.pos})
	}
	return list
}

// ignore takes out the findings from the index on that a directive between the
// two positions ignores.
func (f *file) ignore(from int, ignores []*ignore, begin, end int) {
	f.findings = append(f.findings[:from], slices.DeleteFunc(f.findings[from:], func(found Finding) bool {
		ignored := false
		for _, i := range ignores {
			if i.rule == found.Rule && i.pos >= begin && i.pos <= end {
				i.used, ignored = true, true
			}
		}
		return ignored
	})...)
}

// unused reports directives that keep nothing quiet.
func (f *file) unused(ignores []*ignore) {
	for _, i := range ignores {
		if !i.used {
			f.add("ignore-unused", i.pos, fmt.Sprintf("the statement behind has nothing that %s speaks of", i.rule))
		}
	}
}
