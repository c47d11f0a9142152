package lsp

import (
	"net/url"
	"sort"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/outline"
	"github.com/medlogistics/phasegate/runner/task"
)

// A document is one version of an open file. It does not change, so that any
// number of requests can look at it while the next version is there already.
type document struct {
	uri      string
	language string // as the client calls it
	version  int
	text     string
	lines    []int // the first byte of each line; a line ends in \n, \r\n or \r
	newlines []int // the same for lines that end in \n only, as the plan's do

	outlineOnce sync.Once
	root        *outline.Node

	findingsOnce sync.Once
	findings     plan.Diagnostics
}

func newDocument(uri, language string, version int, text string) *document {
	d := &document{uri: uri, language: language, version: version, text: text, lines: []int{0}, newlines: []int{0}}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\n':
			d.lines, d.newlines = append(d.lines, i+1), append(d.newlines, i+1)
		case text[i] == '\r' && !strings.HasPrefix(text[i:], "\r\n"):
			d.lines = append(d.lines, i+1)
		}
	}
	return d
}

// edited returns the document after the changes, each of which is one of the
// text that those before it left.
func (d *document) edited(version int, changes []contentChange) *document {
	for _, change := range changes {
		text := change.Text
		if r := change.Range; r != nil {
			start := d.offset(r.Start)
			text = d.text[:start] + change.Text + d.text[max(start, d.offset(r.End)):]
		}
		d = newDocument(d.uri, d.language, version, text)
	}
	if len(changes) == 0 {
		return d.again(version)
	}
	return d
}

// again is the same text, to be looked at anew: a file that it names may have
// changed.
func (d *document) again(version int) *document {
	return &document{uri: d.uri, language: d.language, version: version, text: d.text, lines: d.lines, newlines: d.newlines}
}

// path is the file's, or a name for what is no file yet.
func (d *document) path() string {
	if u, err := url.Parse(d.uri); err == nil && u.Scheme == "file" {
		return u.Path
	}
	return "untitled.yaml"
}

// outline is the shape of the text, which is read once.
func (d *document) outline() *outline.Node {
	d.outlineOnce.Do(func() { d.root = outline.Parse(d.text) })
	return d.root
}

// check returns the findings about the plan, which is read once.
func (d *document) check(tasks task.Set) plan.Diagnostics {
	d.findingsOnce.Do(func() {
		if d.isPlan() {
			_, d.findings = plan.Parse(d.path(), []byte(d.text), tasks)
		}
	})
	return d.findings
}

// isPlan tells whether the file is a plan, or is going to be one. An editor may
// send any YAML file; what the client calls something else than YAML was sent on
// purpose.
func (d *document) isPlan() bool {
	root := d.outline()
	if d.language != "yaml" && d.language != "yml" {
		return true
	}
	if root == nil || root.Kind != outline.Mapping {
		return root == nil
	}
	if root.Pair("phases") != nil || root.Find("version").Word() == "1" {
		return true
	}
	for _, pair := range root.Pairs {
		switch pair.Key.Text {
		case "version", "name", "summary", "env", "contacts", "probes":
		default:
			return false
		}
	}
	return true
}

// offset returns the byte at a position. What lies outside of a line is its end,
// as the specification has it.
func (d *document) offset(p position) int {
	if p.Line < 0 || p.Character < 0 {
		return 0
	}
	if p.Line >= len(d.lines) {
		return len(d.text)
	}
	line := d.line(p.Line)
	at, units := 0, 0
	for at < len(line) && units < p.Character {
		r, size := utf8.DecodeRuneInString(line[at:])
		if units += utf16.RuneLen(r); units > p.Character {
			break // inside of a surrogate pair
		}
		at += size
	}
	return d.lines[p.Line] + at
}

// line returns the text of a line, from 0, without its end.
func (d *document) line(n int) string {
	end := len(d.text)
	if n+1 < len(d.lines) {
		end = d.lines[n+1]
	}
	return strings.TrimRight(d.text[d.lines[n]:end], "\r\n")
}

// position returns the place of the byte at offset.
func (d *document) position(offset int) position {
	offset = max(0, min(offset, len(d.text)))
	line := sort.SearchInts(d.lines, offset+1) - 1
	units := 0
	for _, r := range d.text[d.lines[line]:offset] {
		units += utf16.RuneLen(r)
	}
	return position{line, units}
}

// span is the range of the bytes from start to end.
func (d *document) span(start, end int) textRange {
	return textRange{d.position(start), d.position(end)}
}

func (d *document) spanOf(n *outline.Node) textRange { return d.span(n.Start, n.End) }

// byteOf returns the byte at a place that a finding names: its lines end in \n
// only, its columns count characters, and a byte order mark is none.
func (d *document) byteOf(p plan.Position) int {
	line := max(0, min(p.Line, len(d.newlines))-1)
	at := d.newlines[line]
	if line == 0 {
		at += len(d.text) - len(strings.TrimPrefix(d.text, "\uFEFF"))
	}
	return d.forward(at, p.Column-1)
}

// forward returns the byte so many characters behind at, on the same line.
func (d *document) forward(at, characters int) int {
	for ; characters > 0 && at < len(d.text) && d.text[at] != '\n'; characters-- {
		_, size := utf8.DecodeRuneInString(d.text[at:])
		at += size
	}
	return at
}
