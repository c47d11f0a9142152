package relay

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/pg/archive"
)

// An ear follows both sides of a session, and counts or sums up the rows of every
// table that the program copies as a whole.
type ear struct {
	hash   bool // their content too
	tables []pg.Table

	asked   atomic.Pointer[string] // the program's last statement, as far as statementLimit
	copying bool                   // rows come
	table   *pg.Table              // theirs; nil: of no table, or not of all of it
	count   int64                  // of them
	sum     pg.RowSum              // of them, if it is asked for
}

// Kinds of messages.
const (
	query        = 'Q' // to the server
	copyOut      = 'H' // rows follow
	copyData     = 'd' // a row
	copyDone     = 'c' // that was the last one
	errorMessage = 'E'
)

// between carries what each side says to the other, until one of them hangs up.
func (e *ear) between(program, server net.Conn) {
	var asking sync.WaitGroup
	asking.Go(func() {
		defer server.Close()
		carry(program, server, &messages{part: e.ask()}, func() bool { return false })
	})
	carry(server, program, &messages{part: e.hear}, func() bool { return e.copying })
	_ = program.Close()
	asking.Wait()
}

const (
	// bufferSize is how much is carried at a time, in bytes.
	bufferSize = 128 << 10

	// pause is how long a few rows wait for more: the server sends 8 kB at a time,
	// for which alone neither we nor pg_dump should wake up. It is short enough for
	// the system's buffers not to be full by its end.
	pause = time.Millisecond
)

// carry takes what from says to to. While it is a flood it comes in big pieces.
func carry(from, to net.Conn, m *messages, flood func() bool) {
	buffer := make([]byte, bufferSize)
	for {
		n, err := from.Read(buffer)
		m.follow(buffer[:n])
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
		if n < bufferSize/2 && flood() {
			time.Sleep(pause)
		}
	}
}

// statementLimit is how long a statement may be that is understood, in bytes: the
// names of 1,600 columns, as many as a table can have.
const statementLimit = 1 << 18

// ask returns what follows the program's messages.
func (e *ear) ask() func(kind byte, piece []byte, last bool) {
	var text []byte
	return func(kind byte, piece []byte, last bool) {
		if kind != query {
			return
		}
		text = append(text, piece[:min(len(piece), statementLimit-len(text))]...)
		if last {
			statement := string(text[:max(0, len(text)-1)]) // without the byte 0 at its end
			e.asked.Store(&statement)
			text = text[:0]
		}
	}
}

// hear follows the server's messages.
func (e *ear) hear(kind byte, piece []byte, last bool) {
	switch {
	case kind == copyData:
		if last {
			e.count++ // always one row a message: protocol-flow.html, "COPY Operations"
		}
		if e.hash && e.table != nil {
			_, _ = e.sum.Write(piece) // it never fails
		}
	case kind == copyOut && last:
		e.begin()
	case kind == copyDone && e.table != nil:
		e.table.Rows = e.count
		if e.hash {
			e.table.Hash = e.sum.Hash()
		}
		e.tables = append(e.tables, *e.table)
		e.copying, e.table = false, nil
	case kind == copyDone || kind == errorMessage:
		e.copying, e.table = false, nil
	}
}

// begin finds out whose rows come. What is no whole table, such as a part of an
// extension's configuration, is not heard.
func (e *ear) begin() {
	e.copying, e.table, e.count, e.sum = true, nil, 0, pg.RowSum{}
	if asked := e.asked.Load(); asked != nil {
		if table, err := archive.ParseCopy(*asked, "TO stdout;"); err == nil {
			e.table = &table
		}
	}
}
