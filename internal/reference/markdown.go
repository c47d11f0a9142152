package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/medlogistics/phasegate/runner/task"
)

const preface = `# The tasks

What a step of a plan can do. ` + "`make generate`" + ` writes this page from the
sources of the tasks; ` + "`phasegate tasks NAME`" + ` prints one section of it.

- A task that *changes* something is undone by its phase's ` + "`rollback:`" + `.
- A task that *looks* changes nothing but its own artifacts.
- A *gate* looks too. It may be closed for now, and is looked at again whenever the run goes on.

The keys stand under a step's ` + "`with:`" + `. Another step refers to a field of the
receipt as ` + "`${{ steps.ID.FIELD }}`" + `.

`

// kinds are the words for what a task may do.
var kinds = map[task.Kind]string{task.Changes: "changes", task.Looks: "looks", task.Gates: "gate"}

// An entry is a task with all that is said of it.
type entry struct {
	spec    task.Spec
	doc     string // Markdown
	config  []key
	receipt []key
}

// entries reads what the sources say of every task. Its error names everything
// that they do not say.
func (s *source) entries(set task.Set) ([]entry, error) {
	var entries []entry
	var failures []error
	for _, spec := range set.All() {
		doc, docErr := s.doc(spec.Config)
		prototype := reflect.ValueOf(spec.New().Config()).Elem()
		config, configErr := s.keys(prototype, nil, task.Fields)
		receipt, receiptErr := s.keys(reflect.Zero(spec.Receipt), nil, task.ReceiptFields)
		if err := errors.Join(docErr, configErr, receiptErr); err != nil {
			failures = append(failures, fmt.Errorf("task %s: %w", spec.Name, err))
		}
		entries = append(entries, entry{spec, doc, config, receipt})
	}
	return entries, errors.Join(failures...)
}

// markdown is the page docs/tasks.md.
func markdown(entries []entry) string {
	var b strings.Builder
	b.WriteString(preface)
	rows := [][]string{{"task", "kind", "what it does"}}
	for _, e := range entries {
		anchor := strings.ReplaceAll(e.spec.Name, "/", "")
		rows = append(rows, []string{fmt.Sprintf("[%s](#%s)", e.spec.Name, anchor), kinds[e.spec.Kind], firstSentence(e.doc)})
	}
	b.WriteString(table(rows))
	for _, e := range entries {
		fmt.Fprintf(&b, "\n## %s\n\nKind: %s.\n\n%s\n", e.spec.Name, kinds[e.spec.Kind], e.doc)
		if len(e.config) > 0 {
			b.WriteString("\n" + table(configRows("", e.config, [][]string{{"key", "type", "default", "meaning"}})))
		}
		if len(e.receipt) > 0 {
			b.WriteString("\nReceipt:\n\n" + table(receiptRows("", e.receipt, [][]string{{"field", "type", "meaning"}})))
		}
	}
	return b.String()
}

func configRows(prefix string, keys []key, rows [][]string) [][]string {
	for _, k := range keys {
		value := k.value
		if k.required {
			value = "required"
		} else if value != "" {
			value = "`" + value + "`"
		}
		rows = append(rows, []string{"`" + prefix + k.name + "`", k.describe(), value, k.doc})
		rows = configRows(prefix+k.name+below(k.typ), k.keys, rows)
	}
	return rows
}

func receiptRows(prefix string, keys []key, rows [][]string) [][]string {
	for _, k := range keys {
		rows = append(rows, []string{"`" + prefix + k.name + "`", typeName(k.typ), k.doc})
		rows = receiptRows(prefix+k.name+below(k.typ), k.keys, rows)
	}
	return rows
}

// below is what stands between a key and the keys of what it holds.
func below(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "[]."
	case reflect.Map:
		return ".NAME."
	}
	return "."
}

// firstSentence is the text up to the first full stop, on one line.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(text, "\n\n")
	text = strings.Join(strings.Fields(text), " ")
	if sentence, _, ok := strings.Cut(text, ". "); ok {
		return sentence + "."
	}
	return text
}

// table lays out rows so that they can be read as text too: every column but
// the last is padded.
func table(rows [][]string) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	rule := make([]string, len(width))
	for i := range rule {
		rule[i] = strings.Repeat("-", width[i])
	}
	rule[len(rule)-1] = "---"
	rows = slices.Insert(slices.Clone(rows), 1, rule)
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i == len(row)-1 {
				width[i] = 0
			}
			fmt.Fprintf(&b, "| %-*s ", width[i], cell)
		}
		b.WriteString("|\n")
	}
	return b.String()
}
