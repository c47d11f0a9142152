package auth0

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// A mailer is one call of ResetPasswords. It deals with one user after the other.
type mailer struct {
	task    *ResetPasswords
	env     *task.Env
	tenant  tenant
	table   *table
	report  *report
	receipt Mailed
	spacing time.Duration
	next    time.Time // no mail goes out before

	// doubt is the account that was marked last by the call before this one. That
	// its mail went out is known only when a later account is marked too.
	doubt *row

	unknown int // users in a row whose mail was asked for without an answer

	refused   int    // users in a row whom the tenant refused to mail
	untouched Mailed // the receipt before the first of these
}

// A mailLine is a line of the report.
type mailLine struct {
	Run    int    `json:"run"`
	Row    string `json:"row"`
	User   string `json:"user_id"`
	Kind   string `json:"kind"` // unknown, refused
	Detail string `json:"detail,omitempty"`
}

// markTime is how times are written so that they can be compared as text.
const markTime = "2006-01-02T15:04:05.000000Z"

// mostUnknown is how many users in a row may be left in doubt before the step
// stops: then it is not about them.
const mostUnknown = 3

// mostRefused is how many users in a row the tenant may refuse to mail before the
// step stops: then, too, it is not about them.
const mostRefused = 3

// all deals with the rows behind the last receipt, some at a time. Before each lot
// a receipt says since when it is under way, so that a later call can tell its
// marks from older ones. Where the call before this one came to the end, those
// whom the tenant refused to mail are asked for again.
func (m *mailer) all(ctx context.Context) error {
	_, linked, err := m.table.count(ctx)
	if err != nil {
		return err
	}
	m.receipt.Users = linked
	m.spacing = m.task.Over / time.Duration(max(1, linked))
	for first := true; ; first = false {
		page, err := m.table.page(ctx, "is not null", span{after: m.receipt.After}, mailedAtOnce)
		if err == nil && len(page) == 0 && first && m.receipt.Refused > 0 {
			m.rewind()
			continue
		}
		if err != nil || len(page) == 0 {
			return err
		}
		interrupted := m.receipt.Since
		if interrupted == "" {
			m.receipt.Since = time.Now().UTC().Format(markTime)
			if err := m.env.Save(m.receipt); err != nil {
				return err
			}
		}
		if err := m.lot(ctx, page, interrupted); err != nil {
			return together(err, m.env.Save(m.receipt))
		}
		m.receipt.Since = ""
		if err := m.env.Save(m.receipt); err != nil {
			return err
		}
	}
}

// rewind has every row looked at again. Who was mailed is marked, and counts as
// mailed before.
func (m *mailer) rewind() {
	r := m.receipt
	m.receipt = Mailed{Users: r.Users, Unknown: r.Unknown, Report: r.Report}
}

// lot deals with some rows. Where they were begun by a call before this one,
// interrupted says when.
func (m *mailer) lot(ctx context.Context, page []row, interrupted string) error {
	for _, r := range page {
		if err := m.one(ctx, r, interrupted); err != nil {
			return err
		}
		m.receipt.After = r.id
		c := m.receipt
		m.env.Progress(c.Mailed+c.Before+c.HavePW+c.LeftOut+c.Unknown+c.Refused, c.Users, "users")
	}
	return m.leaveInDoubt()
}

// one deals with a row.
func (m *mailer) one(ctx context.Context, r row, interrupted string) error {
	a, err := m.tenant.User(ctx, r.auth0ID)
	if status(err) == http.StatusNotFound {
		m.receipt.LeftOut++
		return nil
	}
	if err != nil {
		return err
	}
	marked := a.text(markMail)
	switch {
	case marked != "" && interrupted != "" && marked >= interrupted:
		m.confirm()
		m.doubt = &r
		if !a.mustReset() {
			m.confirm() // by the link of that mail
		}
	case marked != "":
		m.receipt.Before++
	case !a.ours() || a.blocked:
		m.receipt.LeftOut++
	case !a.mustReset():
		m.receipt.HavePW++
	default:
		return m.mail(ctx, r, a)
	}
	return nil
}

// confirm counts the account that was in doubt as mailed.
func (m *mailer) confirm() {
	if m.doubt != nil {
		m.receipt.Mailed++
	}
	m.doubt = nil
}

// leaveInDoubt reports the account that was in doubt, if there is one.
func (m *mailer) leaveInDoubt() error {
	if m.doubt == nil {
		return nil
	}
	r := *m.doubt
	m.doubt = nil
	m.receipt.Unknown++
	return m.report.add(mailLine{m.report.run, r.id, r.auth0ID, "unknown", "the process ended while the mail was asked for"})
}

// mail marks an account and asks for its mail.
func (m *mailer) mail(ctx context.Context, r row, a account) error {
	if err := m.leaveInDoubt(); err != nil {
		return err
	}
	if err := pause(ctx, time.Until(m.next)); err != nil {
		return err
	}
	m.next = time.Now().Add(m.spacing)
	if err := m.tenant.SetMetadata(ctx, a.id, map[string]any{markMail: time.Now().UTC().Format(markTime)}); err != nil {
		return err
	}
	err := m.tenant.MailReset(ctx, m.task.Application, m.task.Connection, a.email)
	switch {
	case err == nil:
		m.receipt.Mailed++
		m.unknown, m.refused = 0, 0
		return nil
	case ctx.Err() != nil:
		return err
	case transient(err):
		return m.lost(r, err)
	}
	return m.deny(ctx, r, a, err)
}

// deny reports a user whom the tenant refused to mail. Surely no mail went out, so
// the mark would be wrong. After some in a row the step stops in front of the first
// of them, so that the next call asks for all of them again.
func (m *mailer) deny(ctx context.Context, r row, a account, refusal error) error {
	if m.refused == 0 {
		m.untouched = m.receipt
	}
	m.refused++
	m.receipt.Refused++
	err := together(
		m.tenant.SetMetadata(ctx, a.id, map[string]any{markMail: nil}),
		m.report.add(mailLine{m.report.run, r.id, r.auth0ID, "refused", detailOf(refusal)}),
	)
	if err != nil || m.refused < mostRefused {
		return err
	}
	m.receipt = m.untouched
	return task.Hint(fmt.Errorf("%d mails in a row were refused, so nobody else was asked for: %w", m.refused, refusal),
		"check that application is the client id of one that is enabled for the connection, then run again: these users are asked for again, and nobody is mailed twice")
}

// lost reports a user whose mail may have gone out.
func (m *mailer) lost(r row, err error) error {
	m.receipt.Unknown++
	m.refused = 0
	if m.unknown++; m.unknown == mostUnknown {
		m.receipt.After = r.id
		err = task.Hint(fmt.Errorf("%d mails in a row were asked for without an answer: %w", m.unknown, err),
			"check status.auth0.com and the network, then run again: nobody is mailed twice")
	} else {
		err = nil
	}
	return together(err, m.report.add(mailLine{m.report.run, r.id, r.auth0ID, "unknown", "no answer"}))
}
