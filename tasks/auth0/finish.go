package auth0

import (
	"context"
	"errors"
)

// finish gives accounts their roles and writes their ids back. A row is linked
// only after its account has the role, so that one that is linked is complete.
func (m *mover) finish(ctx context.Context, made []outcome) error {
	all := made
	made, err := m.assign(ctx, all)
	if err != nil {
		err = errors.Join(err, m.leave(all, made, roleNotAssigned))
	}
	links := make([]link, len(made))
	byRow := map[string]outcome{}
	for i, o := range made {
		links[i] = link{row: o.row.id, user: o.user, version: o.row.version, digest: o.row.digest}
		byRow[o.row.id] = o
	}
	if len(links) == 0 {
		return err
	}
	missed, unknown, linkErr := m.table.link(ctx, links)
	for _, l := range missed {
		err = errors.Join(err, m.miss(byRow[l.row], l.changed))
		delete(byRow, l.row)
	}
	for _, l := range unknown {
		linkErr = errors.Join(linkErr, m.leave([]outcome{byRow[l.row]}, nil, notLinked))
		delete(byRow, l.row)
	}
	for _, o := range byRow {
		m.tally(o)
	}
	return errors.Join(err, linkErr)
}

// leave notes those of all that are not done and not noted yet, when the run ends
// before it can finish their accounts.
func (m *mover) leave(all, done []outcome, why reason) error {
	dealt := map[string]bool{}
	for _, o := range done {
		dealt[o.row.id] = true
	}
	var err error
	for _, o := range all {
		if _, noted := m.failed[o.row.id]; !noted && !dealt[o.row.id] {
			err = errors.Join(err, m.note(o.failed(why, nil)))
		}
	}
	return err
}

// miss deals with a row that could not be linked. One that has changed since it was
// read is taken up by the next sweep, which finds its account and mends it.
func (m *mover) miss(o outcome, changed bool) error {
	if !changed {
		return m.note(o.failed(rowChanged, nil))
	}
	m.begun[o.row.id] = trace{o.row.digest, !o.adopted}
	return nil
}

// leaveBegun notes those whose accounts may be there, when the run ends before
// their turn comes again.
func (m *mover) leaveBegun() error {
	var rows []outcome
	for id := range m.begun {
		rows = append(rows, outcome{row: row{id: id}, user: m.task.Users.userID(id)})
	}
	return m.leave(rows, nil, unreachable)
}

func (m *mover) tally(o outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.begun, o.row.id)
	if o.adopted {
		m.adopted++
	} else {
		m.created++
	}
	if !o.keeps {
		m.mustReset++
	} else if _, ok := hashOf(o.row.hash); ok {
		m.hashes++
	}
}
