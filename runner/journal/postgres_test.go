package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
)

// execute does something to the database behind the store's back.
func execute(t *testing.T, dsn, sql string, args ...any) {
	t.Helper()
	conn := dial(t, dsn)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func query[T any](t *testing.T, dsn, sql string, args ...any) (answer T) {
	t.Helper()
	conn := dial(t, dsn)
	defer conn.Close(context.Background())
	if err := conn.QueryRow(context.Background(), sql, args...).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func dial(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func openStore(t *testing.T, dsn string) *Postgres {
	t.Helper()
	p, err := OpenPostgres(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	p.beat = 20 * time.Millisecond
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func create(t *testing.T, p *Postgres, run string) Writer {
	t.Helper()
	w, err := p.Create(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustOpen(t *testing.T, p *Postgres, run string) (Writer, []Event) {
	t.Helper()
	w, events, err := p.Open(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return w, events
}

func mustRead(t *testing.T, dsn, run string) []Event {
	t.Helper()
	events, err := openStore(t, dsn).Read(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// terminate ends the sessions of a role, or of everybody, in the database.
func terminate(t *testing.T, dsn string) {
	t.Helper()
	execute(t, dsn, `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()`)
	eventually(t, "the sessions have ended", func() bool {
		return query[int](t, dsn, `select count(*) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()
			and database = (select oid from pg_database where datname = current_database())`) == 0
	})
}

func TestRunIsTakenOverWhenTheHoldersConnectionIsKilled(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	wire := newCable(t, dsn)
	first, second := openStore(t, wire.dsn), openStore(t, dsn)
	old := create(t, first, testRun)
	mustAppend(t, old, someEvents()...)

	wire.pull()
	terminate(t, dsn)
	taker, events := mustOpen(t, second, testRun)
	if len(events) != 4 {
		t.Errorf("taken over with %d events", len(events))
	}
	mustAppend(t, taker, Event{Type: Opened, Run: testRun, Host: "taker"})
	wire.mend()

	select {
	case <-old.Lost():
	case <-time.After(10 * time.Second):
		t.Error("the old writer was not told")
	}
	for range 2 {
		if _, err := old.Append(t.Context(), Event{Type: Closed, Run: testRun}); !errors.Is(err, ErrTakenOver) {
			t.Errorf("the old writer's append: %v, want ErrTakenOver", err)
		}
	}
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	mustAppend(t, taker, Event{Type: Closed, Run: testRun, Status: Done})
	if events := mustRead(t, dsn, testRun); len(events) != 6 || events[4].Host != "taker" {
		t.Errorf("%d events after the takeover: %+v", len(events), events[4])
	}
	if events, err := first.Read(t.Context(), testRun); err != nil || len(events) != 6 {
		t.Errorf("the old holder reads %d events, %v", len(events), err)
	}
}

func TestRunThatIsBeingTakenOverIsWrittenByOneOnly(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	w := create(t, openStore(t, dsn), testRun)
	mustAppend(t, w, someEvents()...)
	// Nothing tells the holder: its connection and its lock are whole, as after
	// a failover to a server that knows nothing of locks.
	execute(t, dsn, `update phasegate.runs set epoch = epoch + 1`)
	if _, err := w.Append(t.Context(), Event{Type: Closed, Run: testRun}); !errors.Is(err, ErrTakenOver) {
		t.Errorf("append under an old epoch: %v, want ErrTakenOver", err)
	}
	if events := mustRead(t, dsn, testRun); len(events) != 4 {
		t.Errorf("%d events", len(events))
	}
}

func TestWriterIsRefusedOnceItsTargetWasTakenOver(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	wire := newCable(t, dsn)
	first, second := openStore(t, wire.dsn), openStore(t, dsn)
	unlock, err := first.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatal(err)
	}
	w := create(t, first, testRun)
	wire.pull()
	terminate(t, dsn)
	theirs, err := second.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatal(err)
	}
	theirs() // also when they have finished
	wire.mend()
	if _, err := w.Append(t.Context(), someEvents()...); !errors.Is(err, ErrTakenOver) || !strings.Contains(err.Error(), "target toy") {
		t.Errorf("append: %v, want ErrTakenOver of the target", err)
	}
	unlock()
	taken, _ := mustOpen(t, second, testRun)
	_ = taken.Close()
}

func TestRunGoesOnWhenItsConnectionIsKilledAndNobodyTookIt(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	p := openStore(t, dsn)
	unlock, err := p.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	w := create(t, p, testRun)
	for _, e := range someEvents() {
		execute(t, dsn, `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`)
		mustAppend(t, w, e)
	}
	if events := mustRead(t, dsn, testRun); len(events) != 4 {
		t.Errorf("%d events", len(events))
	}
	other := openStore(t, dsn)
	if _, err := other.Lock(t.Context(), "toy"); !errors.Is(err, ErrHeld) {
		t.Errorf("the target: %v, want ErrHeld", err)
	}
}

// A step may work for an hour without an event.
func TestLockIsTakenBackWhileNothingIsWritten(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	p := openStore(t, dsn)
	w := create(t, p, testRun)
	defer w.Close()
	first := query[int](t, dsn, `select pid from pg_stat_activity
		where datname = current_database() and application_name = 'phasegate journal'`)
	if !query[bool](t, dsn, fmt.Sprintf("select pg_terminate_backend(%d)", first)) {
		t.Fatal("the journal's session was not ended")
	}
	// The first one may be seen holding it for a moment after it was told to end.
	eventually(t, "a new session has the lock", func() bool {
		return query[bool](t, dsn, fmt.Sprintf(`select exists (select from pg_locks l join pg_stat_activity a using (pid)
			where l.locktype = 'advisory' and l.granted and a.datname = current_database()
			  and a.application_name = 'phasegate journal' and a.pid <> %d)`, first))
	})
	if _, _, err := openStore(t, dsn).Open(t.Context(), testRun); !errors.Is(err, ErrHeld) {
		t.Errorf("another process got %v, want ErrHeld", err)
	}
	select {
	case <-w.Lost():
		t.Error("the run was lost")
	default:
	}
}

func TestAppendWaitsForADatabaseThatComesBack(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	wire := newCable(t, dsn)
	w := create(t, openStore(t, wire.dsn), testRun)
	wire.pull()
	appended := make(chan error)
	go func() {
		_, err := w.Append(context.Background(), someEvents()...)
		appended <- err
	}()
	select {
	case err := <-appended:
		t.Fatalf("append without a database: %v", err)
	case <-time.After(300 * time.Millisecond): // several tries
	}
	wire.mend()
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	if events := mustRead(t, dsn, testRun); len(events) != 4 {
		t.Errorf("%d events", len(events))
	}
}

// The server may learn later than this process that a connection broke.
func TestAppendWaitsUntilTheServerGivesTheLockBack(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	p := openStore(t, dsn)
	w := create(t, p, testRun)
	before := session(p)
	ghost := dial(t, dsn)
	locked := make(chan error)
	go func() {
		_, err := ghost.Exec(context.Background(), `select pg_advisory_lock($1)`, runClaim(testRun).key())
		locked <- err
	}()
	eventually(t, "the ghost waits for the lock", func() bool {
		return query[bool](t, dsn, `select exists (select from pg_locks where pid = $1 and not granted)`, ghost.PgConn().PID())
	})
	execute(t, dsn, `select pg_terminate_backend($1)`, before)
	if err := <-locked; err != nil {
		t.Fatal(err)
	}
	appended := make(chan error)
	go func() {
		_, err := w.Append(context.Background(), someEvents()...)
		appended <- err
	}()
	select {
	case err := <-appended:
		t.Fatalf("append while the lock is not free: %v", err)
	case <-time.After(300 * time.Millisecond): // several tries
	}
	if err := ghost.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-appended; err != nil {
		t.Error(err)
	}
}

func TestAppendGivesUpOnADatabaseThatStaysAway(t *testing.T) {
	t.Parallel()
	wire := newCable(t, postgrestest.Database(t).Reveal())
	p := openStore(t, wire.dsn)
	p.patience = 200 * time.Millisecond
	w := create(t, p, testRun)
	wire.pull()
	_, err := w.Append(t.Context(), someEvents()...)
	if err == nil || !strings.Contains(err.Error(), "database was away for 200ms") {
		t.Fatalf("append: %v", err)
	}
	if !strings.Contains(task.HintOf(err), "bring the database back") {
		t.Errorf("hint %q", task.HintOf(err))
	}
	wire.mend()
	if _, again := w.Append(t.Context(), someEvents()...); again == nil || again.Error() != err.Error() {
		t.Errorf("append after a failure: %v", again)
	}
}

// A process that is cut off stops what it does before it is long enough for
// another one to have taken over: it could not know.
func TestRunIsLostWhenTheDatabaseStaysAway(t *testing.T) {
	t.Parallel()
	wire := newCable(t, postgrestest.Database(t).Reveal())
	p := openStore(t, wire.dsn)
	p.patience, p.beat = 200*time.Millisecond, 20*time.Millisecond
	w := create(t, p, testRun)
	wire.pull()
	<-w.Lost()
	wire.mend()
	_, err := w.Append(t.Context(), someEvents()...)
	if err == nil || !strings.Contains(err.Error(), "database was away for 200ms") {
		t.Errorf("append: %v", err)
	}
	if _, _, err := p.Open(t.Context(), testRun); err != nil {
		t.Errorf("it cannot be taken up again: %v", err)
	}
}

func TestAppendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	wire := newCable(t, postgrestest.Database(t).Reveal())
	w := create(t, openStore(t, wire.dsn), testRun)
	wire.pull()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("no more time"))
	defer cancel()
	if _, err := w.Append(ctx, someEvents()...); err == nil || !strings.Contains(err.Error(), "no more time") {
		t.Errorf("append: %v", err)
	}
}

func TestEventWhoseAnswerWasLostIsThereOnce(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	wire := newCable(t, dsn)
	p := openStore(t, wire.dsn)
	p.beat = time.Hour
	w := create(t, p, testRun)
	for _, e := range someEvents() {
		wire.loseNextAnswer()
		done := make(chan struct{})
		go func() { mend(wire); close(done) }()
		mustAppend(t, w, e)
		<-done
	}
	if events := mustRead(t, dsn, testRun); len(events) != 4 {
		t.Errorf("%d events", len(events))
	}
}

// mend waits until the cable was cut and mends it.
func mend(c *cable) {
	for !c.isCut() {
		time.Sleep(time.Millisecond)
	}
	c.mend()
}

func TestConnectionCutAtAnyByteOfAnAppendLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	wire := newCable(t, dsn)
	p := openStore(t, wire.dsn)
	p.beat = time.Hour
	w := create(t, p, testRun)
	mustAppend(t, w, someEvents()...)
	step := 97
	if os.Getenv("PHASEGATE_SOAK") != "" {
		step = 1
	}
	events := 4
	for cut := 0; ; cut += step {
		mustAppend(t, w, Event{Type: StepSaved, Run: testRun}) // the statement is prepared
		wire.cutAfter(cut)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for !wire.isCut() {
				select {
				case <-t.Context().Done():
					return
				case <-time.After(time.Millisecond):
				}
				wire.mu.Lock()
				left := wire.left
				wire.mu.Unlock()
				if left < 0 {
					return
				}
			}
			wire.mend()
		}()
		mustAppend(t, w, Event{Type: StepSaved, Run: testRun, Receipt: []byte(fmt.Sprintf(`{"cut":%d}`, cut))})
		events += 2
		wire.mu.Lock()
		whole := wire.left > 0 // all of it went through
		wire.mu.Unlock()
		wire.cutAfter(-1)
		<-ended
		if whole {
			break
		}
	}
	if found := mustRead(t, dsn, testRun); len(found) != events || events < 10 {
		t.Errorf("%d events, want %d", len(found), events)
	}
}

// session is the number of the server's process that the store works with.
func session(p *Postgres) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return 0
	}
	return p.conn.PgConn().PID()
}

// The server itself goes down as one does after a crash, and recovers.
func TestRunGoesOnAfterTheServerCrashed(t *testing.T) {
	t.Parallel()
	cluster, err := postgres.Settings{Durable: true}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Stop() })
	dsn := cluster.DSN("postgres").Reveal()
	p := openStore(t, dsn)
	w := create(t, p, testRun)
	mustAppend(t, w, someEvents()...)
	events := 4
	for range 2 {
		victim := query[int](t, dsn, `select pid from pg_stat_activity where backend_type = 'walwriter'`)
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for before := session(p); session(p) == before; events++ {
			mustAppend(t, w, Event{Type: StepSaved, Run: testRun})
		}
	}
	if found, err := p.Read(t.Context(), testRun); err != nil || len(found) != events {
		t.Errorf("read %d events, want %d: %v", len(found), events, err)
	}
}

