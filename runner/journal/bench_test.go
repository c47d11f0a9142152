package journal

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres"
)

// What an append costs: a step's result and the next one's start, in each store,
// beside two bare committed inserts of the same lines. All take turns in one
// loop, so that the ratios hold on a busy machine too. The server commits to the
// disk as one in production does.
func BenchmarkAppend(b *testing.B) {
	cluster, err := postgres.Settings{Durable: true}.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Stop()
	dsn := cluster.DSN("postgres").Reveal()
	store, err := OpenPostgres(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	insert := bareInsert(b, dsn)
	pair := func() []Event { return slices.Clone(someEvents()[2:]) }
	contenders := []*contender{
		{name: "postgres", do: appender(b, store, pair)},
		{name: "file", do: appender(b, NewDir(filepath.Join(b.TempDir(), "runs")), pair)},
		{name: "two-inserts", do: func() error { return errors.Join(insert(), insert()) }},
	}
	for b.Loop() {
		for _, c := range contenders {
			began := time.Now()
			if err := c.do(); err != nil {
				b.Fatal(err)
			}
			c.took = append(c.took, time.Since(began))
		}
	}
	for _, c := range contenders {
		b.ReportMetric(float64(c.median().Microseconds()), c.name+"-µs")
	}
	b.ReportMetric(float64(contenders[0].median())/float64(contenders[2].median()), "postgres/two-inserts")
}

type contender struct {
	name string
	do   func() error
	took []time.Duration
}

func (c *contender) median() time.Duration {
	slices.Sort(c.took)
	return c.took[len(c.took)/2]
}

func appender(b *testing.B, store Store, events func() []Event) func() error {
	w, err := store.Create(b.Context(), testRun)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.Close() })
	return func() error {
		_, err := w.Append(context.Background(), events()...)
		return err
	}
}

// bareInsert returns what the least program would do to keep a line.
func bareInsert(b *testing.B, dsn string) func() error {
	conn, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(b.Context(), `create table bare (id bigserial primary key, line bytea not null)`); err != nil {
		b.Fatal(err)
	}
	var links chain
	line, err := links.seal(&someEvents()[3])
	if err != nil {
		b.Fatal(err)
	}
	return func() error {
		_, err := conn.Exec(context.Background(), `insert into bare (line) values ($1)`, line)
		return err
	}
}

// A long journal is read, verified and folded.
func BenchmarkFold10000Events(b *testing.B) {
	cluster, err := postgres.Start(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Stop()
	inPostgres, err := OpenPostgres(b.Context(), cluster.DSN("postgres").Reveal())
	if err != nil {
		b.Fatal(err)
	}
	defer inPostgres.Close()
	for name, store := range map[string]Store{"file": NewDir(filepath.Join(b.TempDir(), "runs")), "postgres": inPostgres} {
		events := make([]Event, 10_000)
		for i := range events {
			events[i] = someEvents()[min(i, 2+i%2)]
		}
		w, err := store.Create(b.Context(), testRun)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Append(b.Context(), events...); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				events, err := store.Read(b.Context(), testRun)
				if err != nil || len(events) != 10_000 {
					b.Fatal(len(events), err)
				}
				Fold(events)
			}
		})
		_ = w.Close()
	}
}
