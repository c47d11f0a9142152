package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/runner/journal"
)

// takeBack are hooks that take the schema change back and keep all writes where they
// are.
const takeBack = `
rollback:
  - { id: stop-again, task: service/stop, with: { service: "${{ env.API_SERVICE }}", url: "${{ env.API_URL }}/health", timeout: 60s } }
  - id: revert-schema
    task: schema/revert
    after: [migrate-schema]
    with: { dsn: "${{ env.DATABASE_URL }}", dir: ../schema, to: "${{ steps.migrate-schema.from }}", proven: "${{ steps.rehearse-schema.proven }}" }
  - { id: start-again, task: service/start, with: { service: "${{ env.API_SERVICE }}", url: "${{ env.API_URL }}/health", timeout: 300s } }
`

// pageOnRollbacks returns the two examples of docs/rollback.md: the plan that replays,
// without its gate, since nobody is there to ask, and the hooks around a restore.
func pageOnRollbacks(t *testing.T) (replay, restore string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/rollback.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```\n").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of YAML, want 2", len(blocks))
	}
	gate := regexp.MustCompile("(?m)^    gates:\n      - .*gate/approval.*\n")
	if replay = gate.ReplaceAllString(blocks[0][1], ""); replay == blocks[0][1] {
		t.Fatal("the plan asks nobody")
	}
	return replay, blocks[1][1]
}

// proofSize is how many users the proof's database has, and how many of them
// move to the tenant. A million users are two gigabytes. The emulator's tenant
// is in this process's memory, and how fast accounts are made is measured
// elsewhere: at full size only some move.
func proofSize(t *testing.T) (users, moved int) {
	t.Helper()
	users = 2_000
	if os.Getenv("PHASEGATE_SOAK") != "" {
		users = 1_000_000
	}
	if text := os.Getenv("PHASEGATE_PROOF_USERS"); text != "" {
		var err error
		if users, err = strconv.Atoi(text); err != nil || users < 1000 {
			t.Fatalf("PHASEGATE_PROOF_USERS is %q: write a number from 1000 on", text)
		}
	}
	return users, min(users, 20_000)
}

// Four writers work through the whole plan and its rollback, by each of the three
// ways. At the end what they were told is committed is what the database holds
// and what the salvage holds, to the row; after the replay all of it is in the
// database, and not a row of before is missing.
func TestEveryWrittenRowIsInTheDatabaseOrInTheSalvage(t *testing.T) {
	t.Parallel()
	users, moved := proofSize(t)
	s := stageOf(t, "auth0-migration", sandbox.Options{Users: users, Plan: auth0.Unlimited})
	s.environ = append(s.environ, fmt.Sprintf("USERS_WHERE=id <= (select id from users order by id offset %d limit 1)", moved-1))
	s.enlarge(users)
	_, before := s.written()
	replayPlan, aroundRestore := pageOnRollbacks(t)
	replay := filepath.Join(filepath.Dir(s.plan), "replay.yaml")
	if err := os.WriteFile(replay, []byte(replayPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	original := s.plan
	for _, back := range []struct{ way, hooks string }{
		{"swap", ""}, // the plan's own, with a salvage
		{"restore", aroundRestore},
		{"revert", takeBack},
	} {
		way := back.way
		s.plan = s.goingBackBy(original, way, back.hooks)
		w := s.write(4)
		w.reach(20)
		s.phasegate(ExitDone, "run", s.plan)
		w.reach(20)
		s.phasegate(ExitDone, "rollback", s.plan)
		w.reach(20)
		w.stop()
		receipts := s.receipts(way)
		saved := map[string]bool{}
		if file, _ := receipts["salvage"]["file"].(string); file != "" {
			saved = salvaged(t, file)
		}
		if (len(saved) > 0) != (way != "revert") {
			t.Errorf("%s: %d rows are salvaged", way, len(saved))
		}
		rows, all := s.written()
		w.balance(way, rows, saved, all-before)
		if len(saved) > 0 {
			s.environ = append(s.environ[:1], fmt.Sprint("SALVAGE_FILE=", receipts["salvage"]["file"]))
			s.phasegate(ExitDone, "run", replay)
			rows, all = s.written()
			w.balance(way+" and replay", rows, nil, all-before)
		}
		before = all - len(rows)
		s.forgetWritten()
	}
}

// balance holds the account: what was told is in the database or in the salvage,
// never in both, and nothing is there that nobody wrote.
func (w *writers) balance(way string, rows, saved map[string]bool, grown int) {
	w.Helper()
	lost, both := 0, 0
	for id := range w.told {
		if !rows[id] && !saved[id] {
			lost++
		}
	}
	for id := range saved {
		if rows[id] {
			both++
		}
	}
	sum := len(rows) + len(saved)
	if lost > 0 || both > 0 || grown != len(rows) || sum < len(w.told) || sum > len(w.told)+w.unsure {
		w.Errorf("%s: %d rows were told to be committed; the database has %d, the salvage %d, %d are lost, %d in both; the table grew by %d; %d requests got through without an answer",
			way, len(w.told), len(rows), len(saved), lost, both, grown, w.unsure)
	}
	w.Logf("%s: %d rows told = %d in the database + %d in the salvage, %d of them unasked for; %d requests got through without an answer",
		way, len(w.told), len(rows), len(saved), sum-len(w.told), w.unsure)
}

// enlarge fills the database up to two kilobytes a user, with rows from before, as
// a superuser, who is spared the look at what each refers to.
func (s *stage) enlarge(users int) {
	s.Helper()
	conn, err := pg.ConnectTo(s.Context(), s.box.Cluster().DSN(pg.Maintenance), "medlogistics")
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = conn.Close(s.Context()) }()
	if _, err := conn.Exec(s.Context(), "set session_replication_role = replica"); err != nil {
		s.Fatal(err)
	}
	for round := 0; ; round++ {
		var size int64
		if err := conn.QueryRow(s.Context(), "select pg_database_size(current_database())").Scan(&size); err != nil {
			s.Fatal(err)
		}
		if size >= int64(users)*2000 || round == 10 {
			s.Logf("the database has %d users and %d MB", users, size>>20)
			return
		}
		// Keys in their order: random ones have the server write every page again and again.
		_, err := conn.Exec(s.Context(), `insert into medication_administrations (id, order_id, nurse_id, administration_time)
			select ('ffffffff-ffff-4fff-8fff-' || lpad(to_hex($1::bigint * $2::bigint + row_number() over ()), 12, '0'))::uuid,
			       order_id, nurse_id, administration_time - interval '1 day'
			  from (select order_id, nurse_id, administration_time from medication_administrations limit $2) earlier`, round, users*2)
		if err != nil {
			s.Fatal(err)
		}
	}
}

// forgetWritten takes the writers' rows away, so that the next way begins anew.
func (s *stage) forgetWritten() {
	s.Helper()
	conn := s.connect()
	defer func() { _ = conn.Close(s.Context()) }()
	if _, err := conn.Exec(s.Context(), "delete from medication_administrations where administration_time >= $1", populated); err != nil {
		s.Fatal(err)
	}
}

// goingBackBy writes a copy of the plan whose schema phase goes back that way, by
// these hooks where there are any.
func (s *stage) goingBackBy(file, way, hooks string) string {
	s.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		s.Fatal(err)
	}
	var plan map[string]any
	if err := yaml.Unmarshal(text, &plan); err != nil {
		s.Fatal(err)
	}
	plan["name"] = "back-by-" + way
	for _, phase := range plan["phases"].([]any) {
		if phase := phase.(map[string]any); phase["name"] == "schema" && hooks != "" {
			delete(phase, "rollback")
			if err := yaml.Unmarshal([]byte(hooks), &phase); err != nil {
				s.Fatal(err)
			}
		}
	}
	if text, err = yaml.Marshal(plan); err != nil {
		s.Fatal(err)
	}
	out := filepath.Join(filepath.Dir(file), way+".yaml")
	if err := os.WriteFile(out, text, 0o600); err != nil {
		s.Fatal(err)
	}
	return out
}

// receipts are those of the newest run, by step, and tells how long each took.
func (s *stage) receipts(way string) map[string]map[string]any {
	s.Helper()
	store := journal.NewDir(filepath.Join(s.dir, "phasegate-runs"))
	runs, err := store.Runs(s.Context())
	if err != nil || len(runs) == 0 {
		s.Fatalf("runs %v, %v", runs, err)
	}
	events, err := store.Read(s.Context(), runs[len(runs)-1])
	if err != nil {
		s.Fatal(err)
	}
	receipts := map[string]map[string]any{}
	for _, e := range events {
		switch {
		case e.Type == journal.PhaseFinished:
			s.Logf("%s: phase %s took %s, away %s", way, e.Phase,
				time.Duration(e.DurationMS)*time.Millisecond, time.Duration(e.DowntimeMS)*time.Millisecond)
		case e.Type == journal.StepFinished && e.DurationMS > 100:
			s.Logf("%s: step %s took %s", way, e.Step, time.Duration(e.DurationMS)*time.Millisecond)
		}
		var receipt map[string]any
		if e.Type == journal.StepFinished && json.Unmarshal(e.Receipt, &receipt) == nil {
			receipts[e.Step] = receipt
		}
	}
	return receipts
}
