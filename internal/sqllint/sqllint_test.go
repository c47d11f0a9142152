package sqllint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the expected findings")

// The cases are files RULE.bad.sql, in which the rule finds something, and
// RULE.good.sql, in which it finds nothing. Beside each is what all rules find.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/lint/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	seen := map[string]bool{}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rule, kind, _ := strings.Cut(strings.TrimSuffix(name, ".sql"), ".")
			seen[rule+"."+kind] = true
			var got strings.Builder
			found := false
			for _, f := range new(Linter).File(name, string(src)) {
				fmt.Fprintln(&got, f)
				found = found || f.Rule == rule
			}
			if catalogue[rule] == nil || kind != "bad" && kind != "good" {
				t.Fatalf("%s is not the name of a case", name)
			}
			if found != (kind == "bad") {
				t.Errorf("found %v, all in all:\n%s", found, got.String())
			}
			golden := strings.TrimSuffix(path, ".sql") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got.String() != string(want) {
				t.Errorf("%v, got:\n%s\nwant:\n%s", err, got.String(), want)
			}
		})
	}
	for _, rule := range Rules() {
		for _, kind := range []string{"bad", "good"} {
			if !seen[rule.Name+"."+kind] {
				t.Errorf("rule %s has no %s case", rule.Name, kind)
			}
		}
		if rule.Reason == "" || rule.Advice == "" || rule.Level != Error && rule.Level != Warning {
			t.Errorf("rule %+v is not explained", rule)
		}
	}
}

func rulesOf(findings []Finding) string {
	var names []string
	for _, f := range findings {
		names = append(names, fmt.Sprintf("%s@%d:%d", f.Rule, f.Line, f.Column))
	}
	return strings.Join(names, " ")
}

func TestNotNullIsBelievedOnceItsConstraintIsValidated(t *testing.T) {
	var l Linter
	for i, c := range []struct{ sql, want string }{
		{"alter table a.t add constraint c check (x is not null) not valid;", ""},
		{"alter table a.t alter column x set not null;", "adding-not-nullable-field@1:30"},
		{"alter table a.t validate constraint c;", ""},
		{"alter table a.t alter x set not null;", ""},
		{"alter table a.t alter y set not null;", "adding-not-nullable-field@1:23"},
	} {
		if got := rulesOf(l.File("m.sql", c.sql)); got != c.want {
			t.Errorf("file %d: %s, want %s", i, got, c.want)
		}
	}
}

func TestWhatLooksLikeAStatementIsNotTakenForOne(t *testing.T) {
	for _, sql := range []string{
		"-- drop table a.b;\n/* drop /* nested */ table a.b; */ select 1;",
		"comment on table a.b is 'drop table a.b; truncate a.b';",
		`select E'it\'s; drop table a.b;', 'a''; drop table x', "drop;table";`,
		"do $body$ begin execute 'drop table a.b'; end $body$;",
		"create function a.f() returns void language sql as $$ drop table a.b; $$;",
		"", ";;", "select $1", "alter table", "drop table", "create index on", "alter table a.b add",
	} {
		if got := rulesOf(new(Linter).File("m.sql", sql)); got != "" {
			t.Errorf("%s: %s", sql, got)
		}
	}
}

func TestWhatIsOpenIsSaidOnce(t *testing.T) {
	for sql, want := range map[string]string{
		"'":                                    "syntax-error@1:1",
		`select 1; select "; udpate a`:         "syntax-error@1:18",
		"do $a$ begin end $b$;\nupdat;":        "syntax-error@1:4",
		"select 1; /* /* */":                   "syntax-error@1:11",
		"select ((1);\nselect 2);":             "syntax-error@1:8 syntax-error@2:9",
		"select 1 from \xff\x00;":              "syntax-error@1:15",
		"create rule r as on delete to a.t":    "",
		"create":                               "syntax-error@1:1",
		"copy a.t from stdin;\n1\tit's\n\\.\n": "ban-copy-from-stdin@1:15",
		"-- phasegate:ignore syntax-error of a newer server\nfrobnicate a.t;": "",
	} {
		if got := rulesOf(new(Linter).File("m.sql", sql)); got != want {
			t.Errorf("%q: %s, want %s", sql, got, want)
		}
	}
}

func TestAPlaceIsCountedInCharacters(t *testing.T) {
	got := rulesOf(new(Linter).File("m.sql", "-- größer\nselect 'µ'; drop table a.b;"))
	if got != "ban-drop-table@2:18" {
		t.Errorf("found %s", got)
	}
}

func FuzzFile(f *testing.F) {
	files, _ := filepath.Glob("testdata/lint/*.sql")
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Fuzz(func(t *testing.T, src string) {
		for _, found := range new(Linter).File("m.sql", src) {
			if found.Line < 1 || found.Column < 1 || found.Line > 1+strings.Count(src, "\n") {
				t.Errorf("%s is not in the file", found)
			}
		}
	})
}
