package ci

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// The limits of a step's annotations, and of one of them in bytes:
// https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md#limitations
// and ExecutionContext.cs of the runner.
const (
	mostAnnotations = 10
	mostMessage     = 4096
)

// escapeData escapes what stands behind the two colons of a workflow command, and
// takes out what would be an old one.
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", "##[", "# #[").Replace(s)
}

// escapeProperty escapes the value of a workflow command's property.
func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", "##[", "# #[", ":", "%3A", ",", "%2C").Replace(s)
}

// A property is one of a workflow command's: name and value.
type property struct{ name, value string }

// command writes a workflow command, which the runner takes from the step's
// output.
func command(w io.Writer, name, data string, properties ...property) {
	var b strings.Builder
	b.WriteString("::" + name)
	for i, p := range properties {
		b.WriteString(map[bool]string{true: " ", false: ","}[i == 0])
		b.WriteString(p.name + "=" + escapeProperty(p.value))
	}
	b.WriteString("::" + escapeData(data) + "\n")
	_, _ = io.WriteString(w, b.String()) // a log that is gone is no reason to stop
}

// Mask keeps a secret out of the job's log. A secret of several lines is masked
// line by line; what is too short to be one, and would shred the log, is not. But
// GitHub masks those of its own store however short they are: see Output.
func (j *Job) Mask(secret string) {
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); line != "" {
			j.masked = append(j.masked, line)
		}
		if len(line) >= shortestMask {
			command(j.log, "add-mask", line)
		}
	}
}

// shortestMask is how long a text has to be to be masked.
const shortestMask = 4

// Group begins a foldable part of the log, and ends it. Groups do not nest.
func (j *Job) Group(title string) (end func()) {
	command(j.log, "group", title)
	return func() { command(j.log, "endgroup", "") }
}

// random is a text that nobody can foresee.
func random() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails: https://pkg.go.dev/crypto/rand#Read
	return hex.EncodeToString(b)
}

// Fail marks the whole job with why it could not do what it was asked for.
func (j *Job) Fail(message string) { j.annotate("error", "", 0, 0, "phasegate", message) }

// inRepository is a file as the repository names it: annotations stand at no
// other, wherever in the repository the step works.
func (j *Job) inRepository(file string) string {
	absolute, err := filepath.Abs(file)
	if err != nil || j.Workspace == "" {
		return file
	}
	if relative, err := filepath.Rel(j.Workspace, absolute); err == nil && filepath.IsLocal(relative) {
		return relative
	}
	return file
}

// annotate marks a place of a file with a message: level is error, warning or
// notice. A line of 0 is none.
func (j *Job) annotate(level, file string, line, column int, title, message string) {
	properties := []property{}
	if file != "" {
		properties = append(properties, property{"file", j.inRepository(file)})
		if line > 0 {
			properties = append(properties, property{"line", fmt.Sprint(line)})
			if column > 0 {
				properties = append(properties, property{"col", fmt.Sprint(column)})
			}
		}
	}
	properties = append(properties, property{"title", title})
	if len(message) > mostMessage {
		message = message[:mostMessage-len("…")] + "…"
	}
	command(j.log, level, strings.ToValidUTF8(message, ""), properties...)
}
