package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Writers write administrations through the API, each one after the other, and
// note which they were told of: an answer with 201 says that the row is committed.
type writers struct {
	*stage
	mu     sync.Mutex
	told   map[string]bool // ids of rows that the API said it has
	unsure int             // requests that got through and had no such answer: the row may be there
	stop   func()
}

// write has that many writers at work until stop is called.
func (s *stage) write(number int) *writers {
	s.Helper()
	var key, order string
	conn := s.connect()
	err := conn.QueryRow(s.Context(), `select (select api_key from users where role = 'nurse' and is_active limit 1),
		(select id::text from medication_orders limit 1)`).Scan(&key, &order)
	if err != nil {
		s.Fatal(err)
	}
	_ = conn.Close(s.Context())
	w := &writers{stage: s, told: map[string]bool{}}
	ctx, cancel := context.WithCancel(s.Context())
	var working sync.WaitGroup
	for range number {
		working.Go(func() {
			client := &http.Client{Timeout: 30 * time.Second}
			for ctx.Err() == nil {
				w.once(client, key, order)
				time.Sleep(20 * time.Millisecond) // the machine has more to do
			}
		})
	}
	w.stop = sync.OnceFunc(func() { cancel(); working.Wait() })
	s.Cleanup(w.stop)
	return w
}

// once writes a row.
func (w *writers) once(client *http.Client, key, order string) {
	body, _ := json.Marshal(map[string]string{"order_id": order})
	request, err := http.NewRequest(http.MethodPost, w.box.Env()["API_URL"]+"/api/administrations", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("X-API-Key", key)
	var written struct{ ID string }
	response, err := client.Do(request)
	status := 0
	if err == nil {
		status = response.StatusCode
		answer, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		_ = json.Unmarshal(answer, &written)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case status == http.StatusCreated && written.ID != "":
		w.told[written.ID] = true
	case !errors.Is(err, syscall.ECONNREFUSED):
		w.unsure++
	}
}

// count is the number of rows that the writers were told of so far.
func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.told)
}

// reach waits until the writers were told of that many rows more.
func (w *writers) reach(more int) {
	w.Helper()
	target := w.count() + more
	for deadline := time.Now().Add(time.Minute); w.count() < target; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("the writers got to %d rows, not to %d", w.count(), target)
		}
	}
}

// written are the administrations of the database that the population did not
// bring, and how many it has in all.
func (s *stage) written() (ids map[string]bool, all int) {
	s.Helper()
	conn := s.connect()
	defer func() { _ = conn.Close(s.Context()) }()
	if err := conn.QueryRow(s.Context(), "select count(*) from medication_administrations").Scan(&all); err != nil {
		s.Fatal(err)
	}
	rows, err := conn.Query(s.Context(), "select id::text from medication_administrations where administration_time >= $1", populated)
	if err != nil {
		s.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.Fatal(err)
	}
	ids = make(map[string]bool, len(list))
	for _, id := range list {
		ids[id] = true
	}
	return ids, all
}

// populated is after every row of the population.
var populated = time.Date(2026, time.November, 2, 0, 0, 0, 0, time.UTC)

// salvaged are the administrations that a file of postgres/salvage holds.
func salvaged(t *testing.T, file string) map[string]bool {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ids := map[string]bool{}
	lines := bufio.NewReaderSize(f, 1<<20)
	for number := 0; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return ids
		}
		if err != nil {
			t.Fatal(err)
		}
		var change struct {
			Table, Op string
			Key       map[string]string
		}
		if number == 0 { // what the file is
			continue
		}
		if err := json.Unmarshal(line, &change); err != nil {
			t.Fatal(err)
		}
		if change.Table != "public.medication_administrations" || change.Op != "insert" || ids[change.Key["id"]] {
			t.Errorf("line %d of the salvage is no row that was written: %s of %s", number+1, change.Op, change.Table)
		}
		ids[change.Key["id"]] = true
	}
}
