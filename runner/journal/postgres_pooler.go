package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pooler"
)

// direct fails if conn goes through a pooler that shares sessions of the server: a
// lock would have no owner there.
func direct(ctx context.Context, conn *pgx.Conn) error {
	err := pooler.Direct(ctx, conn, func(ctx context.Context) (*pgx.Conn, error) { return connect(ctx, conn.Config()) })
	if pooled(err) {
		return &hintedError{fmt.Errorf("%w: a lock has no owner there", err), pooler.Hint}
	}
	return err
}

// pooled tells whether a pooler is what an error is about.
func pooled(err error) bool {
	return errors.Is(err, pooler.ErrShared) || errors.Is(err, pooler.ErrNoSession)
}
