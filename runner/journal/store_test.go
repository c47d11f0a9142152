package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

const testRun = "20260102-030405-abcdef"

func someEvents() []Event {
	return []Event{
		{Type: Opened, Run: testRun, Contract: Contract, Plan: "toy", Digest: "d1", Phases: []string{"one"}},
		{Type: PhaseStarted, Run: testRun, Phase: "one"},
		{Type: StepStarted, Run: testRun, Phase: "one", Step: "a", Task: "toy/a", Kind: KindStep, Attempt: 1},
		{Type: StepFinished, Run: testRun, Phase: "one", Step: "a", Status: Done, Receipt: []byte(`{"rows":1}`)},
	}
}

// A place is where journals are kept, as several processes see it.
type place struct {
	address string                                                   // what openPlace takes
	rewrite func(t *testing.T, run string, lines [][]byte)           // as a hand with access to it would
	open    func(t *testing.T) Store                                 // another process's store
	fill    func(t *testing.T, run string, events ...Event) [][]byte // makes a journal and returns its lines
}

// openPlace opens the store at an address, as a process of its own would.
func openPlace(ctx context.Context, address string) (Store, error) {
	if strings.HasPrefix(address, "postgres://") {
		return OpenPostgres(ctx, address)
	}
	return NewDir(address), nil
}

