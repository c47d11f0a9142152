package auth0

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// childConfig is the environment variable that makes this test binary a process
// that runs one import and can be killed.
const childConfig = "PHASEGATE_TEST_IMPORT"

type child struct {
	DSN, Domain, ClientID, Secret, CAFile, Dir string
	Method                                     Method
	Users                                      Users
	Workers, Batch                             int
}

func TestMain(m *testing.M) {
	if config := os.Getenv(childConfig); config != "" {
		os.Exit(runChild(config))
	}
	os.Exit(m.Run())
}

func runChild(config string) int {
	var c child
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	i := &ImportUsers{
		Access: Access{
			Domain: c.Domain, ClientID: c.ClientID, ClientSecret: redact.NewSecret(c.Secret), CAFile: c.CAFile, Share: 1,
		},
		Mapping: Mapping{DSN: redact.NewSecret(c.DSN), Connection: directory, Users: c.Users, Roles: roleMap()},
		Method:  c.Method, Workers: c.Workers, Batch: c.Batch, Patience: time.Minute, JobTimeout: time.Hour,
	}
	env, err := c.env()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := ignoreSkip(i.Run(context.Background(), env)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		_ = os.WriteFile(filepath.Join(c.Dir, peakFile), status, 0o600)
	}
	return 0
}

// env is what the runner would lend: receipts are saved to a file, which the next
// process gets back.
func (c child) env() (*task.Env, error) {
	file := filepath.Join(c.Dir, "saved.json")
	saved, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &task.Env{
		Log: slog.New(slog.DiscardHandler), Dir: c.Dir, Saved: saved,
		Save: func(receipt any) error {
			raw, err := json.Marshal(receipt)
			if err != nil {
				return err
			}
			if err := os.WriteFile(file+".next", raw, 0o600); err != nil {
				return err
			}
			return os.Rename(file+".next", file)
		},
		Progress: func(int64, int64, string) {},
	}, nil
}

// startImport starts an import in a process of its own.
func (s *scene) startImport(dir string) *exec.Cmd {
	s.t.Helper()
	return s.start(s.importer(), dir)
}

// start starts a task in a process of its own.
func (s *scene) start(i *ImportUsers, dir string) *exec.Cmd {
	s.t.Helper()
	config, err := json.Marshal(child{
		i.DSN.Reveal(), i.Domain, i.ClientID, i.ClientSecret.Reveal(), i.CAFile, dir, i.Method, i.Users, i.Workers, i.Batch,
	})
	must(s.t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childConfig+"="+string(config))
	cmd.Stderr = os.Stderr
	must(s.t, cmd.Start())
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd
}

// kill ends a process as kill -9 does, and waits until the database has noticed,
// as an operator does who starts again.
func (s *scene) kill(cmd *exec.Cmd) {
	s.t.Helper()
	must(s.t, cmd.Process.Kill())
	_ = cmd.Wait()
	s.unlocked()
}

const holdersOfTheLock = `from pg_locks where locktype = 'advisory' and granted
	and (classid::bigint << 32 | objid::bigint) = hashtextextended('phasegate:' || current_database(), 0)`

// unlocked waits until the database has let go of a killed process's lock.
func (s *scene) unlocked() {
	s.t.Helper()
	eventually(s.t, "the database has let go of the killed process's lock", func() bool {
		return s.number("select count(*) "+holdersOfTheLock) == 0
	})
}
