package auth0

import (
	"context"
	"errors"
	"net/http"
)

const (
	// reviewed is how many rows are compared with one statement.
	reviewed = 1000

	// mostReviews is how often rows that changed are looked for. Where somebody
	// changes one all the time, there is no end to it.
	mostReviews = 10
)

// A stray is a row whose account was begun and that is not what it was then.
type stray struct {
	link       // as the ledger has it
	row   row  // as it is now
	there bool // there is such a row
}

// strays calls f with the strays, some at a time, each row once in a call.
func (m *mover) strays(ctx context.Context, f func([]stray) error) error {
	return m.ledger.each(reviewed, func(links []link) error {
		for i := range links {
			links[i].user = m.task.Users.userID(links[i].row)
			if digest, ok := m.digests[links[i].row]; ok {
				links[i].digest = digest
			}
		}
		strayed, err := m.table.strayed(ctx, links)
		if err != nil || len(strayed) == 0 {
			return err
		}
		some, err := m.look(ctx, strayed)
		if err != nil {
			return err
		}
		return f(some)
	})
}

// look reads what has become of rows.
func (m *mover) look(ctx context.Context, links []link) ([]stray, error) {
	var ids []string
	for _, l := range links {
		ids = append(ids, l.row)
	}
	rows, err := m.table.rows(ctx, ids)
	now := map[string]row{}
	for _, r := range rows {
		now[r.id] = r
	}
	var some []stray
	seen := map[string]bool{}
	for _, l := range links {
		if !seen[l.row] {
			r, there := now[l.row]
			some = append(some, stray{l, r, there})
		}
		seen[l.row] = true
	}
	return some, err
}

// recall takes in what an earlier call of this step has begun and not linked.
func (m *mover) recall(ctx context.Context) error {
	if !m.ledger.old {
		return nil
	}
	return m.strays(ctx, func(some []stray) error {
		for _, s := range some {
			if s.there && s.row.auth0ID == "" {
				m.begun[s.row.id] = trace{digest: s.digest}
			}
		}
		return nil
	})
}

// review looks for rows that were changed or deleted after their accounts were
// begun, mends the accounts of those changed and reports those of which nothing is
// left but the account, and those whose password is another. It returns how many it
// has mended. What has no Auth0 id is for the sweeps.
func (m *mover) review(ctx context.Context) (mended int, err error) {
	err = m.strays(ctx, func(some []stray) error {
		var changed, newPasswords []outcome
		for _, s := range some {
			o := outcome{row: s.row, user: s.user, changed: true}
			_, known := m.failed[s.link.row]
			switch {
			case known || s.there && s.row.auth0ID == "":
			case s.there && s.row.auth0ID == s.user:
				changed = append(changed, o)
				if s.newPassword {
					newPasswords = append(newPasswords, o)
				}
			default:
				o.row.id = s.link.row
				if err := m.reportOrphan(ctx, o); err != nil {
					return err
				}
			}
		}
		n, err := m.mendAll(ctx, changed)
		mended += n
		for _, o := range newPasswords {
			if _, known := m.failed[o.row.id]; !known {
				err = errors.Join(err, m.note(o.failed(passwordChanged, nil)))
			}
		}
		return err
	})
	return mended, err
}

// reportOrphan reports an account whose row is gone, or has another account.
func (m *mover) reportOrphan(ctx context.Context, o outcome) error {
	var a account
	err := m.persist(ctx, func() (err error) {
		a, err = m.tenant.User(ctx, o.user)
		return err
	})
	switch {
	case status(err) == http.StatusNotFound:
		return nil
	case err != nil:
		return errors.Join(err, m.note(o.failed(unreachable, err)))
	case !a.ours() || a.text(markRow) != o.row.id:
		return nil
	}
	return m.note(o.failed(rowChanged, nil))
}

// mendAll mends the accounts of linked rows that changed, and returns how many.
func (m *mover) mendAll(ctx context.Context, rows []outcome) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	made, err := m.make(ctx, rows, m.mendRow)
	finish, cancel := graceful(ctx)
	defer cancel()
	given, giveErr := m.assign(finish, made)
	for _, o := range given {
		m.digests[o.row.id] = o.row.digest
	}
	m.unmended = m.unmended || len(given) < len(rows)
	return len(given), together(err, giveErr, m.leave(made, given, roleNotAssigned))
}

// mendRow makes a linked row's account what the row asks for now.
func (m *mover) mendRow(ctx context.Context, o outcome) outcome {
	if why := m.unfit(o); why != "" {
		return o.failed(why, nil)
	}
	a, err := m.tenant.User(ctx, o.user)
	if err != nil {
		return m.undecided(ctx, o, err)
	}
	if !a.ours() || a.text(markRow) != o.row.id {
		return o.failed(foreignAccount, nil)
	}
	if err := m.mend(ctx, a, o.row, true); err != nil {
		return m.undecided(ctx, o, err)
	}
	m.alive()
	return o
}
