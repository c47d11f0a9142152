// Package home gives a process a directory that does not outlive it: however
// the owner ends, the directory and the programs that work in it are gone soon
// after, and at the latest when the next owner makes one.
package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A Home is a directory and, beside it, a lock file. The owner holds the lock
// for as long as it lives, so a home whose lock can be had belongs to nobody.
// The lock, unlike the number of a process, means the same in every container
// that shares the directory.
type Home struct {
	dir   string
	lock  *os.File
	watch *watch
}

const lockSuffix = ".lock"

// New makes an empty home, mode 0700, below the existing directory base. Its
// name begins with prefix. Before that it sweeps.
func New(base, prefix string) (*Home, error) {
	Sweep(base, prefix)
	for {
		lock, err := os.CreateTemp(base, prefix+"*"+lockSuffix)
		if err != nil {
			return nil, err
		}
		h := &Home{dir: strings.TrimSuffix(lock.Name(), lockSuffix), lock: lock}
		if !holds(lock) {
			// Another sweep had it in the instant before it was locked.
			_ = lock.Close()
			continue
		}
		if err := os.Mkdir(h.dir, 0o700); err != nil {
			return nil, errors.Join(err, h.Remove())
		}
		return h, nil
	}
}

// Dir is the path of the directory.
func (h *Home) Dir() string { return h.dir }

// LockFile is the path of the file that is locked while the owner lives.
func (h *Home) LockFile() string { return h.dir + lockSuffix }

// Remove removes the directory, and the lock last, so that a crash in between
// leaves something to sweep. The programs that work in it have to be ended
// before.
func (h *Home) Remove() error {
	h.watch.dismiss()
	err := errors.Join(os.RemoveAll(h.dir), ignoreMissing(os.Remove(h.lock.Name())), h.lock.Close())
	if err != nil {
		return fmt.Errorf("remove %s: %w", h.dir, err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
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

// Owned tells whether this process's account made the file: nothing that
// another account has put into a shared directory is to be trusted.
func Owned(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// OwnerGone returns a channel that is closed when the owner of the home with
// that lock file has ended, or has no home any more. Waiting costs a thread.
func OwnerGone(lockFile string) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		lock, err := os.Open(filepath.Clean(lockFile))
		if err != nil {
			return
		}
		defer lock.Close()
		for errors.Is(syscall.Flock(int(lock.Fd()), syscall.LOCK_SH), syscall.EINTR) {
		}
	}()
	return gone
}
