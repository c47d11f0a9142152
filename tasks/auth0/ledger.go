package auth0

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A ledger is a file of the rows whose accounts were begun and of what was read of
// each before, as salted hashes that the database made: a line is that of the row's
// values, that of its password's hash, and the row's id. By it, rows that have changed or gone since are told, of a million users
// too, and also by the next call, where one was interrupted. Its first line is the
// salt.
type ledger struct {
	file *os.File
	salt int64
	old  bool // an earlier call has begun it
}

// openLedger opens the ledger of a run's directory, mode 0600.
func openLedger(dir string) (*ledger, error) {
	file, err := os.OpenFile(filepath.Join(dir, "linked.ledger"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	l := &ledger{file: file}
	if _, err := fmt.Fscanf(file, "salt %d\n", &l.salt); err == nil {
		l.old = true
		_, err = file.WriteString("\n") // the last line of a process that died may lack its end
		return l, err
	}
	l.salt = rand.Int64() | 1 // 0 stands for no hash
	if err = file.Truncate(0); err == nil {
		_, err = fmt.Fprintf(file, "salt %d\n", l.salt)
	}
	return l, err
}

// add notes rows whose accounts are about to be made.
func (l *ledger) add(rows []outcome) error {
	var lines []byte
	for _, o := range rows {
		lines = fmt.Appendf(lines, "%d %d %s\n", o.row.digest, o.row.secret, o.row.id)
	}
	if _, err := l.file.Write(lines); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}

// each calls f with the rows, n at a time, in the order in which they were added.
func (l *ledger) each(n int, f func([]link) error) error {
	lines := bufio.NewReader(io.NewSectionReader(l.file, 0, 1<<62))
	var some []link
	for {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if k, ok := parseLine(line); ok {
			some = append(some, k)
		}
		if len(some) == n || err != nil && len(some) > 0 {
			if err := f(some); err != nil {
				return err
			}
			some = some[:0]
		}
		if err != nil {
			return nil
		}
	}
}

func parseLine(line string) (k link, ok bool) {
	line, whole := strings.CutSuffix(line, "\n")
	fields := strings.SplitN(line, " ", 3)
	if !whole || len(fields) < 3 {
		return k, false
	}
	digest, err := strconv.ParseInt(fields[0], 10, 64)
	secret, err2 := strconv.ParseInt(fields[1], 10, 64)
	return link{row: fields[2], digest: digest, secret: secret}, err == nil && err2 == nil
}

// close closes the ledger, and deletes it where nothing is left to be compared.
func (l *ledger) close(done bool) error {
	err := l.file.Close()
	if done {
		err = errors.Join(err, os.Remove(l.file.Name()))
	}
	return err
}
