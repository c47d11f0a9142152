package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/runner/task"
)

// Properties belong to a database as a whole. Neither a copy from a template nor
// a restored dump has them.
// https://www.postgresql.org/docs/current/manage-ag-templatedbs.html
type properties struct {
	connectionLimit int
	comment         string
	ownACL          bool // its privileges are not the default ones
	grants          []grant
	settings        []setting
}

// A grant is a privilege on the database.
type grant struct {
	role      string // "" is PUBLIC
	privilege string // CREATE, CONNECT or TEMPORARY
	option    bool   // may be passed on
}

// A setting is what ALTER DATABASE SET, or ALTER ROLE IN DATABASE SET, has set.
type setting struct {
	role  string // "" is every role
	name  string
	value string
}

// readProperties reads the properties of the database with that oid.
func readProperties(ctx context.Context, conn *pgx.Conn, oid uint32) (properties, error) {
	var p properties
	err := conn.QueryRow(ctx, `
		select datconnlimit, coalesce(shobj_description(oid, 'pg_database'), ''), datacl is not null
		  from pg_database where oid = $1`, oid).Scan(&p.connectionLimit, &p.comment, &p.ownACL)
	if err != nil {
		return p, fmt.Errorf("read the properties of the database: %w", err)
	}
	rows, err := conn.Query(ctx, `
		select coalesce(r.rolname, '')::text, a.privilege_type, a.is_grantable
		  from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a left join pg_roles r on r.oid = a.grantee
		 where d.oid = $1 order by 1, 2, 3`, oid)
	if err == nil {
		p.grants, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g grant, err error) {
			err = row.Scan(&g.role, &g.privilege, &g.option)
			return g, err
		})
	}
	if err != nil {
		return p, fmt.Errorf("read the privileges of the database: %w", err)
	}
	rows, err = conn.Query(ctx, `
		select coalesce(r.rolname, '')::text, split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1)
		  from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) with ordinality config(entry, place)
		 where s.setdatabase = $1 order by 1, place`, oid)
	if err == nil {
		p.settings, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s setting, err error) {
			err = row.Scan(&s.role, &s.name, &s.value)
			return s, err
		})
	}
	if err != nil {
		return p, fmt.Errorf("read the settings of the database: %w", err)
	}
	return p, nil
}

// apply gives the properties to a new database, all or none.
func (p properties) apply(ctx context.Context, conn *pgx.Conn, d database) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("carry the database's properties over: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for _, statement := range p.statements(d) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return task.Hint(fmt.Errorf("carry the database's properties over: %s: %w", statement, err),
				"use a role that may do this, such as the database's owner, or a superuser for the settings of other roles")
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("carry the database's properties over: %w", err)
	}
	got, err := readProperties(ctx, conn, d.oid)
	if err != nil {
		return err
	}
	if !p.equal(got) {
		return errors.New("carry the database's properties over: the copy has others all the same")
	}
	return nil
}

func (p properties) equal(q properties) bool {
	return p.connectionLimit == q.connectionLimit && p.comment == q.comment &&
		slices.Equal(p.grants, q.grants) && slices.Equal(p.settings, q.settings)
}

func (p properties) statements(d database) []string {
	on := quote(d.name)
	list := []string{fmt.Sprintf("alter database %s connection limit %d", on, p.connectionLimit)}
	if p.comment != "" {
		list = append(list, fmt.Sprintf("comment on database %s is %s", on, literal(p.comment)))
	}
	if p.ownACL {
		list = append(list, fmt.Sprintf("revoke all on database %s from public, %s", on, quote(d.owner)))
	}
	for _, g := range p.grants {
		if !p.ownACL {
			break // the default ones
		}
		to, option := "public", ""
		if g.role != "" {
			to = quote(g.role)
		}
		if g.option {
			option = " with grant option"
		}
		list = append(list, fmt.Sprintf("grant %s on database %s to %s%s", g.privilege, on, to, option))
	}
	for _, s := range p.settings {
		target := "database " + on
		if s.role != "" {
			target = fmt.Sprintf("role %s in database %s", quote(s.role), on)
		}
		list = append(list, fmt.Sprintf("alter %s set %s to %s", target, parameter(s.name), s.literals()))
	}
	return list
}

// parameter quotes a setting's name, which may have an extension's in front.
func parameter(name string) string {
	return pgx.Identifier(strings.Split(name, ".")).Sanitize()
}

// literals writes the value so that it is read as it was stored. A setting that
// is a list of names is stored as one text with the names quoted, which has to
// be taken apart; pg_dump does the same for these settings.
func (s setting) literals() string {
	switch s.name {
	case "search_path", "temp_tablespaces", "session_preload_libraries", "shared_preload_libraries", "local_preload_libraries", "unix_socket_directories":
	default:
		return literal(s.value)
	}
	var items []string
	for _, item := range splitNames(s.value) {
		items = append(items, literal(item))
	}
	if len(items) == 0 {
		return "''"
	}
	return strings.Join(items, ", ")
}

// splitNames takes a list such as "$user", public apart.
func splitNames(list string) []string {
	var (
		names  []string
		name   strings.Builder
		quoted bool
	)
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"' && quoted && i+1 < len(list) && list[i+1] == '"':
			name.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			names = append(names, name.String())
			name.Reset()
		case c != ' ' || quoted:
			name.WriteByte(c)
		}
	}
	if list == "" {
		return nil
	}
	return append(names, name.String())
}
