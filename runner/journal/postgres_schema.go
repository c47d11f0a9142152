package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// versions are the steps of the schema, oldest first. A step that was released
// is never changed: the next one changes what it made.
func versions() []string {
	return []string{`
		create table phasegate.runs (
			run   text   primary key,
			epoch bigint not null default 1,
			seq   bigint not null default 0,
			hash  text   not null default ''
		);
		comment on table phasegate.runs is 'phasegate: one row for each run, and where its journal ends';
		comment on column phasegate.runs.epoch is 'counted up by whoever takes the run: a writer of an older one is refused';
		comment on column phasegate.runs.seq is 'number of the last event, 0 before the first';
		comment on column phasegate.runs.hash is 'SHA-256 of the last event, in hex';

		create table phasegate.events (
			run  text   not null references phasegate.runs,
			seq  bigint not null,
			line bytea  not null,
			primary key (run, seq)
		);
		comment on table phasegate.events is 'phasegate: the events of all runs, never changed';
		comment on column phasegate.events.line is 'the event as JSON, byte for byte as it is hashed: convert_from(line, ''UTF8'') shows it';

		create table phasegate.targets (
			target text   primary key,
			epoch  bigint not null default 1
		);
		comment on table phasegate.targets is 'phasegate: one row for each target that was ever locked';
		comment on column phasegate.targets.epoch is 'counted up by whoever takes the target';
	`}
}

// upgrade makes the schema or brings it up to date. Of two at once, one waits
// for the other and then has nothing to do.
func upgrade(ctx context.Context, conn *pgx.Conn) error { return upgradeTo(ctx, conn, versions()) }

func upgradeTo(ctx context.Context, conn *pgx.Conn, steps []string) error {
	found, err := schemaVersion(ctx, conn)
	if err == nil && found < len(steps) {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return upgradeAlone(ctx, tx, steps) })
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "42501" {
		return &hintedError{
			fmt.Errorf("make the schema phasegate: %w", err),
			"let a role that may create a schema open this journal once, and grant this one usage of it and select, insert and update in it",
		}
	}
	if err != nil {
		return err
	}
	return known(found, steps)
}

// ErrNeverUsed says that a database has no journal yet.
var ErrNeverUsed = errors.New("no run was ever kept there")

// readable tells whether the schema is there, as this program knows it.
func readable(ctx context.Context, conn *pgx.Conn) error { return readableAs(ctx, conn, versions()) }

func readableAs(ctx context.Context, conn *pgx.Conn, steps []string) error {
	found, err := schemaVersion(ctx, conn)
	switch {
	case err != nil:
		return err
	case found == 0:
		return ErrNeverUsed
	case found < len(steps):
		return fmt.Errorf("the schema phasegate has version %d, which the next run upgrades to %d", found, len(steps))
	}
	return known(found, steps)
}

// known refuses the schema of a later program.
func known(found int, steps []string) error {
	if found <= len(steps) {
		return nil
	}
	return &hintedError{
		fmt.Errorf("the schema phasegate has version %d, and this program knows %d", found, len(steps)),
		"use the phasegate that made it, or a newer one",
	}
}

func upgradeAlone(ctx context.Context, tx pgx.Tx, steps []string) error {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, lockKey("schema")); err != nil {
		return err
	}
	found, err := schemaVersion(ctx, tx.Conn())
	if err != nil {
		return err
	}
	if found == 0 {
		_, err = tx.Exec(ctx, `
			create schema if not exists phasegate;
			create table phasegate.versions (version integer primary key, applied_at timestamptz not null default now());
			comment on table phasegate.versions is 'phasegate: the steps that this schema took'`)
	}
	for i, step := range steps {
		if err == nil && i+1 > found {
			_, err = tx.Exec(ctx, step)
		}
		if err == nil && i+1 > found {
			_, err = tx.Exec(ctx, `insert into phasegate.versions (version) values ($1)`, i+1)
		}
	}
	return err
}

// schemaVersion returns 0 where there is no schema.
func schemaVersion(ctx context.Context, conn *pgx.Conn) (version int, err error) {
	var there bool
	// Not to_regclass: it may remember that there was none before another made it.
	err = conn.QueryRow(ctx, `
		select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
		                where n.nspname = 'phasegate' and c.relname = 'versions')`).Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	err = conn.QueryRow(ctx, `select coalesce(max(version), 0) from phasegate.versions`).Scan(&version)
	return version, err
}
