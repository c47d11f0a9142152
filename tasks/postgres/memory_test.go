package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// growth is how much more memory, in KiB, ten times as many rows may take: the
// collector's chance. The rows that are added are several times as large.
const growth = 12 << 10

// TestMemoryDoesNotGrowWithTheDatabase backs a small and a large database up,
// verifies the backups, writes to every other row, swaps, salvages and replays,
// each of these in a process of its own, and compares the memory that it needed
// at most.
func TestMemoryDoesNotGrowWithTheDatabase(t *testing.T) {
	if raced {
		t.Skip("the race detector's own memory grows")
	}
	t.Parallel()
	few, many := 20_000, 200_000
	if os.Getenv("PHASEGATE_SOAK") != "" {
		few, many = 100_000, 2_000_000
	}
	small, large := peaks(t, few), peaks(t, many)
	for what, peak := range large {
		t.Logf("%s: %d KiB for %d rows, %d KiB for %d", what, small[what], few, peak, many)
		if peak > small[what]+growth {
			t.Errorf("%s took %d KiB for %d rows and %d KiB for %d", what, small[what], few, peak, many)
		}
	}
}

// peaks are the most memory, in KiB, that each task needed for a database of so
// many rows, half of which were inserted or updated after the clone.
func peaks(t *testing.T, rows int) map[string]int {
	t.Helper()
	fill := func(from, to int) string {
		return fmt.Sprintf("insert into t select i, i %% 7, repeat(md5(i::text), 10) from generate_series(%d, %d) i", from, to)
	}
	r := &rolledBack{TB: t, live: database(t, "create table t (id bigint primary key, n int, v text); "+fill(1, rows))}
	live, peak := "DSN="+r.live.Reveal(), map[string]int{}
	var made postgres.BackupReceipt
	peak["backup"] = measure(t, "backup", &made, live, "DIR="+t.TempDir())
	peak["verify"] = measure(t, "verify", new(postgres.Metadata), "FILE="+made.File)
	back := staged(t, stage(r.live), tasktest.Env(t))
	r.write(back.Database, fill(rows+1, rows+rows/4), "update t set n = -1 where id % 4 = 0")
	var found postgres.SalvageReceipt
	peak["salvage"] = measure(t, "salvage", &found, live, "REPLACED="+r.swap.Replaced, "SINCE="+back.Snapshot, "AFTER="+r.swap.Boundary)
	var replayed postgres.ReplayReceipt
	peak["replay"] = measure(t, "replay", &replayed, live, "FILE="+found.File)
	if want := int64(rows / 2); found.Inserted+found.Updated != want || replayed.Applied != want {
		t.Fatalf("%d changes were found and %d applied, want %d", found.Inserted+found.Updated, replayed.Applied, want)
	}
	return peak
}

// measure runs a task in a process of its own and returns the most memory that
// it needed, in KiB.
func measure(t *testing.T, what string, receipt any, env ...string) int {
	t.Helper()
	c := startChild(t, "measured", append(env, "TASK="+what, "SAVED="+filepath.Join(t.TempDir(), "saved"))...)
	said := c.says()
	peak, result, _ := strings.Cut(said, " ")
	if err := json.Unmarshal([]byte(result), receipt); err != nil {
		t.Fatalf("%s says %q", what, said)
	}
	kib := 0
	if _, err := fmt.Sscan(peak, &kib); err != nil || kib == 0 {
		t.Skip("this system does not tell what a process needed")
	}
	return kib
}

// measuredChild runs the task that it is told to, and says what it needed and
// what came of it.
func measuredChild() {
	run := map[string]func(*task.Env) (any, error){
		"backup": func(env *task.Env) (any, error) {
			return backup(redact.NewSecret(os.Getenv("DSN")), os.Getenv("DIR")).Run(context.Background(), env)
		},
		"verify": func(*task.Env) (any, error) {
			return postgres.Verify(context.Background(), os.Getenv("FILE"), postgres.Proof{Progress: func(int64, int64) {}})
		},
		"salvage": func(env *task.Env) (any, error) {
			s := salvageSpec.New().Config().(*postgres.Salvage)
			s.DSN, s.Replaced = redact.NewSecret(os.Getenv("DSN")), os.Getenv("REPLACED")
			s.Since, s.After = os.Getenv("SINCE"), os.Getenv("AFTER")
			return s.Run(context.Background(), env)
		},
		"replay": func(env *task.Env) (any, error) {
			r := replaySpec.New().Config().(*postgres.Replay)
			r.DSN, r.File = redact.NewSecret(os.Getenv("DSN")), os.Getenv("FILE")
			return r.Run(context.Background(), env)
		},
	}[os.Getenv("TASK")]
	receipt, err := run(childEnv())
	if err != nil {
		say("failed:", err)
		return
	}
	text, err := json.Marshal(receipt)
	if err != nil {
		say("failed:", err)
		return
	}
	say(mostMemory(), string(text))
}

// mostMemory is the most memory, in KiB, that this process has needed, by what
// Linux says; 0 elsewhere.
func mostMemory() (kib int) {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	_, _ = fmt.Sscan(after, &kib)
	return kib
}
