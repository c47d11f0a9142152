package ci

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf16"
)

// mostOutput is how large a value may be, in bytes of UTF-16. A job may have 1
// MiB of outputs in all, so that what belongs into a file does not fit here.
const mostOutput = 16 << 10

// A SecretOutputError is about an output that GitHub would drop without a word,
// because a secret happens to be in it.
type SecretOutputError struct {
	Name   string // of the output
	Length int    // of the secret, in bytes
}

func (e *SecretOutputError) Error() string {
	return fmt.Sprintf("a secret of %d characters happens to be in output %s, which GitHub drops for that", e.Length, e.Name)
}

// Advice says what to do about it.
func (e *SecretOutputError) Advice() string {
	return "choose a longer secret, or declare the variable without secret: true if it is none"
}

// Output sets an output of the job. Values are small and scalar; the whole of
// what they are about is in files. What holds a secret is not set.
func (j *Job) Output(name, value string) error {
	if j.output == "" {
		return nil
	}
	if size := 2 * len(utf16.Encode([]rune(value))); size > mostOutput {
		return fmt.Errorf("output %s has %d bytes, more than %d", name, size, mostOutput)
	}
	for _, secret := range j.masked {
		if strings.Contains(value, secret) {
			return &SecretOutputError{name, len(secret)}
		}
	}
	entry, err := fileCommand(name, value, "ghadelimiter_"+random())
	if err != nil {
		return err
	}
	return appendTo(j.output, entry)
}

// fileCommand is NAME<<DELIMITER, the value and the delimiter again, which is
// how a value of any form is passed to the runner (FileCommandManager.cs).
func fileCommand(name, value, delimiter string) (string, error) {
	if name == "" || strings.ContainsAny(name, "=<\r\n") {
		return "", fmt.Errorf("%q cannot be the name of an output", name)
	}
	if strings.Contains(value, delimiter) {
		return "", errors.New("the value holds the delimiter")
	}
	return name + "<<" + delimiter + "\n" + value + "\n" + delimiter + "\n", nil
}

// mostSummary is how much of a page is written: the runner uploads nothing of
// one that is larger than 1 MiB.
const mostSummary = 900 << 10

// Summarize adds Markdown to the step's page, cut where the page would be too
// large for the runner. The rest is then somewhere else, which the page says.
func (j *Job) Summarize(markdown, elsewhere string) error {
	if j.summary == "" {
		return nil
	}
	var size int64
	if info, err := os.Stat(j.summary); err == nil {
		size = info.Size()
	}
	const fence = "\n  ```" // ends a block in a list too
	cut := "\n\n*The rest does not fit on this page; it is " + elsewhere + ".*\n"
	if left := mostSummary - int(size) - len(fence+cut); len(markdown) > left {
		if left < 0 {
			return nil // the page has said so already
		}
		markdown = strings.ToValidUTF8(markdown[:left], "")
		if strings.Count(markdown, "```")%2 == 1 {
			markdown += fence
		}
		markdown += cut
	}
	return appendTo(j.summary, markdown)
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open a file of the runner's: %w", err)
	}
	_, err = file.WriteString(text)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write a file of the runner's: %w", err)
	}
	return nil
}
