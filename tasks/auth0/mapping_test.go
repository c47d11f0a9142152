package auth0

import (
	"context"
	"fmt"
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
			Method:  Auto, Workers: 8, Batch: 250, Patience: time.Minute, JobTimeout: time.Hour,
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
		"moves no password hashes": func(i *ImportUsers) { i.Method, i.Users.PasswordHash = Create, "hashed_password" },
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
		{row: rows[0], user: "auth0|0"},                                // to be linked
		{row: rows[1], user: "auth0|1"},                                // is linked to another account
		{row: "00000000-0000-0000-0000-000000000000", user: "auth0|2"}, // is gone
		{row: rows[3], user: "auth0|3"},                                // is linked already
	}
	missed, _, err := table.link(t.Context(), links)
	must(t, err)
	if len(missed) != 2 || missed[0] != links[1] || missed[1] != links[2] {
		t.Errorf("missed are %v", missed)
	}
	if s.text("select auth0_user_id from users where id = $1", rows[0]) != "auth0|0" ||
		s.text("select auth0_user_id from users where id = $1", rows[1]) != "auth0|other" {
		t.Error("the rows are not what they should be")
	}
	if _, _, err := table.link(context.Background(), []link{{row: "no uuid", user: "auth0|x"}}); err == nil {
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

func TestColumnsGoIntoMetadataAndAreCompared(t *testing.T) {
	t.Parallel()
	for _, method := range []Method{Create, Import} {
		s := newScene(t, users(20))
		s.exec(`alter table users add ward text, add floor int, add confirmed boolean default false`)
		s.exec(`update users set ward = 'It''s "A1"', floor = 3, confirmed = true where id = $1`, s.nth(4))
		i, v := s.importer(), s.verifier()
		i.Method = method
		i.Users.Verified = "confirmed"
		i.Users.AppMetadata = map[string]string{"ward": "ward", "it's": "floor"}
		i.Users.UserMetadata = map[string]string{"floor": "floor"}
		v.Users = i.Users
		must(t, i.Validate())
		_, err := i.Run(t.Context(), tasktest.Env(t))
		must(t, err)
		u, _ := s.tenant.User("auth0|ml-" + s.nth(4))
		if u.AppMetadata["ward"] != `It's "A1"` || fmt.Sprintf("%v %v %v", u.AppMetadata["it's"], u.UserMetadata["floor"], u.EmailVerified) != "3 3 true" {
			t.Errorf("%s: the account is %+v", method, u)
		}
		other, _ := s.tenant.User("auth0|ml-" + s.nth(5))
		if _, there := other.AppMetadata["ward"]; there || other.EmailVerified {
			t.Errorf("%s: the account is %+v", method, other)
		}
		_, err = v.Run(t.Context(), tasktest.Env(t))
		must(t, err)
		s.exec("update users set floor = 4 where id = $1", s.nth(4))
		if r, err := v.Run(t.Context(), tasktest.Env(t)); err == nil || r.WrongMetadata != 1 || r.Differences != 1 {
			t.Errorf("%s: the error is %v, the receipt %+v", method, err, r)
		}
	}
}

func TestMetadataKeysThatAuth0ForbidsAreRefused(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"email": "Auth0 forbids", "local_id": "marked with", "a.b": "no key", "a$": "no key", "": "no key",
	} {
		u := mapping()
		u.AppMetadata = map[string]string{key: "id"}
		if err := u.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestPasswordHashesAreKnownByTheirForm(t *testing.T) {
	t.Parallel()
	bcrypt := "aHF7mbpWT6tZ7PJVtwtjNelaKbszikcYBCB2jibvbFcGFmOsu/s4K"
	for text, want := range map[string]string{
		"$2a$10$" + bcrypt: "password_hash",
		"$2b$10$" + bcrypt: "password_hash",
		"$2y$12$" + bcrypt: "custom_password_hash bcrypt",
		"$2b$04$" + bcrypt: "custom_password_hash bcrypt",
		"$2x$10$" + bcrypt: "",
		"$argon2id$v=19$m=65536,t=2,p=1$J6Q/82PCyaNpYKRELJyTZg$m04qUAB8rexWDR4+/0f+SFB+4XMFxt7YAvAq2UycYos":        "custom_password_hash argon2",
		"$pbkdf2-sha512$i=100000,l=64$KNyFsA2rWoE$I2CQGI9H0JxdDf3kERRI97kPCGxh0KWBIV3MxyaS191gDGfzVBGyS4BibhgqWQ0": "custom_password_hash pbkdf2",
		"{SSHA384}/cgEjdoZh85DhurDeOQEMO1rMlAur93SVPbYe5XSD4lF7nNuvrBju5hUeg9A6agRemgSXGl5YuE=":                    "custom_password_hash ldap",
		"{CRYPT}$1$abc": "",
		`{"algorithm":"scrypt","hash":{"value":"097f","encoding":"hex"},"salt":{"value":"abc123"},"keylen":32}`: "custom_password_hash scrypt",
		"d24e794fce503c3ddb1cd1ba1dd5d9b250cf9917336a0316fefd87fecf79200f":                                      "",
		"": "", "{}": "", "null": "",
	} {
		got := ""
		if hash, ok := hashOf(text); ok {
			got = hash.key
			if object, custom := hash.value.(map[string]any); custom {
				got += " " + fmt.Sprint(object["algorithm"])
			}
		}
		if got != want {
			t.Errorf("%s is taken for %q, want %q", text, got, want)
		}
	}
}

func TestTheMethodFollowsFromCountLimitAndHashes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		users int64
		hash  string
		limit int
		want  Method
	}{
		{500, "", 50, Create},
		{5000, "", 50, Create},
		{20_000, "", 50, Import},
		{5000, "", 20, Import},
		{900, "", 2, Create},
		{2000, "", 2, Import},
		{10, "hashed_password", 50, Import},
	} {
		i := &ImportUsers{Access: Access{Share: 0.8}, Method: Auto}
		i.Users.PasswordHash = c.hash
		got, why := i.choose(c.users, c.limit)
		if got != c.want || why == "" {
			t.Errorf("%+v: %s, because %s", c, got, why)
		}
	}
}
