package ci

import (
	"strings"
	"unicode"
)

// Markdown keeps a text on one line, and from being read as markup, as a formula
// or as somebody's name.
func Markdown(text string) string {
	return strings.NewReplacer(
		"\\", "\\\\", "&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@<!-- -->",
		"|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "#", "\\#", "~", "\\~", "$", "\\$",
	).Replace(Visible(text))
}

// MarkdownCode shows a text letter by letter, in a span that nothing in it ends. It
// does not belong into a table, whose cells end at | even so.
func MarkdownCode(text string) string {
	text = Visible(text)
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		text = " " + text + " "
	}
	return fence + text + fence
}

// Visible keeps a text on one line, and puts a mark where a reader would see nothing: what turns the order of
// letters around could have an approver read another command than the one that is
// carried out (https://trojansource.codes).
func Visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
