// Package archive reads what pg_dump --format=custom --compress=0 writes: the
// table of contents, and every row and large object behind it, in one pass and
// in constant memory. It needs no server and no program of PostgreSQL.
//
// The format is that of src/bin/pg_dump/pg_backup_archiver.c and
// pg_backup_custom.c, versions 1.14 (PostgreSQL 12) to 1.16 (PostgreSQL 17, 18).
package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/medlogistics/phasegate/internal/pg"
)

// Contents is what an archive holds.
type Contents struct {
	Database  string // its name
	Server    string // version of the server, such as 15.18
	Tables    []pg.Table
	Sequences []pg.Sequence
	Large     pg.LargeObjects
}

// ErrVersion is wrapped by the error of an archive in a version of the format
// that this package does not know.
var ErrVersion = errors.New("unknown version of the archive format")

// Read reads an archive to its end. Its error tells where it is not what pg_dump
// writes: it is cut short, something is missing, or something is left over.
func Read(r io.Reader) (Contents, error) {
	d := &decoder{r: bufio.NewReaderSize(r, 256<<10)}
	var c Contents
	if err := d.head(&c); err != nil {
		return c, fmt.Errorf("read the head of the archive: %w", err)
	}
	entries, err := d.entries(&c)
	if err != nil {
		return c, fmt.Errorf("read the archive's table of contents: %w", err)
	}
	for {
		kind, err := d.r.ReadByte()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return c, fmt.Errorf("read the archive: %w", err)
		}
		if err := d.block(kind, entries, &c); err != nil {
			return c, err
		}
	}
	for _, e := range entries {
		if e.data && !e.read {
			return c, fmt.Errorf("the archive ends before the data of %s", e)
		}
	}
	slices.SortFunc(c.Tables, func(a, b pg.Table) int { return a.Compare(b) })
	slices.SortFunc(c.Sequences, func(a, b pg.Sequence) int { return a.Compare(b) })
	return c, nil
}

// Kinds of blocks.
const (
	blockData  = 1
	blockLarge = 3
)

// block reads the data of one entry.
func (d *decoder) block(kind byte, entries map[int64]*entry, c *Contents) error {
	id, err := d.int()
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	e := entries[id]
	switch {
	case e == nil || !e.data:
		return fmt.Errorf("the archive has data for entry %d, which its table of contents does not name", id)
	case e.read:
		return fmt.Errorf("the archive has the data of %s twice", e)
	}
	e.read = true
	switch {
	case kind == blockData && e.kind == "TABLE DATA":
		err = d.table(e, c)
	case kind == blockLarge && e.kind == "BLOBS":
		err = d.large(&c.Large)
	default:
		err = fmt.Errorf("its data is of kind %d", kind)
	}
	if err != nil {
		return fmt.Errorf("read the data of %s in the archive: %w", e, err)
	}
	return nil
}

// table reads the rows of a table.
func (d *decoder) table(e *entry, c *Contents) error {
	table, err := ParseCopy(e.copy, "FROM stdin;")
	if err != nil {
		return err
	}
	var rows rows
	if err := d.chunks(rows.write); err != nil {
		return err
	}
	if !rows.ended || rows.open || len(rows.held) > 0 {
		return errors.New("the rows have no end, or something is behind it")
	}
	table.Rows, table.Hash = rows.sum.Rows(), rows.sum.Hash()
	c.Tables = append(c.Tables, table)
	return nil
}

// large reads large objects. A database of many has them in several blocks.
func (d *decoder) large(sum *pg.LargeObjects) error {
	for {
		oid, err := d.int()
		if err != nil || oid == 0 {
			return err
		}
		// An oid is unsigned, and was written as a signed number.
		sum.Begin(uint32(oid))
		if err := d.chunks(func(part []byte) error { sum.Write(part); return nil }); err != nil {
			return err
		}
		sum.End()
	}
}

// chunks passes on a block's data, which comes in pieces with their length in
// front; a length of 0 is the end.
func (d *decoder) chunks(take func([]byte) error) error {
	for {
		left, err := d.int()
		if err != nil || left == 0 {
			return err
		}
		if left < 0 {
			return fmt.Errorf("a piece has a length of %d", left)
		}
		for left > 0 {
			part, err := d.r.Peek(int(min(left, int64(d.r.Size()))))
			if err != nil {
				return cut(err)
			}
			if err := take(part); err != nil {
				return err
			}
			left -= int64(len(part))
			_, _ = d.r.Discard(len(part)) // it was peeked at
		}
	}
}

// cut is the error of an archive that ends too early.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
