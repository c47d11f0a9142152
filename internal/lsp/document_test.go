package lsp

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/medlogistics/phasegate/runner/plan"
)

const mixed = "a\nä€𝄞b\r\n\r\n👩‍⚕️: x\rlast 🚀"

func TestPositionsCountUTF16(t *testing.T) {
	t.Parallel()
	d := newDocument("file:///a", "yaml", 1, mixed)
	for before, want := range map[string]position{
		"": {0, 0}, "a": {0, 1}, "a\n": {1, 0}, "a\nä": {1, 1}, "a\nä€": {1, 2}, "a\nä€𝄞": {1, 4}, "a\nä€𝄞b": {1, 5},
		"a\nä€𝄞b\r\n": {2, 0}, "a\nä€𝄞b\r\n\r\n": {3, 0}, "a\nä€𝄞b\r\n\r\n👩‍⚕️": {3, 5}, "a\nä€𝄞b\r\n\r\n👩‍⚕️: x\r": {4, 0}, mixed: {4, 7},
	} {
		if got := d.position(len(before)); got != want {
			t.Errorf("behind %q is %v, not %v", before, got, want)
		}
		if got := d.offset(want); got != len(before) {
			t.Errorf("at %v is byte %d, not %d", want, got, len(before))
		}
	}
	for p, want := range map[position]string{
		{1, 3}: "a\nä€", {1, 99}: "a\nä€𝄞b", {2, 1}: "a\nä€𝄞b\r\n", {99, 0}: mixed, {-1, 0}: "", {1, -5}: "",
	} {
		if got := mixed[:d.offset(p)]; got != want {
			t.Errorf("at %v is what is behind %q, not %q", p, got, want)
		}
	}
}

// An edit is what it would be on the text as UTF-16, wherever it is made.
func FuzzEdit(f *testing.F) {
	f.Add(mixed, 1, 2, 3, 1, "é\r\n𝄞")
	f.Add("", 0, 0, 9, 9, "x")
	f.Fuzz(func(t *testing.T, text string, l1, c1, l2, c2 int, insert string) {
		if !utf8.ValidString(text) || !utf8.ValidString(insert) {
			t.Skip("JSON has no such text")
		}
		d := newDocument("file:///a", "yaml", 1, text)
		r := textRange{position{l1, c1}, position{l2, c2}}
		got := d.edited(2, []contentChange{{Range: &r, Text: insert}}).text
		units := utf16.Encode([]rune(text))
		start := unitOf(units, r.Start)
		end := max(start, unitOf(units, r.End))
		want := string(utf16.Decode(units[:start])) + insert + string(utf16.Decode(units[end:]))
		if got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
		if at := d.offset(r.Start); d.offset(d.position(at)) != at {
			t.Errorf("byte %d is at %v, which is byte %d", at, d.position(at), d.offset(d.position(at)))
		}
	})
}

// unitOf is the unit of UTF-16 at a position, written down as the specification
// says it.
func unitOf(units []uint16, p position) int {
	if p.Line < 0 || p.Character < 0 {
		return 0
	}
	at := 0
	for line := 0; line < p.Line; at++ {
		if at == len(units) {
			return at
		}
		if units[at] == '\n' || units[at] == '\r' && (at+1 == len(units) || units[at+1] != '\n') {
			line++
		}
	}
	for range p.Character {
		if at == len(units) || units[at] == '\n' || units[at] == '\r' {
			break
		}
		at++
	}
	if at > 0 && at < len(units) && utf16.IsSurrogate(rune(units[at])) && units[at] >= 0xDC00 {
		at-- // inside of a pair
	}
	return at
}

// A finding's place is that of its token whatever stands before it.
func TestFindingsStandAtTheirTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, prefix := range []string{"", "\uFEFF", "# 𝄞\r\n"} {
		doc := newDocument("file:///a", "yaml", 1, prefix+"version: 1\r\nname: demo\nenv: { \"🚀\": {}, 'ä': { sekret: true } }\nphases: []\n")
		words := map[string]string{}
		for _, d := range s.told(doc, doc.check(s.Tasks)) {
			words[d.Code] += doc.text[doc.offset(d.Range.Start):doc.offset(d.Range.End)] + " "
		}
		for rule, want := range map[string]string{"unknown-key": "sekret ", "name": `"🚀" 'ä' `} {
			if words[rule] != want {
				t.Errorf("behind %q, %s is at %q, not %q", prefix, rule, words[rule], want)
			}
		}
	}
}

// Where a lone carriage return ends a line for editors and not for YAML, a
// finding is still where it belongs.
func TestFindingsBehindALoneCarriageReturn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	doc := newDocument("file:///a", "yaml", 1, "version: 1\nname: demo\rphases: []\n")
	found := s.told(doc, doc.check(s.Tasks))
	if len(found) != 1 || found[0].Code != "encoding" || found[0].Range.Start != (position{1, 10}) {
		t.Errorf("it says %+v", found)
	}
	if at := doc.byteOf(plan.Position{Line: 99, Column: 99}); at > len(doc.text) || !strings.HasSuffix(doc.text[:at], "\n") && at != len(doc.text) {
		t.Errorf("a place behind the end is byte %d", at)
	}
}
