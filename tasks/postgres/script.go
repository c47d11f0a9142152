package postgres

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/medlogistics/phasegate/internal/pg"
)

// A script takes the SQL that pg_restore makes of an archive and sums up the
// rows of every COPY in it, in constant memory. Whatever stands between the
// COPYs is passed over.
type script struct {
	tables  []pg.Table
	sum     *pg.RowSum // of the COPY that is being read, nil between them
	held    []byte     // start of a line whose end has not come yet
	flushed bool       // the start of this row is in the sum already
}

// longestHeld is the part of a row beyond which it is summed up before its end
// has come, in bytes. The line that begins a COPY is shorter.
const longestHeld = 1 << 20

// Write reads a piece of the script.
func (s *script) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.hold(p)
			break
		}
		line := p[:end]
		if len(s.held) > 0 {
			s.held = append(s.held, line...)
			line = s.held
		}
		if err := s.line(line); err != nil {
			return 0, err
		}
		s.held = s.held[:0]
		p = p[end+1:]
	}
	return written, nil
}

func (s *script) hold(p []byte) {
	s.held = append(s.held, p...)
	if len(s.held) < longestHeld {
		return
	}
	if s.sum != nil {
		s.sum.WritePart(s.held)
		s.flushed = true
	}
	s.held = s.held[:0]
}

func (s *script) line(line []byte) error {
	switch {
	case s.sum == nil && bytes.HasPrefix(line, []byte("COPY ")):
		table, err := parseCopy(string(line))
		if err != nil {
			return err
		}
		s.tables = append(s.tables, table)
		s.sum = &pg.RowSum{}
	case s.sum == nil:
	case s.flushed:
		s.sum.WritePart(line)
		s.sum.EndLine()
		s.flushed = false
	case string(line) == `\.`:
		table := &s.tables[len(s.tables)-1]
		table.Rows, table.Hash = s.sum.Rows(), s.sum.Hash()
		s.sum = nil
	default:
		s.sum.WriteLine(line)
	}
	return nil
}

// end fails if the script stopped within a table.
func (s *script) end() error {
	if s.sum != nil {
		return fmt.Errorf("the archive ends within table %s", s.tables[len(s.tables)-1])
	}
	return nil
}

// parseCopy reads the line "COPY schema.table (column, ...) FROM stdin;".
func parseCopy(line string) (pg.Table, error) {
	var (
		t    pg.Table
		rest string
		ok   bool
	)
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
	if string(bytes.TrimLeft([]byte(rest), " ")) != "FROM stdin;" {
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

func errCopy(line string) error {
	return errors.Join(errors.New("the archive has a COPY that cannot be read"), errors.New(clip(line)))
}
