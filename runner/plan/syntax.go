package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parseYAML returns the file's one document, or nil after reporting why there is
// none.
func parseYAML(r *report, raw []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	root, err := decode(decoder)
	switch {
	case errors.Is(err, io.EOF):
		r.add(Position{Line: 1, Column: 1}, "empty", "the file has only comments").hint(firstLines)
		return nil
	case err != nil:
		explain(r, raw, err)
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
		if word, _, _ := strings.Cut(s.line(n), " "); word == "---" || word == "..." {
			return Position{Line: n, Column: 1}
		}
	}
	return positionOf(root)
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// explain reports a syntax error where its cause is. The library's own line is
// often that of the enclosing block, or one too low, and it has no column.
func explain(r *report, raw []byte, err error) {
	match := yamlError.FindStringSubmatch(err.Error())
	if match == nil {
		match = []string{"", "", "the file cannot be read as YAML"}
	}
	message := match[2]
	line, _ := strconv.Atoi(match[1])
	line = failingLine(r.src, raw, message, max(1, line))
	s := scanTo(r.src, line)
	for _, cause := range causes() {
		if cause(r, s, message, line) {
			return
		}
	}
	r.add(r.src.firstWord(line), "syntax", "this line cannot be read as YAML: %s", message)
}

// searchable is the size up to which the failing line is searched for: it takes
// a dozen or two partial readings.
const searchable = 1 << 20

// failingLine returns the first line with which the library fails in the same
// way: everything before it can be read.
func failingLine(src *source, raw []byte, message string, reported int) int {
	if len(raw) > searchable {
		return min(reported, len(src.lines))
	}
	return 1 + sort.Search(len(src.lines)-1, func(i int) bool {
		_, err := decode(yaml.NewDecoder(bytes.NewReader(raw[:src.lines[i+1]])))
		return err != nil && strings.HasSuffix(err.Error(), message)
	})
}

// firstWord returns the place of the first character of line n that is no space.
func (s *source) firstWord(n int) Position {
	line := s.shown(n)
	return Position{Line: n, Column: len(line) - len(strings.TrimLeft(line, " \t")) + 1}
}
