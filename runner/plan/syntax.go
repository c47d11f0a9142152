package plan

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// parseYAML returns the file's one document, or nil after reporting why there is
// none.
func parseYAML(r *report) *yaml.Node {
	input := &lineReader{src: r.src}
	decoder := yaml.NewDecoder(input)
	root, err := decode(decoder)
	switch {
	case errors.Is(err, io.EOF):
		r.add(Position{Line: 1, Column: 1}, "empty", "the file has only comments").hint(firstLines)
		return nil
	case err != nil:
		explain(r, err, input.line)
		return nil
	}
	if _, err := decode(decoder); !errors.Is(err, io.EOF) {
		r.add(r.src.secondDocument(root), "documents", "a second document starts here").
			hint("a plan is one document: put each plan into a file of its own").Width = len("---")
		return nil
	}
	if len(root.Content) == 1 && isNull(root.Content[0]) {
		r.add(positionOf(root), "empty", "the document is empty").hint(firstLines)
		return nil
	}
	return root
}

// decode reads the next document. The YAML library panics on some malformed
// input; that is an error like its others.
func decode(d *yaml.Decoder) (node *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	node = new(yaml.Node)
	return node, d.Decode(node)
}

// secondDocument returns the place of the marker that ends the first document.
func (s *source) secondDocument(root *yaml.Node) Position {
	for n := root.Line + 1; n <= len(s.lines); n++ {
		if word, _, _ := strings.Cut(s.line(n), " "); word == "---" || word == "..." || strings.HasPrefix(word, "%") {
			return Position{Line: n, Column: 1}
		}
	}
	return positionOf(root)
}

var yamlError = pattern.Lazy(`^yaml: (?:line \d+: )?(.*)$`)

// explain reports a syntax error where its cause is. The library's own line is
// often that of the enclosing block, or one too low, and it has no column. It
// had read the file up to the line reached.
func explain(r *report, err error, reached int) {
	message := err.Error()
	if match := yamlError().FindStringSubmatch(message); match != nil {
		message = match[1]
	}
	line := failingLine(r.src, message, reached)
	s := scanTo(r.src, line)
	for _, cause := range causes() {
		if cause(r, s, message, line) {
			return
		}
	}
	r.add(r.src.firstWord(line), "syntax", "this line cannot be read as YAML: %s", message)
}

// failingLine returns the first line with which the library fails in the same
// way: everything before it can be read. The library looks ahead of what it
// reads by a line or two, so the search starts from where it stopped.
func failingLine(src *source, message string, reached int) int {
	const searchable = 256 << 10 // bytes up to which many partial readings are cheap
	const back = 3               // lines by which the library looks ahead, at most
	line, start := max(1, reached), 0
	large := src.lines[line-1] > searchable
	if large {
		start = src.topLevel(line - back - 1)
	}
	fails := func(lines int) bool {
		end := len(src.text)
		if lines < len(src.lines) {
			end = src.lines[lines]
		}
		_, err := decode(yaml.NewDecoder(strings.NewReader(src.text[start:end])))
		return err != nil && strings.HasSuffix(err.Error(), message)
	}
	for range back {
		if line == 1 || !fails(line-1) {
			return line
		}
		line--
	}
	if large {
		return line
	}
	return 1 + sort.Search(line-1, func(i int) bool { return fails(i + 1) })
}

// topLevel returns the start of the last line up to n that begins a key of the
// outermost mapping, where a reading may start as well as at the file's start.
func (s *source) topLevel(n int) int {
	for ; n > 1; n-- {
		if line := s.line(n); line != "" && line[0] >= 'a' && line[0] <= 'z' {
			return s.lines[n-1]
		}
	}
	return 0
}

// lineReader hands a file out line by line, and knows how far it got.
type lineReader struct {
	src  *source
	line int // lines handed out, at least in part
	at   int
}

func (r *lineReader) Read(p []byte) (int, error) {
	if r.at == len(r.src.text) {
		return 0, io.EOF
	}
	if r.line == 0 || r.line < len(r.src.lines) && r.at == r.src.lines[r.line] {
		r.line++
	}
	end := len(r.src.text)
	if r.line < len(r.src.lines) {
		end = r.src.lines[r.line]
	}
	n := copy(p, r.src.text[r.at:end])
	r.at += n
	return n, nil
}

// firstWord returns the place of the first character of line n that is no space.
func (s *source) firstWord(n int) Position {
	line := s.shown(n)
	return Position{Line: n, Column: len(line) - len(strings.TrimLeft(line, " \t")) + 1}
}