func TestJournalThatWasPutBackToAnOlderCopyIsNotWrittenOn(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	w := create(t, openStore(t, dsn), testRun)
	mustAppend(t, w, someEvents()[0])
	hash := query[string](t, dsn, `select hash from phasegate.runs`)
	mustAppend(t, w, someEvents()[1:]...)
	execute(t, dsn, `delete from phasegate.events where seq > 1`)
	execute(t, dsn, `update phasegate.runs set seq = 1, hash = $1`, hash)
	_, err := w.Append(t.Context(), Event{Type: Closed, Run: testRun})
	if err == nil || !strings.Contains(err.Error(), "put back to an older copy") {
		t.Errorf("append: %v", err)
	}
}

func TestEndOfAJournalCannotBeAlteredUnseen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql   string
		event int
	}{
		"the last event removed": {`delete from phasegate.events where seq = 4`, 4},
		"the last two removed":   {`delete from phasegate.events where seq > 2`, 3},
		"all removed":            {`delete from phasegate.events`, 1},
		"the last event changed": {`update phasegate.events set line =
			convert_to(replace(convert_from(line, 'UTF8'), '"rows":1', '"rows":2'), 'UTF8') where seq = 4`, 4},
		"one more put in": {`insert into phasegate.events select run, 5, convert_to(replace(replace(
			convert_from(line, 'UTF8'), '"seq":4', '"seq":5'), convert_from(line, 'UTF8')::json->>'prev',
			(select hash from phasegate.runs)), 'UTF8') from phasegate.events where seq = 4`, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := postgresPlace(t)
			p.fill(t, testRun, someEvents()...)
			execute(t, p.address, c.sql)
			events, err := p.open(t).Read(t.Context(), testRun)
			damaged, ok := errors.AsType[*DamagedError](err)
			if !ok || damaged.Line != c.event {
				t.Errorf("read: %v, want damage at event %d", err, c.event)
			}
			if len(events) > c.event {
				t.Errorf("%d events before it", len(events))
			}
			if state, stateErr := p.open(t).State(t.Context(), testRun); stateErr == nil || stateErr.Error() != err.Error() || !reflect.DeepEqual(state, Fold(events)) {
				t.Errorf("state: %+v, %v", state, stateErr)
			}
			if _, _, err := p.open(t).Open(t.Context(), testRun); !errors.As(err, &damaged) {
				t.Errorf("open: %v", err)
			}
			if held, err := p.open(t).Held(t.Context(), testRun); err != nil || held {
				t.Errorf("held = %v, %v after it was refused", held, err)
			}
		})
	}
}

