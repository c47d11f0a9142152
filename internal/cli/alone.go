package cli

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A claim is what the lock file says of the phasegate that has it. One that was
// killed leaves it behind, and whoever comes next finds its programs by it.
type claim struct {
	PID    int       `json:"pid"`
	Since  time.Time `json:"since"`
	Dir    string    `json:"dir"`    // where its runs' files are
	Family string    `json:"family"` // token of the programs that it runs
}

// alone keeps two runs of the same plan with the same variables on this machine
// apart, even if their journals are kept in different places. If the last one
// that held the lock was killed, it ends the programs that were left behind.
//
// A second lock is beside the run's files: it finds what a killed phasegate left
// also where the next one has another directory for temporary files, as a
// service, a cron job and a person at a terminal may have.
func (a *app) alone(ctx context.Context, p *plan.Plan, o runner.Options, family *command.Family) (func(), error) {
	dir, err := filepath.Abs(o.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, told(nil, fmt.Errorf("keep others off plan %s: %w", p.Name, err))
	}
	ours := claim{os.Getpid(), time.Now().UTC(), dir, family.Token()}
	letGo, err := a.take(ctx, p, lockPath(p, o), " with the same variables", ours)
	if err != nil {
		return nil, err
	}
	letGoOfDir, err := a.take(ctx, p, filepath.Join(dir, p.Name+".claim"), "", ours)
	if err != nil {
		letGo()
		return nil, err
	}
	return func() { letGoOfDir(); letGo() }, nil
}

// take takes one lock, and ends what its last holder left behind.
func (a *app) take(ctx context.Context, p *plan.Plan, path, on string, ours claim) (func(), error) {
	file, err := takeLock(path)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, heldBy(p, on, readClaim(path))
	}
	if err != nil {
		return nil, told(nil, fmt.Errorf("keep others off plan %s: %w", p.Name, err))
	}
	if err := a.bereave(ctx, readClaim(path)); err != nil {
		_ = file.Close() // with the claim in it, for the next one
		return nil, err
	}
	if err := writeClaim(file, ours); err != nil {
		_ = file.Close()
		return nil, told(nil, fmt.Errorf("keep others off plan %s: %w", p.Name, err))
	}
	// Removed while it is held: nobody else can have it under this name.
	return func() { _ = os.Remove(path); _ = file.Close() }, nil
}

// lockPath is the file of a plan with its variables' values. Its name tells the
// values apart and does not tell them.
func lockPath(p *plan.Plan, o runner.Options) string {
	sum := sha256.New()
	prints := o.Environ.Fingerprints("")
	for _, name := range slices.Sorted(maps.Keys(prints)) {
		fmt.Fprintln(sum, name, prints[name])
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("phasegate-%d-%s-%.8x.lock", os.Getuid(), p.Name, sum.Sum(nil)))
}

// bereave ends the programs of a phasegate that was killed. While one of them
// goes on, nothing may be done beside it.
func (a *app) bereave(ctx context.Context, dead claim) error {
	ended, err := command.Bereave(ctx, dead.Family)
	if err == nil && len(ended) > 0 {
		fmt.Fprintf(a.Err, "phasegate: ended what an earlier phasegate (process %d, killed) had left at work: %s\n", dead.PID, some(ended))
	}
	if err != nil {
		return fail(ExitUsage, task.Hint(
			fmt.Errorf("end what an earlier phasegate (process %d, killed) left at work: %w", dead.PID, err),
			"they may still change things: end them by hand, or restart the machine, then call again"))
	}
	return nil
}

// some names the first of the processes.
func some(list []command.Member) string {
	const most = 5
	var names []string
	for _, m := range list[:min(len(list), most)] {
		names = append(names, m.String())
	}
	if more := len(list) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// heldBy says who is at work on the plan, and on what.
func heldBy(p *plan.Plan, on string, by claim) error {
	who, hint := "", "wait until it has ended, or end it; its journal may be kept elsewhere"
	if by.PID != 0 {
		who = fmt.Sprintf(" (process %d, since %s)", by.PID, by.Since.Format(time.RFC3339))
		hint = fmt.Sprintf("wait until it has ended, or stop it at its next safe point: kill -INT %d; its runs are in %s", by.PID, by.Dir)
	}
	return fail(ExitUsage, task.Hint(
		fmt.Errorf("another phasegate on this machine%s is at work on plan %s%s", who, p.Name, on), hint))
}

// takeLock locks the file of that name, also if its last holder removes it
// between its being opened and locked.
func takeLock(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if stillNamed(file, path) {
			return file, nil
		}
		_ = file.Close()
	}
}

func stillNamed(file *os.File, path string) bool {
	ours, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(ours, named)
}

// readClaim returns what the file says, nothing if it says nothing whole: its
// holder was killed before it had started anything.
func readClaim(path string) (c claim) {
	content, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(content, &c) != nil {
		return claim{}
	}
	return c
}

func writeClaim(file *os.File, c claim) error {
	content, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = file.Write(content)
	return err
}
