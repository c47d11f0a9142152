package pg_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/medlogistics/phasegate/internal/pg"
)

func TestRowSumIsTheSameInWhateverPiecesAndOrderRowsCome(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&text, "%d\trow number %d\n", i, i*i)
	}
	text.WriteString("\n") // a table without columns has empty lines
	var whole pg.RowSum
	mustWrite(t, &whole, text.Bytes())
	if whole.Rows() != 101 {
		t.Fatalf("rows = %d, want 101", whole.Rows())
	}
	for size := 1; size < 20; size++ {
		var pieces pg.RowSum
		for chunk := range bytesChunks(text.Bytes(), size) {
			mustWrite(t, &pieces, chunk)
		}
		if pieces.Hash() != whole.Hash() || pieces.Rows() != whole.Rows() {
			t.Errorf("in pieces of %d bytes: %d rows %s, want %d rows %s", size, pieces.Rows(), pieces.Hash(), whole.Rows(), whole.Hash())
		}
	}
	lines := bytes.Split(bytes.TrimSuffix(text.Bytes(), []byte("\n")), []byte("\n"))
	var backwards pg.RowSum
	for _, line := range slices.Backward(lines) {
		backwards.WriteLine(line)
	}
	if backwards.Hash() != whole.Hash() {
		t.Error("the order of the rows changes the hash")
	}
}

func TestRowSumCountsRowsThatOccurTwice(t *testing.T) {
	t.Parallel()
	var none, twice, once pg.RowSum
	mustWrite(t, &twice, []byte("a\na\n"))
	mustWrite(t, &once, []byte("a\n"))
	if twice.Hash() == none.Hash() || twice.Hash() == once.Hash() {
		t.Errorf("hashes of no row %s, one %s and two %s should differ", none.Hash(), once.Hash(), twice.Hash())
	}
}

func TestRowSumOfOneRowIsItsMurmurHash3(t *testing.T) {
	t.Parallel()
	var sum pg.RowSum
	mustWrite(t, &sum, []byte("The quick brown fox jumps over the lazy dog\n"))
	// As other implementations have it, such as Guava's.
	if want := "e34bbc7bbc071b6c7a433ca9c49a9347"; sum.Hash() != want {
		t.Errorf("hash = %s, want %s", sum.Hash(), want)
	}
}

func mustWrite(t *testing.T, sum *pg.RowSum, p []byte) {
	t.Helper()
	if n, err := sum.Write(p); err != nil || n != len(p) {
		t.Fatalf("write %d bytes: %d, %v", len(p), n, err)
	}
}

func bytesChunks(p []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			n := min(size, len(p))
			if !yield(p[:n]) {
				return
			}
			p = p[n:]
		}
	}
}
