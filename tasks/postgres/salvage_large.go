package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/pg"
)

// large counts the large objects that differ, and names them in the file of SQL.
// It comes last: the server ends a transaction in which a role read what it may
// not read.
func (s *salvaging) large(ctx context.Context) error {
	err := s.meetLarge(ctx)
	if said, ok := errors.AsType[*pgconn.PgError](err); ok && said.Code == "42501" { // insufficient_privilege
		s.receipt.LargeInserted, s.receipt.LargeChanged, s.receipt.LargeDeleted = -1, -1, -1
		s.env.Log.Warn("the large objects are not compared", "error", said.Message)
		return nil
	}
	if err != nil {
		return fmt.Errorf("compare the large objects: %w", err)
	}
	if n := s.receipt.LargeInserted + s.receipt.LargeChanged + s.receipt.LargeDeleted; n > 0 {
		s.env.Log.Warn("large objects differ: they are in the replaced database, and in no file", "inserted", s.receipt.LargeInserted,
			"changed", s.receipt.LargeChanged, "deleted", s.receipt.LargeDeleted)
	}
	return nil
}

// meetLarge reads the large objects of both databases in the order of their oids,
// one of each at a time.
func (s *salvaging) meetLarge(ctx context.Context) error {
	kept, stopKept := iter.Pull2(pg.LargeEach(ctx, s.kept, s.since))
	defer stopKept()
	live, stopLive := iter.Pull2(pg.LargeEach(ctx, s.live, s.after))
	defer stopLive()
	k, errKept, isKept := kept()
	l, errLive, isLive := live()
	for isKept || isLive {
		if err := errors.Join(errKept, errLive); err != nil {
			return err
		}
		inKept, inLive := isKept && (!isLive || k.OID <= l.OID), isLive && (!isKept || l.OID <= k.OID)
		if err := s.judgeLarge(k, l, inKept, inLive); err != nil {
			return err
		}
		if inKept {
			k, errKept, isKept = kept()
		}
		if inLive {
			l, errLive, isLive = live()
		}
	}
	return nil
}

// judgeLarge counts a large object that is in one of the databases, or in both.
// The transaction that the server tells of made it, and need not be the one that
// wrote its content.
func (s *salvaging) judgeLarge(kept, live pg.LargeObject, inKept, inLive bool) error {
	switch {
	case inKept && inLive && kept.Hash != live.Hash:
		s.receipt.LargeChanged++
		return s.files.sql.write(fmt.Appendf(nil, "-- large object %d is not the same in both databases\n", kept.OID))
	case inKept && !inLive && (kept.Marked || s.after == "false"):
		s.receipt.LargeInserted++
		return s.files.sql.write(fmt.Appendf(nil, "-- large object %d was inserted\n", kept.OID))
	case inLive && !inKept && !live.Marked:
		s.receipt.LargeDeleted++
		return s.files.sql.write(fmt.Appendf(nil, "-- large object %d was deleted\n", live.OID))
	}
	return nil
}
