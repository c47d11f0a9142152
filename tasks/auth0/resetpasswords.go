package auth0

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// ResetPasswords has Auth0 mail a link to set a password to every user in the
// table whose account has a password that nobody knows. The mails are spread over
// hours, so that neither the mail server nor the help desk is flooded.
//
// Nobody is mailed twice: the account is marked first, in its app_metadata, and
// only then is the mail asked for. When a process dies or an answer is lost
// between the two, it is not known whether that one mail went out; the user is not
// asked again, but named in reset-passwords.ndjson in the run's directory (mode
// 0600), for a person to look after. An interrupted step goes on where it was.
//
// Whom the tenant refuses to mail is in that file too. After three refusals in a
// row the step fails in front of them, since then it is not about these users. A
// later call asks for the mails of all who were refused again.
//
// Users who have logged in, who have set a password or whose password has moved,
// blocked users, and accounts that were not made for a row get no mail.
//
// The application needs the scopes read:users, update:users and read:connections.
type ResetPasswords struct {
	Access
	Mapping

	// The client id of the application that users log in to, such as the front
	// end's from auth0/tenant. The mail's link leads there.
	Application string `with:"application,required"`

	// The time over which the mails are spread, if everybody got one.
	Over time.Duration `with:"over"`
}

// Mailed is who was mailed.
type Mailed struct {
	Users   int64  `json:"users"`    // in the table, with an account
	Mailed  int64  `json:"mailed"`   // to whom a mail went out
	Before  int64  `json:"before"`   // for whom a mail was asked for before: by an earlier run, or before the refused ones were asked for again
	HavePW  int64  `json:"have_pw"`  // who need no mail: they can log in
	LeftOut int64  `json:"left_out"` // who are blocked, or whose account is missing or not ours
	Unknown int64  `json:"unknown"`  // of whom it is not known whether a mail went out
	Refused int64  `json:"refused"`  // whom the tenant refused to mail
	After   string `json:"after"`    // id of the last row that was dealt with for good
	Since   string `json:"since"`    // when the rows behind it were begun, empty if none was
	Report  string `json:"report"`   // path of reset-passwords.ndjson

	ReportSHA256 string `json:"report_sha256"` // of that file, "" until its last line is written
}

// mailedAtOnce is how many users are dealt with between two receipts.
const mailedAtOnce = 25

// Validate checks the configuration offline.
func (t *ResetPasswords) Validate() error {
	errs := []error{t.Access.validate(), t.Mapping.validate()}
	if t.Application == "" {
		errs = append(errs, errors.New("application is empty"))
	}
	if t.Over < 0 {
		errs = append(errs, errors.New("over is a time below 0"))
	}
	return together(errs...)
}

// Check compares the mapping with the live table and asks the tenant for a token.
func (t *ResetPasswords) Check(ctx context.Context, env *task.Env) error {
	return checkBoth(ctx, env, t.Access, t.Mapping, nil)
}

// Run mails.
func (t *ResetPasswords) Run(ctx context.Context, env *task.Env) (Mailed, error) {
	saved, _, err := task.Saved[Mailed](env)
	if err != nil {
		return Mailed{}, err
	}
	lock, err := pg.Acquire(ctx, t.DSN)
	if err != nil {
		return saved, err
	}
	defer lock.Release()
	api, _, err := open(t.Access)
	if err != nil {
		return saved, err
	}
	table, err := openTable(ctx, t.DSN, t.Users)
	if err != nil {
		return saved, err
	}
	defer table.close()
	if err := t.Users.check(ctx, table.conn, nil, reading); err != nil {
		return saved, err
	}
	report, err := openReport(filepath.Join(env.Dir, "reset-passwords.ndjson"))
	if err != nil {
		return saved, err
	}
	m := &mailer{task: t, env: env, tenant: api, table: table, report: report, receipt: saved}
	m.receipt.Report = report.file.Name()
	runErr := m.all(ctx)
	sum, err := report.end(m.receipt)
	m.receipt.ReportSHA256 = sum
	if err := together(runErr, err); err != nil {
		return m.receipt, err
	}
	return m.receipt, t.verdict(m.receipt)
}

// verdict turns the counts into an error.
func (t *ResetPasswords) verdict(r Mailed) error {
	switch {
	case r.Refused+r.Unknown > 0:
		return task.Hint(fmt.Errorf("%d users were not mailed, and of %d it is not known", r.Refused, r.Unknown),
			"see "+r.Report+" for their ids; run again to ask for the refused ones again, or send them a link from the tenant's dashboard")
	case r.Mailed == 0:
		return task.Skip(fmt.Sprintf("none of %d users needs a mail", r.Users))
	}
	return nil
}
