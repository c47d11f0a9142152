package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
)

// A home is what a cluster has on disk: a directory for data and socket, and
// beside it a lock file. The owner holds the lock for as long as it lives, so a
// home whose lock can be had belongs to nobody. The lock, unlike a process's
// number, means the same in every container that shares the directory.
type home struct {
	dir  string
	lock *os.File
}

const (
	homePrefix = "phasegate-pg-"
	lockSuffix = ".lock"
)

func (h *home) data() string { return filepath.Join(h.dir, "data") }

// newHome makes an empty home below base that account can use.
func newHome(base string, account *command.Account) (*home, error) {
	for {
		lock, err := os.CreateTemp(base, homePrefix+"*"+lockSuffix)
		if err != nil {
			return nil, err
		}
		h := &home{dir: strings.TrimSuffix(lock.Name(), lockSuffix), lock: lock}
		if !holds(lock) {
			// Another start swept it in the instant before it was locked.
			_ = lock.Close()
			continue
		}
		if err := makeDir(h.dir, account); err != nil {
			return nil, errors.Join(err, h.remove())
		}
		return h, nil
	}
}

// holds locks an open file without waiting. It reports whether the lock was
// free and the file is still the one of its name.
func holds(lock *os.File) bool {
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return false
	}
	opened, err := lock.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(lock.Name())
	return err == nil && os.SameFile(opened, named)
}

func makeDir(dir string, account *command.Account) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if account == nil {
		return nil
	}
	return os.Chown(dir, int(account.UID), int(account.GID))
}

// remove removes the home, the lock last, so that a crash in between leaves
// something to sweep.
func (h *home) remove() error {
	err := errors.Join(os.RemoveAll(h.dir), ignoreMissing(os.Remove(h.lock.Name())), h.lock.Close())
	if err != nil {
		return fmt.Errorf("remove the throwaway cluster: %w", err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// sweep ends and removes the clusters below base whose owner is dead. What it
// cannot remove, the next sweep will try again.
func sweep(base string) {
	locks, _ := filepath.Glob(filepath.Join(base, homePrefix+"*"+lockSuffix))
	for _, path := range locks {
		lock, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue // somebody else's, or gone by now
		}
		if !ours(lock) || !holds(lock) {
			_ = lock.Close()
			continue
		}
		h := &home{dir: strings.TrimSuffix(path, lockSuffix), lock: lock}
		endProcesses(h.dir)
		_ = h.remove()
	}
}

// ours tells whether this account made the file: root must not obey what
// another account has put into a shared directory.
func ours(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// endProcesses ends the server that an owner has left behind in dir: SIGQUIT,
// and SIGKILL for what is still there two seconds later.
func endProcesses(dir string) {
	signal := syscall.SIGQUIT
	for deadline := time.Now().Add(2 * time.Second); ; {
		living := processesIn(dir)
		if len(living) == 0 || time.Now().After(deadline.Add(time.Second)) {
			return
		}
		if time.Now().After(deadline) {
			signal = syscall.SIGKILL
		}
		for _, pid := range living {
			_ = syscall.Kill(pid, signal)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
