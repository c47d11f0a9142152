package pg

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// An Object is one of those that a database consists of beside its rows.
type Object struct {
	Kind string `json:"kind"` // such as index
	Name string `json:"name"` // quoted where need be, with its schema
	Hash string `json:"hash"` // of its definition, its owner and its privileges
}

// Objects lists what conn's database consists of, by kind and name: what an
// application or an operator has made, not what belongs to an extension. The
// hashes of two servers of one major version can be compared, and those of the
// same database at two times. Within a transaction of [OpenSnapshot] names are
// written the same way whatever the role's settings.
func Objects(ctx context.Context, conn *pgx.Conn) ([]Object, error) {
	// All at once: one after the other, the network takes most of the time.
	var queries pgx.Batch
	for _, k := range kinds {
		queries.Queue(k.sql())
	}
	results := conn.SendBatch(ctx, &queries)
	defer func() { _ = results.Close() }() // an error of it was met before
	var list []Object
	for _, k := range kinds {
		rows, _ := results.Query() // CollectRows returns the error
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Object, error) {
			var name, definition string
			err := row.Scan(&name, &definition)
			digest := sha256.Sum256([]byte(definition))
			return Object{Kind: k.kind, Name: name, Hash: hex.EncodeToString(digest[:8])}, err
		})
		if err != nil {
			return nil, fmt.Errorf("list the objects of the database: %w", err)
		}
		list = append(list, found...)
	}
	slices.SortFunc(list, func(a, b Object) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

// ObjectDifferences returns a sentence for each object in which two lists differ.
func ObjectDifferences(want, got []Object) (differences []string) {
	key := func(o Object) string { return o.Kind + " " + o.Name }
	found := map[string]Object{}
	for _, o := range got {
		found[key(o)] = o
	}
	for _, w := range want {
		g, ok := found[key(w)]
		delete(found, key(w))
		switch {
		case !ok:
			differences = append(differences, key(w)+" is missing")
		case g.Hash != w.Hash:
			differences = append(differences, key(w)+" is another, or has another owner or other privileges")
		}
	}
	for _, o := range got {
		if _, extra := found[key(o)]; extra {
			differences = append(differences, key(o)+" should not be there")
		}
	}
	return differences
}

// Roles lists the roles that own something in conn's database, have privileges
// in it or settings of their own, and the server's first superuser. They are not
// in a dump.
func Roles(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `
		with here as (select oid, datdba from pg_database where datname = current_database()),
		     used as (
		       select refobjid as role from pg_shdepend, here
		        where refclassid = 'pg_authid'::regclass
		          and (dbid = here.oid or dbid = 0 and classid = 'pg_database'::regclass and objid = here.oid)
		       union select datdba from here
		       union select setrole from pg_db_role_setting, here where setdatabase = here.oid
		       union select 10)
		select r.rolname::text from used join pg_roles r on r.oid = used.role
		 where r.rolname !~ '^pg_' order by 1`)
	if err != nil {
		return nil, fmt.Errorf("list the roles: %w", err)
	}
	roles, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the roles: %w", err)
	}
	return roles, nil
}