// Connections are killed at random while several processes pass a run on. What
// was acknowledged is there once, in one chain.
func TestAcknowledgedEventsAreKeptWhateverHappensToTheConnections(t *testing.T) {
	t.Parallel()
	long := 2 * time.Second
	if os.Getenv("PHASEGATE_SOAK") != "" {
		long = time.Minute
	}
	p := postgresPlace(t)
	p.fill(t, testRun, someEvents()...)
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	var all sync.WaitGroup
	acknowledged := make([]map[string]bool, 4)
	for i := range acknowledged {
		acknowledged[i] = map[string]bool{}
		store := openStore(t, p.address)
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				passOn(t, store, fmt.Sprintf("w%d-%d", i, n), acknowledged[i])
			}
		})
	}
	kills := 0
	for killer := dial(t, p.address); ctx.Err() == nil; kills++ {
		_, err := killer.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() order by random() limit 1`)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	}
	all.Wait()
	seen := map[string]int{}
	for _, e := range mustRead(t, p.address, testRun) {
		seen[e.Host]++
	}
	total := 0
	for _, mine := range acknowledged {
		for host := range mine {
			if total++; seen[host] != 1 {
				t.Errorf("%s was acknowledged and is there %d times", host, seen[host])
			}
		}
	}
	if total < 10 || kills < 10 {
		t.Errorf("only %d events and %d kills", total, kills)
	}
	t.Logf("%d events acknowledged, %d connections killed", total, kills)
}

// passOn takes the run up if it is free, appends a few events and lets go.
func passOn(t *testing.T, store Store, name string, acknowledged map[string]bool) {
	w, _, err := store.Open(context.Background(), testRun)
	if errors.Is(err, ErrHeld) {
		time.Sleep(time.Millisecond)
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer w.Close()
	for n := range 5 {
		host := fmt.Sprintf("%s-%d", name, n)
		_, err := w.Append(context.Background(), Event{Type: Opened, Run: testRun, Host: host})
		if errors.Is(err, ErrTakenOver) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		acknowledged[host] = true
	}
}
