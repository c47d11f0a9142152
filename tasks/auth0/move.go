package auth0

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// An outcome is what became of one row.
type outcome struct {
	row     row
	user    string // the user_id of its account
	adopted bool   // the account was there already
	keeps   bool   // the user can log in with a password that they know
	why     reason // why there is no account, "" if there is
	detail  string // status and errorCode
	lost    bool   // a request of this run may have made the account unseen
	changed bool   // the row is another than when its account was begun
	fatal   error  // why the whole run has to end
}

// failure is a line of the report.
type failure struct {
	Run    int    `json:"run"`
	Row    string `json:"row"`
	User   string `json:"user_id"` // that the account has, or would have
	Kind   string `json:"kind"`    // transient, permanent
	Reason reason `json:"reason"`
	Detail string `json:"detail,omitempty"`
	Do     string `json:"do"`
}

// note records a row that was not moved.
func (m *mover) note(o outcome) error {
	if o.why == "" {
		return nil
	}
	m.mu.Lock()
	m.failed[o.row.id] = o.why
	m.mu.Unlock()
	if o.why.transient() {
		m.begun[o.row.id] = trace{o.row.digest, o.lost || o.why == roleNotAssigned && !o.adopted}
	}
	kind := "permanent"
	if o.why.transient() {
		kind = "transient"
	}
	return m.report.add(failure{m.report.run, o.row.id, o.user, kind, o.why, o.detail, o.why.advice()})
}

// unfit tells why a row could not have an account, "" if it could.
func (m *mover) unfit(o outcome) reason {
	r := o.row
	switch _, mapped := m.roles[r.role]; {
	case r.email == "":
		return noAddress
	case m.twins[r.id]:
		return twinAddress
	case !mapped:
		return unmappedRole
	case len(o.user) > 255 || strings.ContainsAny(r.id, " \t\r\n"):
		return badID
	}
	return ""
}

// move makes the account of a row, or finds it.
func (m *mover) move(ctx context.Context, o outcome) outcome {
	if why := m.unfit(o); why != "" {
		return o.failed(why, nil)
	}
	return m.create(ctx, o)
}

// failed returns the outcome with the reason, and with what the tenant said.
func (o outcome) failed(why reason, err error) outcome {
	o.why = why
	if err != nil {
		o.detail = detailOf(err)
	}
	return o
}

// detailOf returns status and errorCode, for reports.
func detailOf(err error) string {
	r, ok := errors.AsType[*refusal](err)
	switch {
	case !ok:
		return "no answer"
	case r.status == 0:
		return r.code
	}
	return strings.TrimSpace(fmt.Sprint(r.status, " ", r.code))
}

// create sends the request until there is an answer that settles it. An answer
// that was lost may have had its effect: then the next try is refused with 409,
// and reading the account shows that it is ours.
func (m *mover) create(ctx context.Context, o outcome) outcome {
	began := time.Now()
	for try, wait := 1, firstBackoff; ; try, wait = try+1, min(2*wait, longestBackoff) {
		err := m.tenant.CreateUser(ctx, m.task.Connection, m.task.newUser(o.row, false), temporaryPassword())
		if err == nil {
			m.alive()
			return o
		}
		if ctx.Err() != nil {
			return o.ends(err) // it may have had its effect
		}
		if !transient(err) {
			return m.settle(ctx, o, err)
		}
		o.lost = true
		if o.fatal = m.patience(err); o.fatal != nil {
			return o.failed(unreachable, err)
		}
		if try >= tries && m.lastGood().After(began) {
			// The tenant serves others: this one waits for the next sweep.
			return m.readBack(ctx, o, err)
		}
		if o.fatal = pause(ctx, wait); o.fatal != nil {
			return o.failed(unreachable, err)
		}
	}
}

// settle deals with a refusal.
func (m *mover) settle(ctx context.Context, o outcome, err error) outcome {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return o.ends(err)
	}
	m.alive()
	why, all := whyRefused(r)
	switch {
	case all:
		return o.ends(err)
	case why == foreignAccount:
		return m.adopt(ctx, o, err)
	}
	return o.failed(why, err)
}

// ends is the outcome of a row with which the whole run ends. Whether there is an
// account is not always known, so that the row is in the report.
func (o outcome) ends(err error) outcome {
	o.fatal = err
	return o.failed(unreachable, err)
}

// adopt takes the account that stands in the way if it is the row's own: it was
// made by an earlier run, or by a request of this one whose answer was lost.
func (m *mover) adopt(ctx context.Context, o outcome, conflict error) outcome {
	a, err := m.tenant.User(ctx, o.user)
	switch {
	case ctx.Err() != nil:
		return o.ends(err)
	case status(err) == http.StatusNotFound:
		return o.failed(foreignAccount, conflict) // it has our row's address under another user_id
	case err != nil:
		return m.undecided(ctx, o, err)
	}
	m.alive()
	return m.adoptAccount(ctx, o, a, conflict)
}

// adoptAccount takes an account that has the row's user_id, if it was made for it.
func (m *mover) adoptAccount(ctx context.Context, o outcome, a account, conflict error) outcome {
	switch {
	case !a.ours() || a.text(markRow) != o.row.id:
		return o.failed(foreignAccount, conflict)
	case !strings.EqualFold(a.email, o.row.email) && !o.changed:
		return o.failed(otherAddress, conflict)
	}
	if err := m.mend(ctx, a, o.row, o.changed); err != nil {
		return m.undecided(ctx, o, err)
	}
	o.adopted, o.keeps = !o.lost, !a.mustReset()
	return o
}

// undecided is the outcome of a row whose account could not be read or mended.
func (m *mover) undecided(ctx context.Context, o outcome, err error) outcome {
	r, refused := errors.AsType[*refusal](err)
	switch {
	case ctx.Err() != nil:
		return o.ends(err)
	case transient(err):
		o.fatal = m.patience(err)
		return o.failed(unreachable, err)
	case !refused:
		return o.ends(err)
	}
	m.alive()
	if why, all := whyRefused(r); !all {
		return o.failed(why, err)
	}
	return o.ends(err)
}

// readBack asks whether the account is there after all, when its request failed
// every time.
func (m *mover) readBack(ctx context.Context, o outcome, cause error) outcome {
	a, err := m.tenant.User(ctx, o.user)
	if err == nil && a.ours() && a.text(markRow) == o.row.id {
		return m.adopt(ctx, o, cause)
	}
	if ctx.Err() != nil {
		return o.ends(err)
	}
	return o.failed(unreachable, cause)
}

// alive notes that the tenant works.
func (m *mover) alive() { m.good.Store(time.Now().UnixNano()) }

func (m *mover) lastGood() time.Time { return time.Unix(0, m.good.Load()) }

// patience returns an error when the tenant has not worked for too long.
func (m *mover) patience(err error) error {
	if time.Since(m.lastGood()) < m.task.Patience {
		return nil
	}
	return task.Hint(fmt.Errorf("%w: nothing but failures for %s, the last one: %w", errGivenUp, m.task.Patience, bare(err)),
		"check status.auth0.com and the network, then run again: only those left are taken up")
}
