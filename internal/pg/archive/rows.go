package archive

import (
	"bytes"
	"errors"

	"github.com/medlogistics/phasegate/internal/pg"
)

// rows sums up the rows of a COPY, to the line that ends it.
type rows struct {
	sum   pg.RowSum
	held  []byte // start of a line that may become the last one
	open  bool   // the start of a line is in the sum already
	ended bool
}

// last is the line that ends a COPY. No row looks like it: COPY writes a
// backslash as two.
const last = `\.`

func (r *rows) write(p []byte) error {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		switch {
		case end < 0:
			r.part(p)
			return nil
		case r.ended && end > 0:
			return errors.New("there are rows behind the last one")
		case r.ended:
		case r.open || len(r.held) > 0:
			r.part(p[:end])
			r.endLine()
		case string(p[:end]) == last:
			r.ended = true
		default:
			r.sum.WriteLine(p[:end])
		}
		p = p[end+1:]
	}
	return nil
}

func (r *rows) part(p []byte) {
	if !r.open && len(r.held)+len(p) <= len(last) {
		r.held = append(r.held, p...)
		return
	}
	if !r.open {
		r.open = true
		r.sum.WritePart(r.held)
		r.held = r.held[:0]
	}
	r.sum.WritePart(p)
}

func (r *rows) endLine() {
	switch {
	case r.open:
		r.sum.EndLine()
		r.open = false
	case string(r.held) == last:
		r.ended = true
	default:
		r.sum.WriteLine(r.held)
	}
	r.held = r.held[:0]
}
