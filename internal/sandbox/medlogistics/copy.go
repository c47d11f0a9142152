package medlogistics

import (
	"bufio"
	"context"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A table is one to be filled: its columns and how to make row i.
type table struct {
	name    string
	columns string
	rows    int
	row     func(i int) []string // as many as columns; null is a null
}

// null is how COPY's text format writes it.
const null = `\N`

// escape makes a value safe in COPY's text format
// (https://www.postgresql.org/docs/15/sql-copy.html).
var escape = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// copyTo fills the table through a connection, a row at a time.
func (t table) copyTo(ctx context.Context, conn *pgconn.PgConn) error {
	read, write := io.Pipe()
	go func() { write.CloseWithError(t.write(write)) }()
	_, err := conn.CopyFrom(ctx, read, "copy public."+t.name+" ("+t.columns+") from stdin")
	// The writer must not wait for a reader that has given up.
	_ = read.Close()
	return err
}

func (t table) write(w io.Writer) error {
	buffer := bufio.NewWriterSize(w, 64<<10)
	for i := range t.rows {
		for column, value := range t.row(i) {
			if column > 0 {
				_ = buffer.WriteByte('\t')
			}
			if value == null {
				_, _ = buffer.WriteString(null)
			} else {
				_, _ = escape.WriteString(buffer, value)
			}
		}
		if err := buffer.WriteByte('\n'); err != nil { // the first error of the line stays
			return err
		}
	}
	return buffer.Flush()
}
