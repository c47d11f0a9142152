package pg

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// What the names of copies end in that exist for one call of a task, which holds
// the lock on the original meanwhile.
const (
	RehearsalCopy = "_phasegate_rehearsal"
	ScratchCopy   = "_phasegate_scratch"
)

// CopyName is the name of such a copy, always the same for a database, so that a
// leftover is found. A name has at most 63 bytes.
func CopyName(database, suffix string) string {
	if len(database)+len(suffix) > 63 {
		database = fmt.Sprintf("%x", sha256.Sum256([]byte(database)))[:32]
	}
	return database + suffix
}

// EmptyLike returns the statement that creates an empty database with another
// one's encoding, locale and tablespace. The catalog's columns for the locale have
// other names in other versions, so they are read as JSON. The tablespace is named
// only where it is not the usual one, for which a role would need a right that it
// does not need otherwise.
func EmptyLike(ctx context.Context, conn *pgx.Conn, like, name string) (string, error) {
	var encoding, collate, ctype, provider, locale, rules, tablespace string
	err := conn.QueryRow(ctx, `
		select pg_encoding_to_char(d.encoding)::text, d.datcollate, d.datctype,
		       coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
		       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''), coalesce(to_jsonb(d) ->> 'daticurules', ''),
		       case when d.dattablespace = usual.dattablespace then '' else t.spcname::text end
		  from pg_database d join pg_tablespace t on t.oid = d.dattablespace, pg_database usual
		 where d.datname = $1 and usual.datname = 'template0'`, like).Scan(&encoding, &collate, &ctype, &provider, &locale, &rules, &tablespace)
	if err != nil {
		return "", fmt.Errorf("read the locale of database %s: %w", like, err)
	}
	statement := fmt.Sprintf("create database %s template template0 encoding %s lc_collate %s lc_ctype %s",
		pgx.Identifier{name}.Sanitize(), literal(encoding), literal(collate), literal(ctype))
	switch provider {
	case "i":
		statement += " locale_provider icu icu_locale " + literal(locale)
	case "b":
		statement += " locale_provider builtin builtin_locale " + literal(locale)
	}
	if rules != "" {
		statement += " icu_rules " + literal(rules)
	}
	if tablespace != "" {
		statement += " tablespace " + pgx.Identifier{tablespace}.Sanitize()
	}
	return statement, nil
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
