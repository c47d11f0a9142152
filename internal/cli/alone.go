package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// alone keeps two runs of the same plan with the same variables on this machine
// apart, even if their journals are kept in different places.
func alone(p *plan.Plan, o runner.Options) (func(), error) {
	sum := sha256.New()
	prints := o.Environ.Fingerprints("")
	for _, name := range slices.Sorted(maps.Keys(prints)) {
		fmt.Fprintln(sum, name, prints[name])
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("phasegate-%d-%s-%.8x.lock", os.Getuid(), p.Name, sum.Sum(nil)))
	for {
		file, err := lockFile(path)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fail(ExitUsage, task.Hint(
				fmt.Errorf("another phasegate on this machine is at work on plan %s with the same variables", p.Name),
				"wait until it has ended, or end it; its journal may be kept elsewhere"))
		}
		if err != nil {
			return nil, fail(ExitUsage, fmt.Errorf("keep others off plan %s: %w", p.Name, err))
		}
		if stillNamed(file, path) {
			// Removed while it is held: nobody else can have it under this name.
			return func() { _ = os.Remove(path); _ = file.Close() }, nil
		}
		_ = file.Close()
	}
}

func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// stillNamed tells whether the file has not been removed by its last holder
// between our opening and our locking it.
func stillNamed(file *os.File, path string) bool {
	ours, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(ours, named)
}
