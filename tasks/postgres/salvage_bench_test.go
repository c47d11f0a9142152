package postgres_test

import (
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
)

// million is a table of a million users whose updates a trigger notes.
const million = `
	create table users (id uuid primary key default gen_random_uuid(), email text unique, hashed_password text, api_key text, full_name text, n int, updated_at timestamptz default now());
	insert into users (email, hashed_password, api_key, full_name, n)
	select 'user' || i || '@example.org', '$2b$12$' || md5(i::text), md5('key' || i), 'Name ' || i, i from generate_series(1, 1000000) i;
	create function touch() returns trigger language plpgsql as $$ begin new.updated_at := clock_timestamp(); return new; end $$;
	create trigger touch before update on users for each row execute function touch();
	analyze users`

// BenchmarkSalvage times the search for changes in a million rows, and beside it
// a mere count of them: the ratio means something on a busy machine too.
func BenchmarkSalvage(b *testing.B) {
	for _, c := range []struct {
		name, writes string
		changes      int64
	}{
		{"a thousand changes", `
			insert into users (email) select 'new' || i from generate_series(1, 300) i;
			update users set full_name = 'other' where n between 1000 and 1499; delete from users where n between 5000 and 5199`, 1000},
		{"every row written back", `
			alter table users add auth0_user_id text unique; update users set auth0_user_id = 'auth0|ml-' || id;
			update users set full_name = 'other' where n between 1000 and 1499`, 500},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := rollBack(b, million, c.writes)
			execute(b, r.live, "analyze")
			var salvaged, counted []time.Duration
			method := ""
			for b.Loop() {
				counted = append(counted, count(b, r.live, "users"))
				receipt := r.run(r.salvage())
				if n := receipt.Inserted + receipt.Updated + receipt.Deleted; n != c.changes || receipt.Both != 0 {
					b.Fatalf("%d changes and %d in both, want %d", n, receipt.Both, c.changes)
				}
				method = receipt.Tables[0].Method
				salvaged = append(salvaged, time.Duration(receipt.TookMS)*time.Millisecond)
			}
			b.Logf("found by %s", method)
			b.ReportMetric(median(salvaged).Seconds(), "salvage-s")
			b.ReportMetric(median(counted).Seconds(), "count-s")
			b.ReportMetric(ratio(salvaged, counted), "salvage/count")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// count is how long the server takes to count a table's rows.
func count(b *testing.B, dsn redact.Secret, table string) time.Duration {
	b.Helper()
	started := time.Now()
	if n := value[int](b, dsn, "select count(*) from "+table); n == 0 {
		b.Fatal("the table is empty")
	}
	return time.Since(started)
}
