package postgres_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// A writer is a client that notes which of its transactions it was told are
// committed, and connects again when it is sent away.
type writer struct {
	first     int64
	tried     int64   // numbers from first on
	committed []int64 // numbers
	done      atomic.Int64
}

// write inserts a row and changes another one, again and again, until ctx ends.
func (w *writer) write(ctx context.Context, dsn redact.Secret) {
	var conn *pgx.Conn
	for ctx.Err() == nil {
		if conn == nil || conn.IsClosed() {
			conn, _ = pg.Connect(context.Background(), dsn)
			continue
		}
		n := w.first + w.tried
		w.tried++
		_, err := conn.Exec(context.Background(),
			fmt.Sprintf("begin; insert into written values (%[1]d); update base set v = 1 where id = %[1]d; commit", n))
		if err == nil {
			w.committed = append(w.committed, n)
			w.done.Add(1)
		}
	}
	if conn != nil {
		pg.Close(conn)
	}
}

// Four writers go on through a swap, and after it; then what the swap took away
// is salvaged and replayed. What they were told is committed is in the database
// plus what the salvage holds, to the row.
func TestNothingThatAWriterWasToldIsCommittedIsLost(t *testing.T) {
	t.Parallel()
	const writers = 4
	each := int64(60)
	if os.Getenv("PHASEGATE_SOAK") != "" {
		each = 5000
	}
	room := 1000 * each
	live := database(t, fmt.Sprintf("create table written (id bigint primary key); create table base (id bigint primary key, v int); insert into base select i, 0 from generate_series(0, %d) i", writers*each*20))
	back := staged(t, stage(live), tasktest.Env(t))
	list := make([]*writer, writers)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	for i := range list {
		list[i] = &writer{first: int64(i) * room}
		running.Go(func() { list[i].write(ctx, live) })
	}
	reached := func(n int64) bool {
		for _, w := range list {
			if w.done.Load() < n {
				return false
			}
		}
		return true
	}
	waitFor(t, func() bool { return reached(each) })
	swapped, err := swap(live, back.Database).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	dropLater(t, swapped.Replaced)
	waitFor(t, func() bool { return reached(2 * each) })
	r := &rolledBack{TB: t, live: live, since: back.Snapshot, swap: swapped}
	found := r.run(r.salvage()) // while they write
	waitFor(t, func() bool { return reached(3 * each) })
	stop()
	running.Wait()
	told := map[int64]bool{}
	for _, w := range list {
		for _, n := range w.committed {
			told[n] = true
		}
	}
	own := value[int64](t, live, "select count(*) from written")
	salvaged := int64(0)
	for _, table := range found.Tables {
		salvaged += table.Inserted
	}
	// A commit whose answer got lost, one for each writer at most, may be there too.
	if sum := own + salvaged; sum < int64(len(told)) || sum > int64(len(told))+writers || found.Deleted > 0 || found.Both > 0 {
		t.Errorf("%d were told to be committed; the database has %d, the salvage %+v", len(told), own, found.Tables)
	}
	replayed, err := replay(live, found).Run(t.Context(), tasktest.Env(t))
	if err != nil || replayed.Conflicts != 0 {
		t.Fatalf("replay: %+v, %v", replayed, err)
	}
	conn := connect(t, live)
	defer pg.Close(conn)
	rows, err := conn.Query(t.Context(), "select w.id from written w left join base b using (id) where coalesce(b.v, 1) = 1")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&n}, func() error { delete(told, n); return nil }); err != nil || len(told) > 0 {
		t.Errorf("%d that were told to be committed are lost: %v", len(told), err)
	}
}
