// Package citest does what GitHub's runner does with what a step writes, so that
// tests can hold it against the real rules: those of actions/runner v2.336.
package citest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf16"
)

// The runner's limits, in bytes.
const (
	MostOutputs = 1 << 20 // of a job's outputs, as UTF-16
	MostSummary = 1 << 20 // of a step's page
)

// Outputs reads a file of outputs: FileCommandManager.cs, EnvFileKeyValuePairs.
// A later value of a name wins.
func Outputs(file string) (map[string]string, error) {
	outputs := map[string]string{}
	rest := file
	next := func() (line, end string, more bool) {
		if rest == "" {
			return "", "", false
		}
		at := strings.IndexByte(rest, '\n')
		if at < 0 {
			line, rest = rest, ""
			return line, "", true
		}
		line, rest = rest[:at], rest[at+1:]
		return line, "\n", true
	}
	for line, _, more := next(); more; line, _, more = next() {
		if line == "" {
			continue
		}
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			if equals == 0 {
				return nil, fmt.Errorf("invalid format %q: name must not be empty", line)
			}
			outputs[line[:equals]] = line[equals+1:]
		case heredoc >= 0:
			name, delimiter := line[:heredoc], line[heredoc+2:]
			if name == "" || delimiter == "" {
				return nil, fmt.Errorf("invalid format %q: name and delimiter must not be empty", line)
			}
			lines := []string{}
			for {
				text, end, more := next()
				if !more {
					return nil, fmt.Errorf("matching delimiter not found %q", delimiter)
				}
				if text == delimiter {
					break
				}
				if end == "" {
					return nil, errors.New("EOF marker missing new line")
				}
				lines = append(lines, text)
			}
			outputs[name] = strings.Join(lines, "\n")
		default:
			return nil, fmt.Errorf("invalid format %q", line)
		}
	}
	return outputs, nil
}

// Kept returns the outputs that reach the next job: the runner drops those that
// hold anything masked, and the job fails when the rest is too large.
func Kept(outputs map[string]string, masks ...string) (map[string]string, error) {
	kept, size := map[string]string{}, 0
	for name, value := range outputs {
		if value == "" || holds(value, masks) {
			continue
		}
		kept[name] = value
		size += 2 * len(utf16.Encode([]rune(value)))
	}
	if size > MostOutputs {
		return nil, fmt.Errorf("the outputs have %d bytes, more than %d", size, MostOutputs)
	}
	return kept, nil
}

func holds(value string, masks []string) bool {
	for _, mask := range masks {
		for _, encoded := range Encodings(mask) {
			if encoded != "" && strings.Contains(value, encoded) {
				return true
			}
		}
	}
	return false
}

// Encodings are the forms in which the runner finds a secret: ValueEncoders.cs
// and SecretMasker.
func Encodings(secret string) []string {
	quoted, _ := json.Marshal(secret)
	forms := []string{
		secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret),
		strings.ReplaceAll(secret, `"`, `\"`), strings.Trim(secret, `"`), strings.Trim(secret, "'"),
	}
	for shift := range 3 { // a secret inside a longer text that is encoded
		if len(secret) > shift {
			encoded := base64.StdEncoding.EncodeToString([]byte(secret[shift:]))
			forms = append(forms, strings.TrimRight(encoded, "="))
		}
	}
	return forms
}
