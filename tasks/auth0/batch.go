package auth0

import (
	"context"
	"encoding/json"
	"fmt"
)

const (
	// largestImport is the most that Auth0 takes in one users-imports request, in
	// bytes (https://auth0.com/docs/manage-users/user-migration/bulk-user-imports).
	largestImport = 512_000

	// formBytes is what the other parts of the request take, with room to spare.
	formBytes = 2048
)

// A batch is the users of one users-imports job.
type batch struct {
	rows  []outcome
	lines []map[string]any
	bytes int // of the lines as a JSON array
	span  span
}

// add adds a row, unless the batch is full.
func (b *batch) add(o outcome, line map[string]any) (bool, error) {
	text, err := json.Marshal(line)
	if err != nil {
		return false, fmt.Errorf("encode user %s: %w", o.user, err)
	}
	if len(b.rows) > 0 && b.bytes+len(text)+1 > largestImport-formBytes {
		return false, nil
	}
	b.rows, b.lines = append(b.rows, o), append(b.lines, line)
	b.bytes += len(text) + 1
	b.span.last = o.row.id
	return true, nil
}

// A packer makes batches of the rows that have no Auth0 id, in the order of their
// ids.
type packer struct {
	mover  *mover
	cursor string    // the last row that was read
	passed string    // the last row that was dealt with
	queue  []outcome // rows that were read and not dealt with
	seen   int
	single []outcome // rows that no job can move
}

// next returns the next batch, nil when there are no more rows.
func (p *packer) next(ctx context.Context) (*batch, error) {
	b := &batch{bytes: 2, span: span{after: p.passed}}
	for {
		if len(p.queue) == 0 {
			if more, err := p.read(ctx); err != nil || !more {
				if len(b.rows) == 0 {
					b = nil
				}
				return b, err
			}
			continue
		}
		o := p.queue[0]
		full, err := p.put(b, o)
		if full || err != nil {
			return b, err
		}
		p.queue, p.passed = p.queue[1:], o.row.id
	}
}

// read reads a page, and tells whether there was one.
func (p *packer) read(ctx context.Context) (bool, error) {
	page, err := p.mover.table.unlinked(ctx, span{after: p.cursor}, p.mover.task.Batch)
	if err != nil || len(page) == 0 {
		return false, err
	}
	p.cursor = page[len(page)-1].id
	p.queue = p.mover.fresh(page)
	p.seen += len(p.queue)
	return true, nil
}

// put deals with one row, and tells whether the batch is too full for it.
func (p *packer) put(b *batch, o outcome) (full bool, err error) {
	m := p.mover
	if why := m.unfit(o); why != "" {
		return false, m.note(o.failed(why, nil))
	}
	hash, keeps := hashOf(o.row.hash)
	if m.jobs.tried[o.row.id] >= mostJobs {
		if keeps {
			return false, m.note(o.failed(jobFailed, nil)) // made alone, the user would lose the password
		}
		p.single = append(p.single, o)
		return false, nil
	}
	line := m.task.newUser(o.row, keeps).line()
	if keeps {
		o.keeps = true
		line[hash.key] = hash.value
	}
	added, err := b.add(o, line)
	return !added, err
}
