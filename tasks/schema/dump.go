package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
)

// objects are the definitions in a database's schema as pg_dump writes them, by
// type and name, such as "TABLE public.users". The history of migrations is not
// among them. Unlike an inspection of tables and columns, this sees whatever can
// be dumped: views, functions, triggers, policies, publications, grants and the
// rest. Subscriptions are left out, since a password may be in them.
type objects map[string]string

// dumpObjects dumps the schema of a database on the server that dsn names.
func dumpObjects(ctx context.Context, dsn redact.Secret, database string, options ...string) (objects, error) {
	program, err := pg.Tool("pg_dump")
	if err != nil {
		return nil, err
	}
	env, err := pg.Env(dsn)
	if err != nil {
		return nil, err
	}
	text, err := command.Command{
		Argv: append([]string{
			program, "--schema-only", "--no-subscriptions",
			"--exclude-schema=" + revisionsTable, "--dbname=dbname=" + conninfo(database),
		}, options...),
		Env: env, Mask: redact.NewMasker(dsn),
	}.Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("dump the schema of database %s: %w", database, err)
	}
	return parseObjects(text), nil
}

var (
	// entry is the comment in front of each object. The owner is left out: what
	// makes somebody the owner is in the definition.
	entry = pattern.Lazy(`^-- Name: (.*); Type: (.*); Schema: (.*); Owner:`)

	// accidental are lines that depend on the moment or on the place in the dump.
	accidental = pattern.Lazy(`^(\\(un)?restrict |SET default_(tablespace|table_access_method|with_oids) = |-- PostgreSQL database dump complete$|--$|\s*$)`)
)

// parseObjects cuts a dump into objects.
func parseObjects(text string) objects {
	found, name := objects{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if match := entry().FindStringSubmatch(line); match != nil {
			name = match[2] + " " + strings.TrimPrefix(match[3]+".", "-.") + match[1]
			continue
		}
		if name != "" && !accidental().MatchString(line) {
			found[name] += line + "\n"
		}
	}
	return found
}

// A change is an object that is not as it should be.
type change struct {
	Object string `json:"object"`
	Want   string `json:"want"` // its definition, "" if it should not be there
	Got    string `json:"got"`  // "" if it is not there
}

func (c change) String() string {
	switch {
	case c.Want == "":
		return c.Object + " is there and should not be"
	case c.Got == "":
		return c.Object + " is missing"
	}
	return c.Object + " differs"
}

// differences are the objects that are not the same in both, by name.
func (want objects) differences(got objects) []change {
	var changes []change
	for name, definition := range want {
		if got[name] != definition {
			changes = append(changes, change{name, definition, got[name]})
		}
	}
	for name, definition := range got {
		if _, ok := want[name]; !ok {
			changes = append(changes, change{name, "", definition})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.Object, b.Object) })
	return changes
}

// sentences says each change in a few words, never nil.
func sentences(changes []change) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.String()
	}
	return list
}
