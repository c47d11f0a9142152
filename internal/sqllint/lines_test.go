package sqllint_test

import (
	"slices"
	"testing"

	"github.com/medlogistics/phasegate/internal/sqllint"
)

func TestStatementsAreGivenOnALineWithoutCommentsAndStrings(t *testing.T) {
	t.Parallel()
	for src, want := range map[string][]string{
		"Commit /* a /* b */ c */ WORK ;":                             {"Commit WORK"},
		"create index -- why\n \"My;I\" on app . t(lower(x))":         {`create index "My;I" on app.t ( lower ( x ) )`},
		"select 'a; commit', E'\\'; end', $$ ; abort $$; -- rollback": {"select '' , '' , ''"},
		"create table a (id int);\ncommit;\n":                         {"create table a ( id int )", "commit"},
		"":                                                            nil,
	} {
		if got := sqllint.Lines(src); !slices.Equal(got, want) {
			t.Errorf("%q is %q, want %q", src, got, want)
		}
	}
}
