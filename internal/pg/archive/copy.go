package archive

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/internal/pg"
)

// ParseCopy reads pg_dump's statement "COPY schema.table (column, ...) FROM stdin;",
// or another one that ends differently. The table has no more than its names then.
func ParseCopy(statement, end string) (pg.Table, error) {
	line := strings.TrimRight(statement, "\n")
	var (
		t    pg.Table
		rest string
		ok   bool
	)
	if !strings.HasPrefix(line, "COPY ") {
		return t, errCopy(line)
	}
	if t.Schema, rest, ok = identifier(line[len("COPY "):]); !ok || rest[0] != '.' {
		return t, errCopy(line)
	}
	if t.Name, rest, ok = identifier(rest[1:]); !ok {
		return t, errCopy(line)
	}
	t.Columns = []string{}
	for opening := " ("; len(rest) > len(opening) && rest[:len(opening)] == opening; opening = ", " {
		var column string
		if column, rest, ok = identifier(rest[len(opening):]); !ok {
			return t, errCopy(line)
		}
		t.Columns = append(t.Columns, column)
	}
	if len(t.Columns) > 0 {
		if rest[0] != ')' {
			return t, errCopy(line)
		}
		rest = rest[1:]
	}
	// A table without columns has two spaces here.
	if string(bytes.TrimLeft([]byte(rest), " ")) != end {
		return t, errCopy(line)
	}
	return t, nil
}

// identifier reads a name, quoted or not, and returns what follows it, which is
// never empty.
func identifier(text string) (name, rest string, ok bool) {
	if text == "" || text[0] != '"' {
		end := 0
		for end < len(text) && !bytes.ContainsRune([]byte(" .,()"), rune(text[end])) {
			end++
		}
		return text[:end], text[end:], end > 0 && end < len(text)
	}
	var unquoted []byte
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			unquoted = append(unquoted, text[i])
			continue
		}
		if i+1 == len(text) {
			return "", "", false
		}
		if text[i+1] != '"' {
			return string(unquoted), text[i+1:], true
		}
		unquoted = append(unquoted, '"')
		i++
	}
	return "", "", false
}

// errCopy quotes the statement: it names a table and its columns, and no data.
func errCopy(statement string) error {
	return fmt.Errorf("the archive has a COPY that cannot be read: %.200s", statement)
}
