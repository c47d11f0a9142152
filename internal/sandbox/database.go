package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres"
)

// name is that of the database and of the role that owns it, which is also the
// API's and the plan's: as in production, no superuser.
const name = "medlogistics"

// startDatabase starts the cluster and fills the database.
func (s *Sandbox) startDatabase(ctx context.Context, dir string) error {
	cluster, err := postgres.Start(ctx, dir)
	if err != nil {
		return err
	}
	s.cluster = cluster
	password := rand.Text()
	s.database = cluster.RoleDSN(name, password, name)
	// A superuser fills tables much faster. CREATEDB is what renaming and cloning
	// take; sessions of the same role can be ended without more.
	err = s.administer(ctx,
		"create role "+name+" login superuser createdb password '"+password+"'",
		"create database "+name+" owner "+name,
	)
	if err != nil {
		return err
	}
	if err := s.people.Seed(ctx, s.database); err != nil {
		return err
	}
	return s.administer(ctx, "alter role "+name+" nosuperuser")
}

// administer runs statements as the cluster's superuser.
func (s *Sandbox) administer(ctx context.Context, statements ...string) error {
	conn, err := pg.Connect(ctx, s.cluster.DSN(pg.Maintenance))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("prepare the sandbox's database: %w", err)
		}
	}
	return nil
}
