package lsp

import (
	"fmt"
	"strings"
	"testing"
)

// long is a plan of so many steps, each of which refers to the one before.
func long(steps int) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: long\nenv:\n  DSN: { secret: true }\ncontacts:\n  - { role: a, reach: b }\nphases:\n")
	for i := range steps {
		if i%10 == 0 {
			fmt.Fprintf(&b, "  - name: phase-%d\n    summary: Part %d of the whole\n    steps:\n", i/10, i/10)
		}
		fmt.Fprintf(&b, "      - id: step-%d\n        task: postgres/assert\n        summary: Ask for the %dth time\n        timeout: 5m\n        with:\n          dsn: ${{ env.DSN }}\n          returns: \"1\"\n", i, i)
		query := "1"
		if i > 0 {
			query = fmt.Sprintf("${{ steps.step-%d.value }}", i-1)
		}
		fmt.Fprintf(&b, "          query: select %s\n", query)
	}
	return b.String()
}

// BenchmarkKeystroke is what one keystroke costs in a plan of 1,000 steps: the
// edit, the findings and their message. The pause before it is not in it.
func BenchmarkKeystroke(b *testing.B) {
	s := newServer(b)
	doc := newDocument("file:///long.yaml", "yaml", 1, long(1000))
	if found := doc.check(s.Tasks); len(found) > 0 {
		b.Fatal(found[0].Render())
	}
	end := doc.position(strings.Index(doc.text, "Ask for the 500th") + len("Ask"))
	b.ReportAllocs()
	for b.Loop() {
		doc = doc.edited(doc.version+1, []contentChange{{Range: &textRange{end, end}, Text: "x"}})
		if found := s.told(doc, doc.check(s.Tasks)); len(found) > 0 {
			b.Fatal(found[0].Message)
		}
	}
}

// BenchmarkCompletion is what is asked for after each keystroke too.
func BenchmarkCompletion(b *testing.B) {
	s := newServer(b)
	text := long(1000)
	doc := newDocument("file:///long.yaml", "yaml", 1, text)
	p := params{Position: doc.position(strings.LastIndex(text, "${{ steps.") + len("${{ steps."))}
	b.ReportAllocs()
	for b.Loop() {
		if items := s.complete(doc, p).(completionList).Items; len(items) != 999 {
			b.Fatal(len(items))
		}
	}
}
