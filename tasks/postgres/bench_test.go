package postgres_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// large makes a database of about 170 MB, much like the application's.
var large = sized(1)

// sized makes one that is so many times as large.
func sized(times int) string {
	return fmt.Sprintf(`
	create table users (id uuid primary key default gen_random_uuid(), email text unique, hashed_password text, api_key text unique, doc jsonb);
	insert into users (email, hashed_password, api_key, doc)
	select 'user' || i || '@example.org', '$2b$12$' || md5(i::text), md5('key' || i), jsonb_build_object('ward', i %% 40, 'name', 'Name ' || i)
	  from generate_series(1, %d) i;
	create table administrations (id bigserial primary key, order_id int, nurse uuid, at timestamp, note text);
	insert into administrations (order_id, nurse, at, note)
	select i %% 1000, gen_random_uuid(), timestamp '2026-01-01' + i * interval '1 second', 'given as ordered, ' || md5(i::text)
	  from generate_series(1, %d) i`, times*200_000, times*800_000)
}

// BenchmarkBackup times the backup and PostgreSQL's own ways one after the other, in
// an order that changes from round to round, and reports the ratios of the medians:
// on a shared machine only they mean something. All of them end with the file on the
// disk; the backup is proven by then, and its checksum read back from the disk. The
// first reading of new rows writes their hint bits, so that one is not timed.
func BenchmarkBackup(b *testing.B) {
	b.Run("200MB", func(b *testing.B) { benchBackups(b, large) })
	b.Run("2GB", func(b *testing.B) { benchBackups(b, sized(10)) })
}

func benchBackups(b *testing.B, content string) {
	b.Helper()
	dsn := database(b, content)
	times := map[string][]time.Duration{}
	ways := map[string]func(){
		"full":   func() { benchBackup(b, dsn, postgres.Full) },
		"counts": func() { benchBackup(b, dsn, postgres.Counts) },
		"Fc":     func() { benchDump(b, dsn, "pg_dump -Fc") },
		"zstd":   func() { benchDump(b, dsn, "pg_dump -Fc -Z0 | zstd -1 -q") },
	}
	if _, err := command.LookPath("zstd"); err != nil {
		delete(ways, "zstd")
	}
	names := slices.Collect(maps.Keys(ways))
	benchBackup(b, dsn, postgres.Counts)
	for b.Loop() {
		for range 5 {
			for _, i := range rand.Perm(len(names)) {
				started := time.Now()
				ways[names[i]]()
				times[names[i]] = append(times[names[i]], time.Since(started))
			}
		}
	}
	for _, way := range []string{"counts", "full"} {
		b.ReportMetric(median(times[way]).Seconds(), way+"-s")
		b.ReportMetric(ratio(times["Fc"], times[way]), "Fc/"+way)
		if len(times["zstd"]) > 0 {
			b.ReportMetric(ratio(times[way], times["zstd"]), way+"/zstd")
		}
	}
	b.ReportMetric(0, "ns/op")
}

func benchBackup(b *testing.B, dsn redact.Secret, level postgres.Level) {
	b.Helper()
	task := backup(dsn, b.TempDir())
	task.Level = level
	receipt, err := task.Run(b.Context(), tasktest.Env(b))
	if err != nil {
		b.Fatal(err)
	}
	_ = os.Remove(receipt.File)
}

func benchDump(b *testing.B, dsn redact.Secret, pipeline string) {
	b.Helper()
	dump, err := pg.Tool("pg_dump")
	if err != nil {
		b.Fatal(err)
	}
	env, err := pg.Env(dsn)
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "dump")
	err = command.Command{
		Argv: []string{"sh", "-c", pipeline + " > " + file + " && sync " + file},
		Env:  append(env, "PATH="+filepath.Dir(dump)+":"+os.Getenv("PATH")), Stdout: io.Discard,
	}.Run(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	_ = os.Remove(file)
}

