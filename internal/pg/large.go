package pg

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// LargeObjects is what was found in a database's large objects. The zero value
// is that of a database without any.
type LargeObjects struct {
	Count int64  `json:"count"`          // number of them
	Bytes int64  `json:"bytes"`          // in all of them
	Hash  string `json:"hash,omitempty"` // a [RowSum] in which each is a row: its oid, a newline, its content; "" if they were only counted

	sum RowSum
}

// Begin starts a large object, whose content is written next.
func (l *LargeObjects) Begin(oid uint32) {
	l.Count++
	l.sum.WritePart(append(strconv.AppendUint(nil, uint64(oid), 10), '\n'))
}

// Write takes a piece of the content.
func (l *LargeObjects) Write(part []byte) {
	l.Bytes += int64(len(part))
	l.sum.WritePart(part)
}

// End ends a large object.
func (l *LargeObjects) End() {
	l.sum.EndLine()
	l.Hash = l.sum.Hash()
}

// Differ returns a sentence if got is not what l is, "" if it is. Size and
// content are compared where both were read.
func (l LargeObjects) Differ(got LargeObjects) string {
	switch {
	case l.Count != got.Count:
		return fmt.Sprintf("there are %d large objects, not %d", got.Count, l.Count)
	case l.Hash != "" && got.Hash != "" && (l.Hash != got.Hash || l.Bytes != got.Bytes):
		return fmt.Sprintf("there are %d large objects, as many as there should be, but of other content", got.Count)
	}
	return ""
}

// CountLarge counts the large objects in conn's transaction.
func CountLarge(ctx context.Context, conn *pgx.Conn) (l LargeObjects, err error) {
	if err := conn.QueryRow(ctx, "select count(*) from pg_largeobject_metadata").Scan(&l.Count); err != nil {
		return l, fmt.Errorf("count the large objects: %w", err)
	}
	return l, nil
}

// A large object is read in pieces of this size, in bytes, and so many at once.
const (
	largePiece = 64 << 10
	largeBatch = 64
)

// SumLarge reads the large objects in conn's transaction.
func SumLarge(ctx context.Context, conn *pgx.Conn) (l LargeObjects, err error) {
	err = eachLarge(ctx, conn, "false", func(o largeStart) error { return l.read(ctx, conn, o) })
	return l, err
}

// A LargeObject is one of a database.
type LargeObject struct {
	OID    uint32
	Marked bool   // the condition holds
	Hash   string // of its oid and content
}

// LargeEach reads the large objects in conn's transaction one by one, in the
// order of their oids. The condition is SQL on pg_largeobject_metadata. Nothing
// comes behind an error.
func LargeEach(ctx context.Context, conn *pgx.Conn, condition string) iter.Seq2[LargeObject, error] {
	return func(yield func(LargeObject, error) bool) {
		err := eachLarge(ctx, conn, condition, func(o largeStart) error {
			var one LargeObjects
			if err := one.read(ctx, conn, o); err != nil {
				return err
			}
			if !yield(LargeObject{o.OID, o.Marked, one.Hash}, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(LargeObject{}, err)
		}
	}
}

// errEnough ends the reading of large objects.
var errEnough = errors.New("enough")

// eachLarge calls read for each large object, in the order of their oids. It
// holds a few of their first pieces at a time.
func eachLarge(ctx context.Context, conn *pgx.Conn, condition string, read func(largeStart) error) error {
	for next := int64(0); ; {
		rows, err := conn.Query(ctx, fmt.Sprintf(`
			select oid, %s, lo_get(oid, 0, $2) from pg_largeobject_metadata where oid >= $1::bigint::oid order by oid limit $3`, condition),
			next, largePiece, largeBatch)
		if err != nil {
			return fmt.Errorf("read the large objects: %w", err)
		}
		batch, err := pgx.CollectRows(rows, pgx.RowToStructByPos[largeStart])
		if err != nil {
			return fmt.Errorf("read the large objects: %w", err)
		}
		for _, o := range batch {
			if err := read(o); err != nil {
				return fmt.Errorf("read large object %d: %w", o.OID, err)
			}
			next = int64(o.OID) + 1
		}
		if len(batch) < largeBatch || next > 1<<32-1 {
			return nil
		}
	}
}

// largeStart is a large object with its first piece.
type largeStart struct {
	OID    uint32
	Marked bool
	Piece  []byte
}

func (l *LargeObjects) read(ctx context.Context, conn *pgx.Conn, o largeStart) error {
	l.Begin(o.OID)
	piece := o.Piece
	for at := int64(0); ; {
		l.Write(piece)
		if len(piece) < largePiece {
			break
		}
		at += int64(len(piece))
		if err := conn.QueryRow(ctx, "select lo_get($1, $2, $3)", o.OID, at, largePiece).Scan(&piece); err != nil {
			return err
		}
	}
	l.End()
	return nil
}
