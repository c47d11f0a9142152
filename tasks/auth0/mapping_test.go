package auth0

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestCheckComparesTheMappingWithTheLiveTable(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(10))
	for name, c := range map[string]struct {
		change func(*Users, map[string]string)
		want   string
	}{
		"no such table":        {func(u *Users, _ map[string]string) { u.Table = "people" }, "there is no such table"},
		"table in schema":      {func(u *Users, _ map[string]string) { u.Table = "public.users" }, ""},
		"no such schema":       {func(u *Users, _ map[string]string) { u.Table = "private.users" }, "there is no such table"},
		"no such e-mail":       {func(u *Users, _ map[string]string) { u.Email = "mail" }, "no column mail"},
		"several at once":      {func(u *Users, _ map[string]string) { u.Email, u.Role = "mail", "job" }, "no column job"},
		"no such name":         {func(u *Users, _ map[string]string) { u.Name = "display" }, "no column display"},
		"id not unique":        {func(u *Users, _ map[string]string) { u.ID = "full_name" }, "does not identify a row"},
		"Auth0 id of a type":   {func(u *Users, _ map[string]string) { u.Auth0ID = "is_active" }, "not text"},
		"Auth0 id not unique":  {func(u *Users, _ map[string]string) { u.Auth0ID = "full_name" }, "is not unique"},
		"Auth0 id not null":    {func(u *Users, _ map[string]string) { u.Auth0ID = "email" }, "does not allow null"},
		"role not mapped":      {func(_ *Users, r map[string]string) { delete(r, "nurse") }, `not mapped: "nurse"`},
		"where clause is off":  {func(u *Users, _ map[string]string) { u.Where = "active = yes" }, "read the roles"},
		"Auth0 id still to be": {func(u *Users, _ map[string]string) { u.Auth0ID = "to_be_added" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := s.importer()
			c.change(&i.Users, i.Roles)
			err := i.Check(t.Context(), tasktest.Env(t))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("the check fails: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the check says %v, want %q", err, c.want)
			}
		})
	}
	i := s.importer()
	i.Users.Auth0ID = "to_be_added"
	if _, err := i.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "no column to_be_added") {
		t.Errorf("the run says %v", err)
	}
	i = s.importer()
	i.Connection, i.Roles["nurse"] = "Not Made Yet", "not made yet"
	if err := i.Check(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("what an earlier step may still make fails the check: %v", err)
	}
}

func TestCheckChangesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(10))
	must(t, s.importer().Check(t.Context(), tasktest.Env(t)))
	if s.tenant.CountUsers() != 0 || s.number("select count(auth0_user_id) from users") != 0 {
		t.Error("the check moved users")
	}
}

func TestValidateFindsMistakesOffline(t *testing.T) {
	t.Parallel()
	good := func() *ImportUsers {
		return &ImportUsers{
			Access: Access{
				Domain: "example.eu.auth0.com", ClientID: "id", ClientSecret: redact.NewSecret("secret"), Share: 0.8,
			},
			Mapping: Mapping{Connection: directory, Users: mapping(), Roles: roleMap()},
			Workers: 8, Batch: 250, Patience: time.Minute,
		}
	}
	must(t, good().Validate())
	for want, spoil := range map[string]func(*ImportUsers){
		"is not a tenant's domain": func(i *ImportUsers) { i.Domain = "https://example.eu.auth0.com" },
		"client_id is empty":       func(i *ImportUsers) { i.ClientID = "" },
		"client_secret is empty":   func(i *ImportUsers) { i.ClientSecret = redact.Secret{} },
		"users.email is empty":     func(i *ImportUsers) { i.Users.Email = "" },
		"users.table is empty":     func(i *ImportUsers) { i.Users.Table = "" },
		"cannot begin a user_id":   func(i *ImportUsers) { i.Users.IDPrefix = "auth0|" },
		"roles is empty":           func(i *ImportUsers) { i.Roles = nil },
		"roles.nurse is empty":     func(i *ImportUsers) { i.Roles["nurse"] = "" },
		"share is 0%":              func(i *ImportUsers) { i.Share = 0 },
		"workers is 0":             func(i *ImportUsers) { i.Workers = 0 },
		"workers is 65":            func(i *ImportUsers) { i.Workers = 65 },
		"batch is 5001":            func(i *ImportUsers) { i.Batch = 5001 },
		"patience is not":          func(i *ImportUsers) { i.Patience = 0 },
	} {
		i := good()
		spoil(i)
		if err := i.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the mistakes found are %v, want %q", err, want)
		}
	}
	var all SampleLogin
	for _, want := range []string{"domain", "client_id", "client_secret", "users.table", "users.id ", "roles", "url", "audience", "claim"} {
		if err := all.Validate(); !strings.Contains(err.Error(), want) {
			t.Errorf("an empty sample login does not tell of %s: %v", want, err)
		}
	}
}

func TestWriteBackLinksOnlyRowsWithoutAnAccount(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(5))
	rows := make([]string, 5)
	for i := range rows {
		rows[i] = s.nth(i)
	}
	s.exec("update users set auth0_user_id = 'auth0|other' where id = $1", rows[1])
	s.exec("update users set auth0_user_id = 'auth0|3' where id = $1", rows[3])
	table, err := openTable(t.Context(), s.dsn, mapping())
	must(t, err)
	defer table.close()
	links := []link{
		{rows[0], "auth0|0"}, // to be linked
		{rows[1], "auth0|1"}, // is linked to another account
		{"00000000-0000-0000-0000-000000000000", "auth0|2"}, // is gone
		{rows[3], "auth0|3"}, // is linked already
	}
	missed, err := table.link(t.Context(), links)
	must(t, err)
	if len(missed) != 2 || missed[0] != links[1] || missed[1] != links[2] {
		t.Errorf("missed are %v", missed)
	}
	if s.text("select auth0_user_id from users where id = $1", rows[0]) != "auth0|0" ||
		s.text("select auth0_user_id from users where id = $1", rows[1]) != "auth0|other" {
		t.Error("the rows are not what they should be")
	}
	if _, err := table.link(context.Background(), []link{{"no uuid", "auth0|x"}}); err == nil {
		t.Error("an id of another type was accepted")
	}
}

func TestHintsAreKeptWhenErrorsAreReportedTogether(t *testing.T) {
	t.Parallel()
	err := together(nil, task.Hint(context.Canceled, "one"), nil, task.Hint(context.DeadlineExceeded, "two"))
	if task.HintOf(err) != "one; two" || !strings.Contains(err.Error(), "canceled\n") {
		t.Errorf("%q with hint %q", err, task.HintOf(err))
	}
	if together(nil, nil) != nil {
		t.Error("no errors together are an error")
	}
}
