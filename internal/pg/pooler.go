package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pooler"
	"github.com/medlogistics/phasegate/runner/task"
)

// Direct fails if conn goes through a pooler that shares sessions of the server, see
// [pooler.Direct].
func Direct(ctx context.Context, conn *pgx.Conn) error {
	config := conn.Config()
	err := pooler.Direct(ctx, conn, func(ctx context.Context) (*pgx.Conn, error) {
		other, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return nil, connectError(ctx, config, err)
		}
		return other, nil
	})
	if errors.Is(err, pooler.ErrShared) || errors.Is(err, pooler.ErrNoSession) {
		return task.Hint(err, pooler.Hint)
	}
	return err
}
