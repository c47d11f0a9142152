package sqllint

import "testing"

func TestWhatGoesBeyondTheDatabaseIsSeen(t *testing.T) {
	for sql, want := range map[string]string{
		"create role r":                                     "CREATE ROLE",
		"Create /* a */ User r":                             "CREATE USER",
		"-- why\nalter group g add user r":                  "ALTER GROUP",
		"drop role if exists r":                             "DROP ROLE",
		"grant a to b with admin option":                    "GRANT OF A ROLE",
		"revoke admin option for a from b":                  "REVOKE OF A ROLE",
		"grant connect on database d to r":                  "GRANT ON DATABASE",
		"revoke create on tablespace s from r":              "REVOKE ON TABLESPACE",
		"grant set on parameter work_mem to r":              "GRANT ON PARAMETER",
		"comment on database d is 'x'":                      "COMMENT ON DATABASE",
		"comment on role r is 'x'":                          "COMMENT ON ROLE",
		"security label for p on role r is 'x'":             "SECURITY LABEL ON ROLE",
		"alter database d set work_mem = '9MB'":             "ALTER DATABASE",
		"alter system set work_mem = '9MB'":                 "ALTER SYSTEM",
		"create database d":                                 "CREATE DATABASE",
		"drop tablespace s":                                 "DROP TABLESPACE",
		"drop owned by r":                                   "DROP OWNED",
		"reassign owned by r to s":                          "REASSIGN OWNED",
		"create subscription s connection '' publication p": "CREATE SUBSCRIPTION",
		"select 1; create role r":                           "CREATE ROLE",

		"grant select on t to r":                                               "",
		"grant select (a) on table database to r":                              "",
		"revoke grant option for select on t from r":                           "",
		"alter default privileges grant select on tables to r":                 "",
		"create user mapping for r server s":                                   "",
		`create table "role" (a int)`:                                          "",
		`alter "database" x`:                                                   "",
		"comment on table t is 'create role r'":                                "",
		"do $$ begin create role r; end $$":                                    "",
		"create function f() returns void language sql as $$ create role r $$": "",
		"security label on table t is 'x'":                                     "",
		"set role r":                                                           "",
		"":                                                                     "", "grant": "", "create": "",
	} {
		if got := Beyond(sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}
