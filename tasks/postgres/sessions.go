package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A session is somebody else's connection to a database.
type session struct {
	pid         int32
	role        string
	application string
	address     string
	mayEnd      bool // whether the server lets us end it
}

func (s session) String() string {
	text := fmt.Sprintf("process %d of role %s", s.pid, s.role)
	if s.application != "" {
		text += fmt.Sprintf(", application %q", s.application)
	}
	if s.address != "" {
		text += ", from " + s.address
	}
	return text
}

// sessions lists who is connected to a database, but for this session and for
// autovacuum, which the server itself sends away when a database is copied or
// renamed. A role without pg_read_all_stats sees that there are sessions of
// others, but not what they are.
func sessions(ctx context.Context, conn *pgx.Conn, names ...string) ([]session, error) {
	rows, err := conn.Query(ctx, `
		select a.pid, coalesce(a.usename, 'the server')::text, coalesce(a.application_name, ''), coalesce(host(a.client_addr), ''),
		       me.rolsuper or not coalesce(r.rolsuper, false)
		                      and coalesce(pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'), false)
		  from pg_stat_activity a
		  join pg_roles me on me.rolname = current_user
		  left join pg_roles r on r.oid = a.usesysid
		 where a.datname = any($1) and a.pid <> pg_backend_pid()
		   and coalesce(a.backend_type, '') <> 'autovacuum worker'
		 order by a.backend_start`, names)
	if err != nil {
		return nil, fmt.Errorf("list the sessions: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s session, err error) {
		err = row.Scan(&s.pid, &s.role, &s.application, &s.address, &s.mayEnd)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the sessions: %w", err)
	}
	return list, nil
}

// named is how many sessions are told one by one.
const named = 5

// describe tells who the sessions are, the first few of them.
func describe(list []session) string {
	var who []string
	for _, s := range list[:min(named, len(list))] {
		who = append(who, s.String())
	}
	if more := len(list) - named; more > 0 {
		who = append(who, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(who, "; ")
}
