package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// carryOver gives the database that is about to take the live one's place the
// owner, settings, privileges, comment and connection limit that the live one has
// now: they may have been changed since it was staged.
func carryOver(ctx context.Context, conn *pgx.Conn, from, to string) error {
	live, err := lookUp(ctx, conn, from)
	if err != nil {
		return err
	}
	staged, err := lookUp(ctx, conn, to)
	if err != nil {
		return err
	}
	want, err := readProperties(ctx, conn, live.oid)
	if err != nil {
		return err
	}
	got, err := readProperties(ctx, conn, staged.oid)
	if err != nil {
		return err
	}
	if live.owner == staged.owner && want.equal(got) {
		return nil
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("carry the database's properties over: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	statements := got.reset(staged.name)
	if live.owner != staged.owner {
		statements = append(statements, fmt.Sprintf("alter database %s owner to %s", quote(staged.name), quote(live.owner)))
		staged.owner = live.owner
	}
	want.ownACL = want.ownACL || got.ownACL
	for _, statement := range append(statements, want.statements(staged)...) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return fmt.Errorf("carry the database's properties over: %s: %w", statement, err)
		}
	}
	if got, err = readProperties(ctx, conn, staged.oid); err != nil {
		return err
	}
	if !want.equal(got) {
		return errors.New("carry the database's properties over: the copy has others all the same")
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("carry the database's properties over: %w", err)
	}
	return nil
}

// reset is what takes the properties away from a database that has them.
func (p properties) reset(name string) (list []string) {
	on := quote(name)
	list = append(list, fmt.Sprintf("comment on database %s is null", on))
	done := map[string]bool{}
	for _, s := range p.settings {
		target := "database " + on
		if s.role != "" {
			target = fmt.Sprintf("role %s in database %s", quote(s.role), on)
		}
		if !done[target] {
			list = append(list, fmt.Sprintf("alter %s reset all", target))
		}
		done[target] = true
	}
	if !p.ownACL {
		return list
	}
	for _, g := range p.grants {
		from := "public"
		if g.role != "" {
			from = quote(g.role)
		}
		list = append(list, fmt.Sprintf("revoke all on database %s from %s cascade", on, from))
	}
	return list
}
