package home

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Sweep removes the homes below base, of that prefix, whose owner is dead, and
// ends what still works in them. What it cannot remove, the next sweep will try
// again.
func Sweep(base, prefix string) {
	locks, _ := filepath.Glob(filepath.Join(base, prefix+"*"+lockSuffix))
	for _, path := range locks {
		lock, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue // another account's, or gone by now
		}
		if !Owned(lock) || !holds(lock) {
			_ = lock.Close()
			continue
		}
		h := &Home{dir: strings.TrimSuffix(path, lockSuffix), lock: lock}
		endProcesses(h.dir)
		_ = h.Remove()
	}
}

const (
	quitTimeout = 2 * time.Second // from SIGQUIT to SIGKILL
	killTimeout = 2 * time.Second // from SIGKILL to giving up
)

// endProcesses ends what an owner has left running in dir. SIGQUIT is what
// PostgreSQL stops at once for; other programs end of it by themselves.
func endProcesses(dir string) {
	signal := syscall.SIGQUIT
	for began := time.Now(); time.Since(began) < quitTimeout+killTimeout; time.Sleep(5 * time.Millisecond) {
		living := processesIn(dir)
		if len(living) == 0 {
			return
		}
		if time.Since(began) > quitTimeout {
			signal = syscall.SIGKILL
		}
		for _, pid := range living {
			_ = syscall.Kill(pid, signal)
		}
	}
}
