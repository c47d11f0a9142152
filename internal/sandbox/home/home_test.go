package home

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
)

const prefix = "home-"

func newHome(t *testing.T, base string) *Home {
	t.Helper()
	h, err := New(base, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Remove() })
	return h
}

// abandon does what the kernel does for an owner that is killed. To close the file
// would not do: a program that another test starts at this moment has it open too.
func abandon(t *testing.T, h *Home) {
	t.Helper()
	if err := errors.Join(syscall.Flock(int(h.lock.Fd()), syscall.LOCK_UN), h.lock.Close()); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestRemoveLeavesNothing(t *testing.T) {
	base := t.TempDir()
	h := newHome(t, base)
	if err := os.WriteFile(filepath.Join(h.Dir(), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Watch(0); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(); err != nil {
		t.Fatal(err)
	}
	if left := names(t, base); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestASweepTakesTheHomesOfTheDeadOnly(t *testing.T) {
	base := t.TempDir()
	dead, living := newHome(t, base), newHome(t, base)
	if err := os.WriteFile(filepath.Join(base, "other.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	abandon(t, dead)
	Sweep(base, prefix)
	left := names(t, base)
	want := []string{filepath.Base(living.Dir()), filepath.Base(living.LockFile()), "other.lock"}
	if len(left) != 3 || left[0] != want[0] || left[1] != want[1] || left[2] != want[2] {
		t.Errorf("left: %v, want %v", left, want)
	}
}

func TestASweepEndsTheProgramsThatWorkInAHome(t *testing.T) {
	for name, script := range map[string]string{
		"obeys":    `exec sleep 600 "$0"`,
		"does not": `trap "" QUIT; while :; do sleep 600 "$0"; done`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, t.TempDir())
			program, err := command.Command{
				Argv: []string{"/bin/sh", "-c", script, h.Dir() + "/argument"}, Dir: h.Dir(),
			}.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer program.Signal(syscall.SIGKILL)
			abandon(t, h)
			Sweep(filepath.Dir(h.Dir()), prefix)
			select {
			case <-program.Done():
			case <-time.After(10 * time.Second):
				t.Error("it still runs")
			}
		})
	}
}

func TestOwnerGoneTellsWhenTheLockIsFree(t *testing.T) {
	h := newHome(t, t.TempDir())
	gone := OwnerGone(h.LockFile())
	select {
	case <-gone:
		t.Fatal("told while the owner lives")
	case <-time.After(20 * time.Millisecond):
	}
	abandon(t, h)
	for _, channel := range []<-chan struct{}{gone, OwnerGone(h.LockFile() + ".missing")} {
		select {
		case <-channel:
		case <-time.After(10 * time.Second):
			t.Fatal("not told")
		}
	}
}