// BenchmarkSwap measures the gap that a client sees which reads and writes a hundred
// times a second and connects again when it is sent away: the longest time between two
// answers.
func BenchmarkSwap(b *testing.B) {
	for _, size := range []struct {
		name string
		rows int
	}{{"10MB", 100_000}, {"100MB", 1_000_000}, {"2GB", 20_000_000}} {
		b.Run(size.name, func(b *testing.B) {
			dsn := database(b, fmt.Sprintf("create table t (v text); create table probed (n int); insert into t select md5(i::text) from generate_series(1, %d) i", size.rows))
			back := staged(b, stage(dsn), tasktest.Env(b)).Database
			var gaps []time.Duration
			for i := 0; b.Loop(); i++ {
				stop := probe(b, dsn)
				s := swap(dsn, back)
				s.RunID = fmt.Sprint(i)
				receipt, err := s.Run(b.Context(), tasktest.Env(b))
				if err != nil {
					b.Fatal(err)
				}
				gaps = append(gaps, stop())
				back = receipt.Replaced
			}
			dropLater(b, back)
			slices.Sort(gaps)
			b.ReportMetric(median(gaps).Seconds()*1000, "gap-ms")
			b.ReportMetric(gaps[len(gaps)*99/100].Seconds()*1000, "p99-gap-ms")
		})
	}
}

// BenchmarkSwapAmongClients measures how long the live database takes no connections
// while twelve clients ask all the time and connect again without a pause.
func BenchmarkSwapAmongClients(b *testing.B) {
	dsn := database(b, "create table t (v text)")
	back := staged(b, stage(dsn), tasktest.Env(b)).Database
	var closed []time.Duration
	over := 0
	for i := 0; b.Loop(); i++ {
		stop := hurry(b, dsn, 12)
		s := swap(dsn, back)
		s.RunID = fmt.Sprint(i)
		receipt, err := s.Run(b.Context(), tasktest.Env(b))
		if err != nil {
			b.Fatal(err)
		}
		stop()
		if receipt.ClosedMS > 100 {
			over++
		}
		closed = append(closed, time.Duration(receipt.ClosedMS)*time.Millisecond)
		back = receipt.Replaced
	}
	dropLater(b, back)
	slices.Sort(closed)
	b.ReportMetric(median(closed).Seconds()*1000, "closed-ms")
	b.ReportMetric(closed[(len(closed)-1)*99/100].Seconds()*1000, "p99-closed-ms")
	b.ReportMetric(closed[len(closed)-1].Seconds()*1000, "worst-closed-ms")
	b.ReportMetric(float64(over)/float64(len(closed)), "over-100-ms")
	b.ReportMetric(0, "ns/op")
}

// hurry has clients at work until the returned function is called: each asks all the
// time, and connects again at once when it is sent away.
func hurry(t testing.TB, dsn redact.Secret, clients int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running, working sync.WaitGroup
	for range clients {
		working.Add(1)
		running.Go(func() {
			arrived := sync.OnceFunc(working.Done)
			for ctx.Err() == nil {
				conn, err := pg.Connect(ctx, dsn)
				for err == nil {
					_, err = conn.Exec(ctx, "select v from t limit 1")
					arrived()
				}
				if conn != nil {
					pg.Close(conn)
				}
			}
		})
	}
	working.Wait()
	return func() { cancel(); running.Wait() }
}

// probe reads and writes every ten milliseconds until the returned function is
// called, which returns the longest gap between two answers.
func probe(b *testing.B, dsn redact.Secret) func() time.Duration {
	b.Helper()
	var (
		gap     time.Duration
		running sync.WaitGroup
		done    = make(chan struct{})
		first   = make(chan struct{})
	)
	running.Go(func() {
		conn := connect(b, dsn)
		last := time.Now()
		close(first)
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			if conn.IsClosed() {
				if fresh, err := pg.Connect(b.Context(), dsn); err == nil {
					conn = fresh
				}
			}
			if _, err := conn.Exec(b.Context(), "select v from t limit 1; insert into probed values (1)"); err == nil {
				gap = max(gap, time.Since(last))
				last = time.Now()
			}
			select {
			case <-done:
				pg.Close(conn)
				return
			case <-tick.C:
			}
		}
	})
	<-first
	return func() time.Duration {
		close(done)
		running.Wait()
		return gap
	}
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

func ratio(a, b []time.Duration) float64 { return median(a).Seconds() / median(b).Seconds() }
