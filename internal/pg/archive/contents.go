package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/internal/pg"
)

// An entry is a line of the table of contents whose data lies in the archive.
type entry struct {
	kind, schema, name string
	copy               string // statement that takes the rows
	data, read         bool   // data is in the archive, and has been read
}

func (e *entry) String() string {
	if e.schema == "" {
		return e.kind + " " + e.name
	}
	return fmt.Sprintf("%s %s.%s", e.kind, e.schema, e.name)
}

// A decoder reads numbers and texts as pg_dump writes them.
type decoder struct {
	r       *bufio.Reader
	version int // of the format: 1014 is 1.14
	intSize int
	offSize int
}

// head reads what stands before the table of contents.
func (d *decoder) head(c *Contents) error {
	var fixed [11]byte
	if _, err := io.ReadFull(d.r, fixed[:]); err != nil {
		return cut(err)
	}
	if string(fixed[:5]) != "PGDMP" {
		return errors.New("it is no archive of pg_dump")
	}
	d.version = int(fixed[5])*1000 + int(fixed[6])
	if d.version < 1014 || d.version > 1016 {
		return fmt.Errorf("%w: %d.%d", ErrVersion, fixed[5], fixed[6])
	}
	d.intSize, d.offSize = int(fixed[8]), int(fixed[9])
	if d.intSize < 4 || d.intSize > 8 || d.offSize > 8 || fixed[10] != 1 {
		return errors.New("it is not of the custom format")
	}
	if err := d.compression(); err != nil {
		return err
	}
	for range 7 { // when it was made
		if _, err := d.int(); err != nil {
			return err
		}
	}
	for _, to := range []*string{&c.Database, &c.Server, nil} {
		text, err := d.string(to != nil)
		if err != nil {
			return err
		}
		if to != nil {
			*to = text
		}
	}
	return nil
}

// compression fails unless the archive says that it has none.
func (d *decoder) compression() error {
	var level int64
	var err error
	if d.version >= 1015 {
		var algorithm byte
		algorithm, err = d.r.ReadByte()
		level = int64(algorithm)
	} else {
		level, err = d.int()
	}
	if err == nil && level != 0 {
		return errors.New("its data is compressed by pg_dump itself")
	}
	return cut(err)
}

// entries reads the table of contents, by the entries' numbers. What an entry
// says without data, such as where a sequence stands, is noted in c.
func (d *decoder) entries(c *Contents) (map[int64]*entry, error) {
	count, err := d.int()
	if err != nil {
		return nil, err
	}
	entries := map[int64]*entry{}
	for range count {
		id, e, err := d.entry(c)
		if err != nil {
			return nil, err
		}
		if entries[id] != nil {
			return nil, fmt.Errorf("entry %d is there twice", id)
		}
		entries[id] = e
	}
	return entries, nil
}

func (d *decoder) entry(c *Contents) (id int64, _ *entry, err error) {
	if id, err = d.int(); err != nil {
		return 0, nil, err
	}
	hasData, err := d.int()
	if err != nil {
		return 0, nil, err
	}
	var e entry
	e.data = hasData != 0
	var definition string
	for _, field := range d.fields(&e, &definition) {
		if field.number {
			_, err = d.int()
		} else if field.to == nil {
			_, err = d.string(false)
		} else {
			*field.to, err = d.string(true)
		}
		if err != nil {
			return 0, nil, err
		}
	}
	if err := d.dependencies(); err != nil {
		return 0, nil, err
	}
	if _, err := io.CopyN(io.Discard, d.r, int64(1+d.offSize)); err != nil { // where the data lies
		return 0, nil, cut(err)
	}
	if e.kind == "SEQUENCE SET" {
		sequence, err := parseSetval(definition)
		if err != nil {
			return 0, nil, err
		}
		c.Sequences = append(c.Sequences, sequence)
	}
	return id, &e, nil
}

// A field is one of an entry's: a number that is passed over, or a text, which
// is too unless it has somewhere to go.
type field struct {
	to     *string
	number bool
}

func (d *decoder) fields(e *entry, definition *string) []field {
	list := []field{
		{},
		{}, // oids
		{to: &e.name},
		{to: &e.kind},
		{number: true}, // section
		{to: definition},
		{}, // statement that drops it
		{to: &e.copy},
		{to: &e.schema},
		{},
		{}, // tablespace, access method
	}
	if d.version >= 1016 {
		list = append(list, field{number: true}) // kind of relation
	}
	return append(list, field{}, field{}) // owner, with oids
}

func (d *decoder) dependencies() error {
	for {
		length, err := d.int()
		if err != nil || length < 0 {
			return err
		}
		if _, err := io.CopyN(io.Discard, d.r, length); err != nil {
			return cut(err)
		}
	}
}

// int reads a number: its sign in a byte, then its bytes, the lowest first.
func (d *decoder) int() (int64, error) {
	size := 1 + max(d.intSize, 4)
	raw, err := d.r.Peek(size)
	if err != nil {
		return 0, cut(err)
	}
	var n int64
	for i := size - 1; i > 0; i-- {
		n = n<<8 | int64(raw[i])
	}
	if sign := raw[0]; sign > 1 || sign == 1 && n == 0 {
		return 0, fmt.Errorf("a number has the sign %d", sign) // pg_dump writes 0, and 1 below zero
	} else if sign == 1 {
		n = -n
	}
	_, _ = d.r.Discard(size) // it was peeked at
	return n, nil
}

// string reads a text, "" for none. It is not kept unless it is wanted.
func (d *decoder) string(wanted bool) (string, error) {
	length, err := d.int()
	if err != nil || length <= 0 {
		return "", err
	}
	if !wanted {
		_, err := io.CopyN(io.Discard, d.r, length)
		return "", cut(err)
	}
	// Not allocated at once: a damaged length may be any number.
	var text bytes.Buffer
	if _, err := io.CopyN(&text, d.r, length); err != nil {
		return "", cut(err)
	}
	return text.String(), nil
}

// setval finds the parts of what sets a sequence.
var setval = pattern.Lazy(`^SELECT pg_catalog\.setval\(E?'((?:[^']|'')+)', (-?\d+), (true|false)\);\s*$`)

func parseSetval(statement string) (pg.Sequence, error) {
	found := setval().FindStringSubmatch(statement)
	if found == nil {
		return pg.Sequence{}, errors.New("the archive sets a sequence in a way that is not known")
	}
	value, err := strconv.ParseInt(found[2], 10, 64)
	if err != nil {
		return pg.Sequence{}, fmt.Errorf("read the value of a sequence: %w", err)
	}
	return pg.Sequence{Name: string(bytes.ReplaceAll([]byte(found[1]), []byte("''"), []byte("'"))), Value: value, Called: found[3] == "true"}, nil
}
