package pg_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
)

// lockHolder makes the test binary a process that holds a lock until it is
// killed.
const lockHolder = "PHASEGATE_TEST_LOCK"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(lockHolder); dsn != "" {
		_, err := pg.Acquire(context.Background(), redact.NewSecret(dsn))
		fmt.Println("acquired:", err)
		select {}
	}
	os.Exit(m.Run())
}

func TestLockKeepsAnotherSessionOffAndSaysWhoHasIt(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	lock, err := pg.Acquire(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pg.Acquire(t.Context(), dsn)
	if err == nil || !strings.Contains(err.Error(), "another phasegate works on it, from 127.0.0.1 since ") {
		t.Errorf("second lock: %v", err)
	}
	if !strings.Contains(task.HintOf(err), "wait until it has ended") {
		t.Errorf("hint %q", task.HintOf(err))
	}
	lock.Release()
	again, err := pg.Acquire(t.Context(), dsn)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again.Release()
}

func TestLockOfOneDatabaseLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	for _, dsn := range []redact.Secret{postgrestest.Database(t), postgrestest.Database(t)} {
		lock, err := pg.Acquire(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Release()
	}
}

func TestLockEndsWithTheProcessThatHasIt(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), lockHolder+"="+dsn.Reveal())
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "acquired: <nil>\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	if _, err := pg.Acquire(t.Context(), dsn); err == nil {
		t.Error("two processes have the lock")
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for {
		lock, err := pg.Acquire(t.Context(), dsn)
		if err == nil {
			lock.Release()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("ten seconds after its holder was killed: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// The process may be dead that asked for the statement.
func TestASessionAtWorkGetsMoreTimeToLetGo(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	lock, err := pg.Acquire(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := lock.Conn().Exec(t.Context(), "select pg_sleep(1.8)")
		time.Sleep(400 * time.Millisecond) // between its statement and its end
		lock.Release()
		ended <- err
	}()
	again, err := pg.Acquire(t.Context(), dsn)
	if err := errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}
	again.Release()
}

func TestLockDoesNotStandInTheWayOfARename(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	lock, err := pg.Acquire(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	config, err := pg.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	maintenance, err := pg.ConnectTo(t.Context(), dsn, pg.Maintenance)
	if err != nil {
		t.Fatal(err)
	}
	defer maintenance.Close(context.Background())
	for _, names := range [][2]string{{config.Database, config.Database + "_away"}, {config.Database + "_away", config.Database}} {
		runSQL(t, maintenance, fmt.Sprintf("alter database %s rename to %s", names[0], names[1]))
	}
}

func TestLockOutlivesTheRolesTimeLimits(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	conn := connect(t, dsn)
	role := "impatient_" + strings.TrimPrefix(conn.Config().Database, "test_")
	runSQL(t, conn, fmt.Sprintf("create role %s login superuser password 'patience'", role))
	defer runSQL(t, conn, "drop role "+role)
	runSQL(t, conn, fmt.Sprintf("alter role %s set idle_session_timeout = '1s'", role))
	impatient := redact.NewSecret(asRole(t, dsn, role, "patience"))
	lock, err := pg.Acquire(t.Context(), impatient)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	time.Sleep(3 * time.Second) // three times the limit: what is waited for is that nothing happens
	if _, err := pg.Acquire(t.Context(), dsn); err == nil {
		t.Error("the lock was lost to idle_session_timeout")
	}
}

func TestAReleasedLockIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	for i := range 30 {
		lock, err := pg.Acquire(t.Context(), dsn)
		if err != nil {
			t.Fatalf("after %d releases: %v", i, err)
		}
		lock.Release()
	}
}
