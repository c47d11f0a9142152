package postgres

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A row is one of a table as COPY sends it: its fields are escaped, so that two
// are equal if their bytes are.
type row struct {
	hash   int64
	marked int64 // how many of them may be new in the replaced database, or are the live one's own
	count  int64 // how often it is there; 1 where the table has a key
	fields [][]byte
}

// isNull tells whether a field is null.
func isNull(field []byte) bool { return len(field) == 2 && field[0] == '\\' && field[1] == 'N' }

// A rowReader reads the rows of a COPY in the order of their hashes. It holds
// one of them at a time.
type rowReader struct {
	from *bufio.Reader
	line []byte
	now  row
	done bool
}

// rowQuery is the COPY that a rowReader reads: the suspect rows, in the order of
// their hashes. The key, or the whole row, orders those of the same hash, which
// hardly ever occur.
func rowQuery(p pair, mark string, suspects *suspicion) string {
	table := []string{p.hash() + " as " + hashColumn, mark + " as " + markColumn}
	order := []string{hashColumn}
	if len(p.key) > 0 {
		fields := []string{hashColumn, markColumn + "::int", "1"}
		for _, c := range p.columns {
			fields = append(fields, quote(c))
		}
		for _, c := range p.key {
			order = append(order, quote(c)+`::text collate "C"`)
		}
		return fmt.Sprintf("copy (select %s from (select %s, * from only %s) t where %s order by %s) to stdout",
			list(fields), list(table), p.kept.quoted, suspects.has(hashColumn), list(order))
	}
	// A type such as json knows no equality: rows are grouped by their text.
	for i, c := range p.columns {
		name := fmt.Sprintf("c%d", i)
		table = append(table, fmt.Sprintf(`case when %[1]s is not null then format('%%s', %[1]s) end collate "C" as %[2]s`, quote(c), name))
		order = append(order, name)
	}
	fields := slices.Concat([]string{hashColumn, "count(*) filter (where " + markColumn + ")", "count(*)"}, order[1:])
	return fmt.Sprintf("copy (select %s from (select %s from only %s) t where %s group by %s order by %[5]s) to stdout",
		list(fields), list(table), p.kept.quoted, suspects.has(hashColumn), list(order))
}

func list(items []string) string { return strings.Join(items, ", ") }

// next reads the next row into now, or sets done.
func (r *rowReader) next() error {
	r.line = r.line[:0]
	for {
		piece, err := r.from.ReadSlice('\n')
		r.line = append(r.line, piece...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && len(r.line) == 0 {
			r.done = true
			return nil
		}
		if err != nil {
			return err
		}
		return r.parse(r.line[:len(r.line)-1])
	}
}

func (r *rowReader) parse(line []byte) (err error) {
	r.now.fields = r.now.fields[:0]
	for rest, more := line, true; more; {
		var field []byte
		field, rest, more = bytes.Cut(rest, []byte{'\t'})
		r.now.fields = append(r.now.fields, field)
	}
	if len(r.now.fields) < 3 {
		return fmt.Errorf("a row has %d fields", len(r.now.fields))
	}
	for i, number := range []*int64{&r.now.hash, &r.now.marked, &r.now.count} {
		if *number, err = strconv.ParseInt(string(r.now.fields[i]), 10, 64); err != nil {
			return fmt.Errorf("read the numbers of a row: %w", err)
		}
	}
	r.now.fields = r.now.fields[3:]
	return nil
}

// copyRows begins a COPY and returns a reader of its rows. The returned function
// ends it, and returns when the connection is free again.
func copyRows(ctx context.Context, conn *pgx.Conn, query string) (*rowReader, func()) {
	ctx, cancel := context.WithCancel(ctx)
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pieces := bufio.NewWriterSize(in, 1<<16)
		_, err := conn.PgConn().CopyTo(ctx, pieces, query)
		if err == nil {
			err = pieces.Flush()
		}
		_ = in.CloseWithError(err) // nil is the end
	}()
	return &rowReader{from: bufio.NewReaderSize(out, 1<<16)}, func() {
		_ = out.Close()
		cancel()
		<-ended
	}
}

// mergeRows reads two COPYs at the same time and calls meet for each row that
// is in either of them, with nil for the one that lacks it.
func mergeRows(ctx context.Context, conns [2]*pgx.Conn, queries [2]string, identity []int, meet func(kept, live *row) error) error {
	kept, endKept := copyRows(ctx, conns[0], queries[0])
	defer endKept()
	live, endLive := copyRows(ctx, conns[1], queries[1])
	defer endLive()
	return meetRows(kept, live, identity, meet)
}

func meetRows(kept, live *rowReader, identity []int, meet func(kept, live *row) error) error {
	if err := errors.Join(kept.next(), live.next()); err != nil {
		return err
	}
	for !kept.done || !live.done {
		order := compareRows(kept, live, identity)
		var k, l *row
		if order <= 0 {
			k = &kept.now
		}
		if order >= 0 {
			l = &live.now
		}
		if err := meet(k, l); err != nil {
			return err
		}
		if k != nil {
			if err := kept.next(); err != nil {
				return err
			}
		}
		if l != nil {
			if err := live.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareRows tells which of the two comes first; the end comes last.
func compareRows(kept, live *rowReader, identity []int) int {
	switch {
	case kept.done:
		return 1
	case live.done:
		return -1
	case kept.now.hash != live.now.hash:
		if kept.now.hash < live.now.hash {
			return -1
		}
		return 1
	}
	for _, i := range identity {
		if order := bytes.Compare(kept.now.fields[i], live.now.fields[i]); order != 0 {
			return order
		}
	}
	return 0
}
