package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func TestBackupOfAnEarlierCallIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	dsn, dir, env := database(t, awkward), t.TempDir(), tasktest.Env(t)
	first, err := backup(dsn, dir).Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	second, err := backup(dsn, dir).Run(t.Context(), env)
	var skip *task.SkipError
	if !errors.As(err, &skip) || second != first {
		t.Errorf("second call: %+v, %v, want %+v skipped", second, err, first)
	}
	flip(t, first.File, first.Bytes/2)
	third, err := backup(dsn, dir).Run(t.Context(), env)
	if err != nil || third.File == first.File || !third.Proven {
		t.Errorf("after the file was damaged: %+v, %v, want another backup", third, err)
	}
}

func TestBackupInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	dsn, dir, env := database(t, awkward), t.TempDir(), tasktest.Env(t)
	stop := errors.New("stopped by the operator")
	ctx, cancel := context.WithCancelCause(t.Context())
	env.Progress = func(int64, int64, string) { cancel(stop) }
	_, err := backup(dsn, dir).Run(ctx, env)
	if !errors.Is(err, stop) {
		t.Errorf("error %v does not wrap the cause", err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func TestBackupKilledInTheMiddleIsMadeAgain(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"writing", "proving"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			dsn, dir := database(t, awkward), t.TempDir()
			saved := filepath.Join(t.TempDir(), "saved")
			child := startChild(t, "backup", "DSN="+dsn.Reveal(), "DIR="+dir, "SAVED="+saved, "STAGE="+stage)
			if said := child.says(); said != stage {
				t.Fatalf("the child says %q", said)
			}
			child.kill()
			left := files(t, dir)
			if len(left) != 1 || !strings.HasSuffix(left[0], ".dump.zst.partial") {
				t.Fatalf("the killed process left %q, want a partial archive", left)
			}
			env := tasktest.Env(t)
			env.Saved, _ = os.ReadFile(saved)
			receipt, err := backup(dsn, dir).Run(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{filepath.Base(receipt.File), filepath.Base(receipt.Metadata)}
			if got := files(t, dir); !slices.Equal(got, want) || !receipt.Proven {
				t.Errorf("in the directory: %q, want %q; proven %v", got, want, receipt.Proven)
			}
		})
	}
}

// backupChild makes a backup and stays where it is told to.
func backupChild() {
	b := backup(redact.NewSecret(os.Getenv("DSN")), os.Getenv("DIR"))
	env := childEnv()
	last := int64(0)
	env.Progress = func(done, _ int64, _ string) {
		proving := done < last
		last = done
		if done > 0 && (proving || os.Getenv("STAGE") == "writing") {
			say(os.Getenv("STAGE"))
			select {}
		}
	}
	_, err := b.Run(context.Background(), env)
	say("ended:", err)
}

func TestBackupThatOnlyLacksItsNameIsTakenUp(t *testing.T) {
	t.Parallel()
	dsn, dir, env := database(t, awkward), t.TempDir(), tasktest.Env(t)
	first, err := backup(dsn, dir).Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	// Killed after the archive got its name, before the metadata did.
	if err := os.Rename(first.Metadata, first.Metadata+".partial"); err != nil {
		t.Fatal(err)
	}
	second, err := backup(dsn, dir).Run(t.Context(), env)
	var skip *task.SkipError
	if !errors.As(err, &skip) || second != first {
		t.Errorf("second call: %+v, %v, want %+v skipped", second, err, first)
	}
}

func TestBackupThatCannotBeWrittenSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, awkward), t.TempDir()
	child := startChild(t, "backup limited", "DSN="+dsn.Reveal(), "DIR="+dir, "SAVED="+filepath.Join(t.TempDir(), "saved"))
	if said := child.says(); !strings.Contains(said, ": write the archive: ") || strings.Contains(said, "read the archive back") || !strings.Contains(said, syscall.EFBIG.Error()) {
		t.Errorf("the child says %q", said)
	}
	_ = child.Wait()
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func TestBackupThatTheDiskGivesBackChangedIsNotProven(t *testing.T) {
	t.Parallel()
	// Compressed, it has several blocks, and is read back when it is whole.
	dsn := database(t, "create table t as select md5(i::text) as v from generate_series(1, 50000) i")
	for level, b := range map[postgres.Level]*postgres.Backup{
		postgres.Counts: backup(dsn, t.TempDir()),
		postgres.Full:   backup(dsn, t.TempDir()),
	} {
		b.Level = level
		env := tasktest.Env(t)
		damage := sync.OnceFunc(func() {
			partial := filepath.Join(b.Directory, files(t, b.Directory)[0])
			flip(t, partial, 1000)
		})
		env.Progress = func(done, _ int64, _ string) {
			if done > 1<<20 {
				damage()
			}
		}
		_, err := b.Run(t.Context(), env)
		wantError(t, err, "the disk does not give back what was written to it", "look at the disk")
		if left := files(t, b.Directory); !errors.Is(err, postgres.ErrDamaged) || len(left) > 0 {
			t.Errorf("%s: %v, and left %q", level, err, left)
		}
	}
}

// limitedChild makes a backup where no file can be larger than 8 kB, as on a
// disk that fills up meanwhile.
func limitedChild() {
	limit := syscall.Rlimit{Cur: 8 << 10, Max: 8 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		say(err)
		return
	}
	_, err := backup(redact.NewSecret(os.Getenv("DSN")), os.Getenv("DIR")).Run(context.Background(), childEnv())
	say(strings.ReplaceAll(fmt.Sprint(err), "\n", " "))
}

func TestBackupsOfOneDirectoryAreWrittenOneAtATime(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, awkward), t.TempDir()
	child := startChild(t, "backup", "DSN="+dsn.Reveal(), "DIR="+dir, "SAVED="+filepath.Join(t.TempDir(), "saved"), "STAGE=writing")
	if child.says() != "writing" {
		t.Fatal("the child does not write")
	}
	_, err := backup(dsn, dir).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "another backup is being written to it", "wait until it has ended")
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("the other one's file was touched: %q", left)
	}
	child.kill()
}
