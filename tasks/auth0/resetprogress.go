package auth0

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"

	"github.com/medlogistics/phasegate/runner/task"
)

// ResetProgress counts the users in the table who can log in to their accounts,
// and those who cannot because they have not set a password yet. It is open once
// as many as min_done says can. It belongs before what takes the old way of
// logging in away.
//
// The ids of those who cannot, with the time of their mail from
// auth0/reset-passwords, are in reset-progress.txt in the run's directory (mode
// 0600), written anew by every look.
//
// The application needs the scopes read:users and read:connections.
type ResetProgress struct {
	Access
	Mapping
	Listing

	// The share of the users who must be able to log in.
	MinDone task.Percent `with:"min_done"`
}

// Progress is who has a password.
type Progress struct {
	Users   int64   `json:"users"`   // in the table, with an account
	Done    int64   `json:"done"`    // who can log in
	Waiting int64   `json:"waiting"` // who have not set a password
	Mailed  int64   `json:"mailed"`  // of those waiting, who were mailed a link
	Missing int64   `json:"missing"` // whose account does not exist
	Share   float64 `json:"share"`   // done of the users, 0 to 1; 1 if there are none
	List    string  `json:"list"`    // path of reset-progress.txt
}

// Validate checks the configuration offline.
func (t *ResetProgress) Validate() error {
	return together(t.Access.validate(), t.Mapping.validate(), t.Listing.validate())
}

// Check compares the mapping with the live table and asks the tenant for a token.
func (t *ResetProgress) Check(ctx context.Context, env *task.Env) error {
	return checkBoth(ctx, env, t.Access, t.Mapping, nil)
}

// Run counts.
func (t *ResetProgress) Run(ctx context.Context, env *task.Env) (Progress, error) {
	p := Progress{List: filepath.Join(env.Dir, "reset-progress.txt")}
	api, _, err := open(t.Access)
	if err != nil {
		return p, err
	}
	conn, err := api.Connection(ctx, t.Connection)
	if err != nil {
		return p, err
	}
	table, err := openTable(ctx, t.DSN, t.Users)
	if err != nil {
		return p, err
	}
	defer table.close()
	if err := t.Users.check(ctx, table.conn, nil, reading); err != nil {
		return p, err
	}
	seed, linked := maphash.MakeSeed(), map[uint64]struct{}{}
	err = table.each(ctx, func(r row) error {
		if r.auth0ID != "" {
			linked[maphash.String(seed, r.auth0ID)] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	p.Users = int64(len(linked))
	if err := t.count(ctx, api, conn.id, &p, func(a account) bool {
		_, ok := linked[maphash.String(seed, a.id)]
		return ok
	}); err != nil {
		return p, err
	}
	return p, t.verdict(p)
}

// count goes through the accounts that are linked.
func (t *ResetProgress) count(ctx context.Context, api tenant, connectionID string, p *Progress, linked func(account) bool) error {
	file, err := os.OpenFile(p.List, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("list who is waiting: %w", err)
	}
	out := bufio.NewWriter(file)
	err = api.ExportUsers(ctx, connectionID, t.JobTimeout, func(a account) error {
		switch {
		case !linked(a):
			return nil
		case !a.ours() || !a.mustReset():
			p.Done++ // an account that a person linked is that person's own
			return nil
		}
		p.Waiting++
		if a.text(markMail) != "" {
			p.Mailed++
		}
		_, err := fmt.Fprintln(out, a.id, a.text(markMail))
		return err
	})
	p.Missing = p.Users - p.Done - p.Waiting
	p.Share = 1
	if p.Users > 0 {
		p.Share = float64(p.Done) / float64(p.Users)
	}
	return errors.Join(err, out.Flush(), file.Close())
}

// verdict turns the counts into an open or a closed gate.
func (t *ResetProgress) verdict(p Progress) error {
	if p.Share >= float64(t.MinDone) {
		return nil
	}
	return task.Hint(fmt.Errorf("%w: %d of %d users can log in, %d have not set a password", task.ErrClosed, p.Done, p.Users, p.Waiting),
		"see "+p.List+" for the ids of those who have not; auth0/reset-passwords mails those without a time behind their id")
}
