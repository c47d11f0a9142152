package auth0

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/schema"
)

// BenchmarkWriteBack writes ids into every row of a table, a commit for each batch,
// on a server that is set up like one in production, and does the same with a single
// bare statement, which is the most that the server itself can do. What it can do
// depends on the indexes: no update of an indexed column spares the others.
func BenchmarkWriteBack(b *testing.B) {
	const rows = 100_000
	s := durableScene(b, rows)
	s.exec("create table narrow as select id, email, role, full_name, auth0_user_id from users")
	s.exec("alter table narrow add primary key (id), add unique (auth0_user_id)")
	for name, table := range map[string]string{"four indexes": "users", "two indexes": "narrow"} {
		b.Run(name, func(b *testing.B) {
			var bare, ours time.Duration
			for range b.N {
				s.unlink(table)
				began := time.Now()
				s.exec("update " + table + " set auth0_user_id = 'auth0|ml-' || id")
				bare += time.Since(began)
				s.unlink(table)
				ours += s.linkAll(table, 1000)
			}
			b.ReportMetric(rows*float64(b.N)/ours.Seconds(), "rows/s")
			b.ReportMetric(ours.Seconds()/bare.Seconds(), "x-bare-statement")
		})
	}
}

// durableScene is MedLogistics' database on a server that keeps what is committed.
func durableScene(b *testing.B, rows int) *scene {
	b.Helper()
	cluster, err := postgres.Settings{Durable: true, Parameters: map[string]string{"shared_buffers": "512MB"}}.Start(b.Context())
	must(b, err)
	b.Cleanup(func() { must(b, cluster.Stop()) })
	s := &scene{t: b, dsn: cluster.DSN("postgres")}
	must(b, medlogistics.Population{Users: rows}.Seed(b.Context(), s.dsn))
	s.db, err = pgx.Connect(b.Context(), s.dsn.Reveal())
	must(b, err)
	b.Cleanup(func() { s.db.Close(context.Background()) })
	cutOver, err := schema.FS.ReadFile("20261101000000_auth0.sql")
	must(b, err)
	s.exec(string(cutOver))
	return s
}

// unlink takes the ids out of a table, and all traces of it.
func (s *scene) unlink(table string) {
	s.exec("update " + table + " set auth0_user_id = null")
	s.exec("vacuum full " + table)
	s.exec("checkpoint")
}

// linkAll writes ids into all rows of a table as an import does, and returns how
// long the writing took.
func (s *scene) linkAll(table string, batch int) (took time.Duration) {
	s.t.Helper()
	ctx, users := context.Background(), mapping()
	users.Table = table
	open, err := openTable(ctx, s.dsn, users)
	must(s.t, err)
	defer open.close()
	open.salt = 1
	open.analyze(ctx) // as every sweep does
	for last := ""; ; {
		page, err := open.unlinked(ctx, span{after: last}, batch)
		must(s.t, err)
		if len(page) == 0 {
			return took
		}
		links := make([]link, len(page))
		for i, r := range page {
			links[i] = link{row: r.id, user: "auth0|ml-" + r.id, version: r.version, digest: r.digest}
		}
		began := time.Now()
		missed, _, err := open.link(ctx, links)
		took += time.Since(began)
		must(s.t, err)
		if len(missed) > 0 {
			s.t.Fatal("rows were missed")
		}
		last = page[len(page)-1].id
	}
}
