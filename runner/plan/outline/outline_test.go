package outline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/plan/outline"
)

// plansIn are the plans of the tests and those that ship, by path.
func plansIn(t testing.TB) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"../testdata/*/*.yaml", "../testdata/*/*/*.yaml", "../../../plans/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found[path] = string(text)
		}
	}
	if len(found) < 100 {
		t.Fatalf("there are only %d plans", len(found))
	}
	return found
}

// What YAML can read, the outline reads as YAML does: the same keys, lists and
// scalars at the same places.
func TestOutlineOfAReadableTextIsThatOfTheYAMLLibrary(t *testing.T) {
	t.Parallel()
	compared := 0
	for path, text := range plansIn(t) {
		var document yaml.Node
		if yaml.Unmarshal([]byte(text), &document) != nil || len(document.Content) == 0 || strings.Contains(text, "? ") || !utf8.ValidString(text) ||
			strings.ContainsAny(strings.ReplaceAll(text, "\r\n", "\n"), "\r\u0085\u2028\u2029") {
			continue // a complex key, or another line break, neither of which a plan may have
		}
		compared++
		lines := strings.SplitAfter(strings.TrimPrefix(text, "\uFEFF"), "\n")
		var want, got []string
		ofYAML(&want, lines, "", document.Content[0])
		ofOutline(&got, text, "", outline.Parse(text))
		for i := range max(len(want), len(got)) {
			if i >= len(want) || i >= len(got) || want[i] != got[i] {
				t.Errorf("%s: YAML has\n%q\nand the outline\n%q", path, at(want, i), at(got, i))
				break
			}
		}
	}
	if compared < 80 {
		t.Errorf("only %d plans were compared", compared)
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

func ofYAML(out *[]string, lines []string, path string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			ofYAML(out, lines, path+"/key", n.Content[i])
			ofYAML(out, lines, path+"/"+n.Content[i].Value, n.Content[i+1])
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			ofYAML(out, lines, fmt.Sprintf("%s/%d", path, i), item)
		}
	case yaml.AliasNode:
		*out = append(*out, fmt.Sprintf("%s %d:%d *%s", path, n.Line, n.Column, n.Value))
	case yaml.ScalarNode:
		if n.Value == "" && n.Style&^yaml.TaggedStyle == 0 {
			return // no value
		}
		value, column := n.Value, n.Column
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			value = "quoted"
		}
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			value = "block"
		}
		if n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 { // the outline's begin behind them
			line := []rune(lines[n.Line-1])
			for column <= len(line) && (line[column-1] == '&' || line[column-1] == '!') {
				for line[column-1] != ' ' && line[column-1] != '\n' {
					column++
				}
				for line[column-1] == ' ' {
					column++
				}
			}
		}
		*out = append(*out, fmt.Sprintf("%s %d:%d %s", path, n.Line, column, value))
	}
}

func ofOutline(out *[]string, text, path string, n *outline.Node) {
	switch {
	case n == nil:
	case n.Kind == outline.Mapping:
		for _, pair := range n.Pairs {
			ofOutline(out, text, path+"/key", pair.Key)
			ofOutline(out, text, path+"/"+pair.Key.Text, pair.Value)
		}
	case n.Kind == outline.List:
		for i, item := range n.Items {
			ofOutline(out, text, fmt.Sprintf("%s/%d", path, i), item)
		}
	default:
		before := strings.TrimPrefix(text[:n.Start], "\uFEFF")
		start := strings.LastIndexByte(before, '\n') + 1
		value := n.Text
		switch n.Quote {
		case '*':
			value = "*" + value
		case '"', '\'':
			value = "quoted"
		case '|', '>':
			value = "block"
		}
		*out = append(*out, fmt.Sprintf("%s %d:%d %s", path, strings.Count(before, "\n")+1, len([]rune(before[start:]))+1, value))
	}
}

// Whatever is cut off or typed in between, every node lies inside the text, in
// order, and a place can be asked for anywhere.
func TestOutlineOfAnyTextStaysInsideIt(t *testing.T) {
	t.Parallel()
	for path, text := range plansIn(t) {
		for cut := 0; cut < len(text); cut += 1 + len(text)/10 {
			for _, typed := range []string{text[:cut], text[:cut] + "\"" + text[cut:], text[:cut] + "{" + text[cut:], text[:cut] + "\n  - x" + text[cut:]} {
				if fault := faultIn(typed); fault != "" {
					t.Fatalf("%s, cut at %d: %s", path, cut, fault)
				}
			}
		}
	}
}

// faultIn says what is wrong with the outline of text, or "".
func faultIn(text string) string {
	root := outline.Parse(text)
	root.At(len(text) / 2)
	return faultBelow(root, 0, len(text))
}

func faultBelow(n *outline.Node, from, to int) string {
	if n == nil {
		return ""
	}
	if n.Start < from || n.End < n.Start || n.End > to {
		return fmt.Sprintf("a node from %d to %d stands in %d to %d", n.Start, n.End, from, to)
	}
	next := n.Start
	children := append([]*outline.Node(nil), n.Items...)
	for _, pair := range n.Pairs {
		children = append(children, pair.Key, pair.Value)
	}
	for _, child := range children {
		if child == nil {
			continue
		}
		if fault := faultBelow(child, next, n.End); fault != "" {
			return fault
		}
		next = child.End
	}
	return ""
}

func FuzzOutline(f *testing.F) {
	for _, text := range plansIn(f) {
		if len(text) < 2000 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if fault := faultIn(text); fault != "" {
			t.Fatal(fault)
		}
	})
}
