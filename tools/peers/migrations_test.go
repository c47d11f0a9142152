package peers

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ariga.io/atlas/sql/migrate"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

// small is a hundred small migrations: fifty tables, and a column for each.
func small(b *testing.B, head string) string {
	b.Helper()
	dir := b.TempDir()
	for i := range 100 {
		text := fmt.Sprintf("create table t%d (id int primary key, name text not null);\n", i)
		if i >= 50 {
			text = fmt.Sprintf("alter table t%d add column more text;\n", i-50)
		}
		name := filepath.Join(dir, fmt.Sprintf("%05d_m.sql", i+1))
		if err := os.WriteFile(name, []byte(head+text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

func ours(b *testing.B, dsn redact.Secret, dir string) {
	env := &task.Env{
		Log: slog.New(slog.DiscardHandler), Dir: b.TempDir(),
		Save: func(any) error { return nil }, Progress: func(int64, int64, string) {},
	}
	a := &schema.Apply{DSN: dsn, Dir: task.Path(dir), LockTimeout: 100 * time.Millisecond, LockTries: 150}
	_, err := a.Run(b.Context(), env)
	if skip := (*task.SkipError)(nil); err != nil && !errors.As(err, &skip) {
		b.Fatal(err)
	}
}

func gooses(b *testing.B, dsn redact.Secret, dir string) {
	db, err := sql.Open("pgx", dsn.Reveal())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS(dir))
	if err == nil {
		_, err = provider.Up(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
}

// database makes an empty database in a cluster that writes to disk as a
// production server does, and has the server write down what that leaves: whoever
// comes first would wait for it.
func database(b *testing.B, cluster *postgres.Cluster, name string) redact.Secret {
	b.Helper()
	db, err := sql.Open("pgx", cluster.DSN("postgres").Reveal())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"create database " + name, "checkpoint"} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	return cluster.DSN(name)
}

// BenchmarkHundredMigrations applies them with both, one after the other, from
// connecting to the end, and then asks both again, with nothing to do. A single round
// says little: the server takes now one time for a table, now twice as long.
func BenchmarkHundredMigrations(b *testing.B) {
	cluster, err := postgres.Settings{Durable: true}.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Stop()
	atlas, up := small(b, ""), small(b, "-- +goose Up\n")
	local, err := migrate.NewLocalDir(atlas)
	if err != nil {
		b.Fatal(err)
	}
	sum, err := local.Checksum()
	if err == nil {
		err = migrate.WriteSumFile(local, sum)
	}
	if err != nil {
		b.Fatal(err)
	}
	peers := []struct {
		name string
		run  func(dsn redact.Secret)
	}{
		{"phasegate", func(dsn redact.Secret) { ours(b, dsn, atlas) }},
		{"goose", func(dsn redact.Secret) { gooses(b, dsn, up) }},
	}
	times := map[string][]float64{}
	for round := 0; b.Loop(); {
		for range 12 {
			for i := range peers {
				peer := peers[(round+i)%len(peers)]
				dsn := database(b, cluster, fmt.Sprintf("%s%d", peer.name, round))
				for _, what := range []string{"-ms", "-nothing-ms"} {
					begin := time.Now()
					peer.run(dsn)
					times[peer.name+what] = append(times[peer.name+what], float64(time.Since(begin).Microseconds())/1000)
				}
			}
			round++
		}
	}
	for name, list := range times {
		b.ReportMetric(median(list), name)
	}
	b.ReportMetric(median(times["phasegate-ms"])/median(times["goose-ms"]), "phasegate/goose")
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