func newPlace(address string, rewrite func(t *testing.T, run string, lines [][]byte)) place {
	p := place{address: address, rewrite: rewrite}
	p.open = func(t *testing.T) Store {
		t.Helper()
		store, err := openPlace(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if closer, ok := store.(*Postgres); ok {
			t.Cleanup(func() { _ = closer.Close() })
		}
		return store
	}
	p.fill = func(t *testing.T, run string, events ...Event) [][]byte {
		t.Helper()
		store := p.open(t)
		w, err := store.Create(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, w, events...)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		lines, err := store.Lines(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	return p
}

func dirPlace(t *testing.T) place {
	dir := NewDir(filepath.Join(t.TempDir(), "runs"))
	return newPlace(dir.path, func(t *testing.T, run string, lines [][]byte) {
		var content []byte
		for _, line := range lines {
			content = append(append(content, line...), '\n')
		}
		if err := os.WriteFile(dir.file(run), content, 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

func postgresPlace(t *testing.T) place {
	dsn := postgrestest.Database(t).Reveal()
	return newPlace(dsn, func(t *testing.T, run string, lines [][]byte) {
		execute(t, dsn, `delete from phasegate.events where run = $1`, run)
		execute(t, dsn, `insert into phasegate.events select $1, n, line from unnest($2::bytea[]) with ordinality as l(line, n)`,
			run, lines)
	})
}

func mustAppend(t *testing.T, w Writer, events ...Event) {
	t.Helper()
	for _, e := range events {
		if _, err := w.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDirIsAStore(t *testing.T)      { testStore(t, dirPlace) }
func TestPostgresIsAStore(t *testing.T) { testStore(t, postgresPlace) }

// testStore holds what every store promises.
func testStore(t *testing.T, at func(*testing.T) place) {
	for name, test := range map[string]func(*testing.T, place){
		"a journal is read back as it was written":              readBack,
		"what is appended together is read together":            appendTogether,
		"a run goes on where it was left":                       goOn,
		"a journal has one writer":                              oneWriter,
		"of many who open a run at once one gets it":            oneOfMany,
		"a target has one run":                                  oneTarget,
		"a lock ends with the process that has it":              lockDies,
		"a run that is not there is not found":                  notFound,
		"a run is created once":                                 createOnce,
		"runs are listed oldest first":                          oldestFirst,
		"an altered journal is refused at the event that shows": altered,
		"a journal of a later minor contract is gone on with":   laterMinor,
		"a journal of a later major contract is left alone":     laterMajor,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, at(t))
		})
	}
}

func readBack(t *testing.T, p place) {
	lines := p.fill(t, testRun, someEvents()...)
	events, err := p.open(t).Read(t.Context(), testRun)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 4 || events[3].Seq != 4 || string(events[3].Receipt) != `{"rows":1}` {
		t.Fatalf("read %d events, the last %+v", len(events), events[len(events)-1])
	}
	if events[0].Prev != "" || len(events[3].Prev) != 64 {
		t.Errorf("events are not chained: %q, %q", events[0].Prev, events[3].Prev)
	}
	if state, err := p.open(t).State(t.Context(), testRun); err != nil || !reflect.DeepEqual(state, Fold(events)) {
		t.Errorf("the state is %+v, %v", state, err)
	}
	if verified, err := Verify(testRun, lines); err != nil || len(verified) != 4 {
		t.Errorf("the lines verify as %d events, %v", len(verified), err)
	}
}

func appendTogether(t *testing.T, p place) {
	store := p.open(t)
	w, err := store.Create(t.Context(), testRun)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	written, err := w.Append(t.Context(), someEvents()...)
	if err != nil {
		t.Fatal(err)
	}
	if nothing, err := w.Append(t.Context()); err != nil || len(nothing) != 0 {
		t.Errorf("append of nothing: %v, %v", nothing, err)
	}
	events, err := p.open(t).Read(t.Context(), testRun)
	if err != nil || len(events) != len(written) {
		t.Fatalf("read %d events of %d while the run is held: %v", len(events), len(written), err)
	}
	for i, e := range events {
		if e.Seq != written[i].Seq || e.Prev != written[i].Prev || !e.Time.Equal(written[i].Time) {
			t.Errorf("event %d was announced as %+v and reads %+v", i+1, written[i], e)
		}
	}
}

func goOn(t *testing.T, p place) {
	p.fill(t, testRun, someEvents()...)
	w, events, err := p.open(t).Open(t.Context(), testRun)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 4 {
		t.Errorf("opened with %d events", len(events))
	}
	mustAppend(t, w, Event{Type: Closed, Run: testRun, Status: Done})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(t.Context(), Event{Type: Closed, Run: testRun}); err == nil {
		t.Error("appended to a run that was let go of")
	}
	if events, err = p.open(t).Read(t.Context(), testRun); err != nil || len(events) != 5 {
		t.Errorf("read %d events, %v", len(events), err)
	}
}

func oneWriter(t *testing.T, p place) {
	store, other := p.open(t), p.open(t)
	w, err := store.Create(t.Context(), testRun)
	if err != nil {
		t.Fatal(err)
	}
	for who, second := range map[string]Store{"another process": other, "the same process": store} {
		if _, _, err := second.Open(t.Context(), testRun); !errors.Is(err, ErrHeld) {
			t.Errorf("%s got %v, want ErrHeld", who, err)
		}
		if held, err := second.Held(t.Context(), testRun); err != nil || !held {
			t.Errorf("%s: held = %v, %v while a writer has it", who, held, err)
		}
	}
	mustAppend(t, w, someEvents()...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if held, err := other.Held(t.Context(), testRun); err != nil || held {
		t.Errorf("held = %v, %v after it was let go", held, err)
	}
	second, _, err := other.Open(t.Context(), testRun)
	if err != nil {
		t.Fatalf("open after close: %v", err)
	}
	_ = second.Close()
}

func oneOfMany(t *testing.T, p place) {
	p.fill(t, testRun, someEvents()...)
	const many = 6
	got := make(chan Writer, many)
	var all sync.WaitGroup
	start := make(chan struct{})
	for range many {
		store := p.open(t)
		all.Go(func() {
			<-start
			w, _, err := store.Open(t.Context(), testRun)
			switch {
			case err == nil:
				got <- w
				_, err = w.Append(t.Context(), Event{Type: Opened, Run: testRun})
				if err != nil {
					t.Error(err)
				}
			case !errors.Is(err, ErrHeld):
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	if len(got) != 1 {
		t.Fatalf("%d of %d got the run", len(got), many)
	}
	_ = (<-got).Close()
}

func oneTarget(t *testing.T, p place) {
	store, other := p.open(t), p.open(t)
	unlock, err := store.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatal(err)
	}
	for who, second := range map[string]Store{"another process": other, "the same process": store} {
		if _, err := second.Lock(t.Context(), "toy"); !errors.Is(err, ErrHeld) {
			t.Errorf("%s got %v, want ErrHeld", who, err)
		}
	}
	elsewhere, err := other.Lock(t.Context(), "other")
	if err != nil {
		t.Fatalf("another target: %v", err)
	}
	elsewhere()
	unlock()
	again, err := other.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	again()
}

// holderVariable makes this test binary a process that holds the run and the
// target at the address, until it is killed.
const holderVariable = "PHASEGATE_TEST_HOLDER"

func TestMain(m *testing.M) {
	if address := os.Getenv(holderVariable); address != "" {
		fmt.Println("holds:", holdAll(address))
		select {}
	}
	os.Exit(m.Run())
}

func holdAll(address string) error {
	ctx := context.Background()
	store, err := openPlace(ctx, address)
	if err != nil {
		return err
	}
	if _, err := store.Lock(ctx, "toy"); err != nil {
		return err
	}
	w, _, err := store.Open(ctx, testRun)
	if err != nil {
		return err
	}
	_, err = w.Append(ctx, Event{Type: Opened, Run: testRun})
	return err
}

func lockDies(t *testing.T, p place) {
	p.fill(t, testRun, someEvents()...)
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), holderVariable+"="+p.address)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "holds: <nil>\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	store := p.open(t)
	if _, _, err := store.Open(t.Context(), testRun); !errors.Is(err, ErrHeld) {
		t.Errorf("open while it lives: %v", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	var w Writer
	var events []Event
	eventually(t, "the run is free", func() bool {
		w, events, err = store.Open(t.Context(), testRun)
		return !errors.Is(err, ErrHeld)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if len(events) != 5 {
		t.Errorf("%d events, want the holder's too", len(events))
	}
	unlock, err := store.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after twenty seconds, not yet: %s", what)
		}
	}
}

func notFound(t *testing.T, p place) {
	store := p.open(t)
	for _, run := range []string{testRun, "../escape", "", "a/b", "nul\x00"} {
		if _, err := store.Read(t.Context(), run); !errors.Is(err, ErrNotFound) {
			t.Errorf("read %q: %v, want ErrNotFound", run, err)
		}
		if _, err := store.Lines(t.Context(), run); !errors.Is(err, ErrNotFound) {
			t.Errorf("lines of %q: %v, want ErrNotFound", run, err)
		}
		if _, _, err := store.Open(t.Context(), run); !errors.Is(err, ErrNotFound) {
			t.Errorf("open %q: %v, want ErrNotFound", run, err)
		}
		if _, err := store.Held(t.Context(), run); !errors.Is(err, ErrNotFound) {
			t.Errorf("held %q: %v, want ErrNotFound", run, err)
		}
	}
	if _, err := store.Create(t.Context(), "../escape"); err == nil {
		t.Error("created a run with a name that is a path")
	}
	if runs, err := store.Runs(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("runs = %v, %v where there is none", runs, err)
	}
}

func createOnce(t *testing.T, p place) {
	p.fill(t, testRun, someEvents()...)
	if _, err := p.open(t).Create(t.Context(), testRun); err == nil {
		t.Error("created a run over another")
	}
	if events, err := p.open(t).Read(t.Context(), testRun); err != nil || len(events) != 4 {
		t.Errorf("read %d events, %v", len(events), err)
	}
	w, _, err := p.open(t).Open(t.Context(), testRun)
	if err != nil {
		t.Fatalf("open after the refused creation: %v", err)
	}
	_ = w.Close()
}

func oldestFirst(t *testing.T, p place) {
	names := []string{"20260102-030405-ffffff", "20260102-030406-000000", "20251231-235959-abcdef", "a-b", "a2"}
	for _, run := range names {
		p.fill(t, run, Event{Type: Opened, Run: run})
	}
	runs, err := p.open(t).Runs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(names); !slices.Equal(runs, names) {
		t.Errorf("runs = %v", runs)
	}
}

func altered(t *testing.T, p place) {
	lines := p.fill(t, testRun, someEvents()...)
	changed := func(n int, from, to string) [][]byte {
		copied := slices.Clone(lines)
		copied[n] = []byte(strings.Replace(string(lines[n]), from, to, 1))
		if string(copied[n]) == string(lines[n]) {
			t.Fatalf("event %d has no %s", n+1, from)
		}
		return copied
	}
	for name, c := range map[string]struct {
		lines [][]byte
		event int
	}{
		"a changed value":      {changed(0, `"plan":"toy"`, `"plan":"fun"`), 2},
		"a removed event":      {[][]byte{lines[0], lines[2], lines[3]}, 2},
		"two swapped events":   {[][]byte{lines[0], lines[2], lines[1], lines[3]}, 2},
		"garbage in its place": {[][]byte{lines[0], []byte("garbage"), lines[2], lines[3]}, 2},
		"the first one gone":   {lines[1:], 1},
		"one of another run":   {changed(2, `"run":"2026`, `"run":"2027`), 3},
	} {
		p.rewrite(t, testRun, c.lines)
		store := p.open(t)
		_, _, openErr := store.Open(t.Context(), testRun)
		before, readErr := store.Read(t.Context(), testRun)
		state, stateErr := store.State(t.Context(), testRun)
		for how, err := range map[string]error{"open": openErr, "read": readErr, "state": stateErr} {
			damaged, ok := errors.AsType[*DamagedError](err)
			if !ok || damaged.Line != c.event || damaged.Run != testRun {
				t.Errorf("%s: %s got %v, want damage at event %d", name, how, err, c.event)
			}
		}
		if len(before) != c.event-1 {
			t.Errorf("%s: %d events before it", name, len(before))
		}
		if !reflect.DeepEqual(state, Fold(before)) {
			t.Errorf("%s: the state is %+v", name, state)
		}
		raw, err := store.Lines(t.Context(), testRun)
		if err != nil || len(raw) != len(c.lines) {
			t.Errorf("%s: lines: %d, %v", name, len(raw), err)
		}
		if _, err := Verify(testRun, raw); err == nil || err.Error() != readErr.Error() {
			t.Errorf("%s: read says %v, the lines verify as %v", name, readErr, err)
		}
	}
	p.rewrite(t, testRun, lines)
	w, _, err := p.open(t).Open(t.Context(), testRun)
	if err != nil {
		t.Fatalf("put back as it was: %v", err)
	}
	_ = w.Close()
}
