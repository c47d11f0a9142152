package relay

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/medlogistics/phasegate/internal/pg"
)

// said is a session in which a table of two rows is copied.
func said(t *testing.T) (questions, answers []byte) {
	t.Helper()
	ask := func(statement string) {
		var err error
		if questions, err = (&pgproto3.Query{String: statement}).Encode(questions); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(messages ...pgproto3.BackendMessage) {
		for _, m := range messages {
			var err error
			if answers, err = m.Encode(answers); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin, row, done := &pgproto3.CopyOutResponse{ColumnFormatCodes: []uint16{0}}, &pgproto3.CopyData{Data: []byte("a row\n")}, &pgproto3.CopyDone{}
	ask("COPY public.one (id) TO stdout;")
	answer(begin, row, row, done, &pgproto3.CommandComplete{CommandTag: []byte("COPY 2")}, &pgproto3.ReadyForQuery{TxStatus: 'T'})
	return questions, answers
}

func listen(questions, answers []byte, piece int) []pg.Table {
	e := ear{hash: true}
	asked, answered := messages{part: e.ask()}, messages{part: e.hear}
	for _, side := range []struct {
		m    *messages
		said []byte
	}{{&asked, questions}, {&answered, answers}} {
		for rest := side.said; len(rest) > 0; {
			n := min(piece, len(rest))
			side.m.follow(rest[:n])
			rest = rest[n:]
		}
	}
	return e.tables
}

func TestASessionIsUnderstoodHoweverItComes(t *testing.T) {
	t.Parallel()
	questions, answers := said(t)
	var sum pg.RowSum
	_, _ = sum.Write([]byte("a row\na row\n"))
	want := fmt.Sprint([]pg.Table{{Schema: "public", Name: "one", Columns: []string{"id"}, Rows: 2, Hash: sum.Hash()}})
	for piece := 1; piece <= len(questions)+len(answers); piece++ {
		if got := listen(questions, answers, piece); fmt.Sprint(got) != want || got[0].Rows != 2 || got[0].Hash != sum.Hash() {
			t.Errorf("in pieces of %d bytes: %+v", piece, got)
		}
	}
}

// What is cut off or is no session of this protocol is heard to nobody's harm, and
// makes no table.
func TestWhatIsNoSessionMakesNoTable(t *testing.T) {
	t.Parallel()
	questions, answers := said(t)
	done := len(answers) - len("C....COPY 2\x00") - len("Z....T")
	for n := range done {
		if got := listen(questions, answers[:n], 7); len(got) > 0 {
			t.Errorf("cut after %d bytes: %+v", n, got)
		}
	}
	if got := listen(questions, answers[:done], 7); len(got) != 1 {
		t.Errorf("whole: %+v", got)
	}
	for length := range byte(4) {
		broken := append([]byte{copyOut, 0, 0, 0, length}, answers...)
		if got := listen(questions, broken, 7); len(got) > 0 {
			t.Errorf("with a length of %d: %+v", length, got)
		}
	}
	failed := append([]byte{copyOut, 0, 0, 0, 7, 0, 0, 0, errorMessage, 0, 0, 0, 5, 0}, []byte{copyDone, 0, 0, 0, 4}...)
	if got := listen(questions, failed, 7); len(got) > 0 {
		t.Errorf("with an error in the middle: %+v", got)
	}
	long := append([]byte{query, 0x7f, 0xff, 0xff, 0xff}, make([]byte, 4*statementLimit)...)
	if got := listen(long, answers, 1000); len(got) > 0 {
		t.Errorf("with an endless statement: %+v", got)
	}
}

// FuzzMessages looks for what makes an ear fall over.
func FuzzMessages(f *testing.F) {
	f.Add([]byte("Q\x00\x00\x00\x08abc\x00"), []byte{copyOut, 0, 0, 0, 7, 0, 0, 0, copyDone, 0, 0, 0, 4}, 3)
	f.Fuzz(func(_ *testing.T, questions, answers []byte, piece int) {
		listen(questions, answers, max(1, piece))
	})
}
