package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/plans"
	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/schema"
	"github.com/medlogistics/phasegate/tasks"
)

// namePlan is said where a plan's name leads nowhere.
const namePlan = "name a plan file, or a plan that ships with phasegate: auth0-tenant, auth0-migration, auth0-migration-online, password-resets or api-key-removal"

// load reads a plan and prints what is wrong with it.
func (a *app) load(path string) (*plan.Plan, error) {
	path, err := a.unpack(path)
	if err != nil {
		return nil, err
	}
	p, findings, err := plan.Load(path, tasks.All())
	if err != nil {
		return nil, fail(ExitUsage, task.Hint(err, namePlan))
	}
	if p == nil { // warnings are for validate: here they would only hide what happens
		if _, err := findings.WriteTo(a.Err); err != nil {
			return nil, fail(ExitFailed, err)
		}
		return nil, fail(ExitInvalid, fmt.Errorf("%s has errors; nothing was done", path))
	}
	return p, nil
}

// loadNamed is load, and nil where no plan is named.
func (a *app) loadNamed(path string) (*plan.Plan, error) {
	if path == "" {
		return nil, nil
	}
	return a.load(path)
}

const expectHelp = "refuse unless this is the plan's digest, as it was approved"

// loadExpected is load of the plan that was approved: with --expect-digest on
// the line, even with nothing behind it, it refuses every other one.
func (a *app) loadExpected(cmd *cobra.Command, path, expected string) (*plan.Plan, error) {
	p, err := a.load(path)
	if err != nil || !cmd.Flags().Changed("expect-digest") || p.Digest == expected {
		return p, err
	}
	return nil, fail(ExitUsage, task.Hint(fmt.Errorf("the digest of %s is %s, not %q: it is not what was approved", path, p.Digest, expected),
		"phasegate plan shows what it would do now; have that approved"))
}

// unpack writes a shipped plan and its files beside the journals if path names
// no file but such a plan, so that the program alone can run it.
func (a *app) unpack(path string) (string, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || filepath.Base(path) != path {
		return path, nil
	}
	if _, err := fs.Stat(plans.FS, path+".yaml"); err != nil {
		return path, nil
	}
	to := a.aside
	if to == "" {
		to = filepath.Join(a.dir(), "shipped")
	}
	for folder, files := range map[string]fs.FS{"plans": plans.FS, "schema": schema.FS} {
		if err := copyAll(filepath.Join(to, folder), files); err != nil {
			return "", fail(ExitFailed, fmt.Errorf("unpack plan %s: %w", path, err))
		}
	}
	return filepath.Join(to, "plans", path+".yaml"), nil
}

// unpackAside has shipped plans unpacked into a directory that remove removes:
// a command that leaves no run behind leaves nothing else behind either.
func (a *app) unpackAside() (remove func(), err error) {
	if a.aside, err = os.MkdirTemp("", "phasegate-shipped-"); err != nil {
		return nil, fail(ExitFailed, fmt.Errorf("unpack a shipped plan: %w", err))
	}
	return func() { _ = os.RemoveAll(a.aside) }, nil
}

func copyAll(dir string, files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}

// bind checks the plan's variables and returns what a run needs of them.
func (a *app) bind(ctx context.Context, p *plan.Plan) (runner.Options, error) {
	environ, err := p.Environ(ctx, a.Lookup)
	if err != nil {
		return runner.Options{}, fail(ExitUsage, err)
	}
	store, err := a.store(ctx)
	if err != nil {
		return runner.Options{}, err
	}
	if err := a.apart(ctx, p, environ); err != nil {
		return runner.Options{}, err
	}
	secrets := environ.Secrets()
	if inDatabase(a.Journal) {
		secrets = append(secrets, redact.NewSecret(a.Journal))
	}
	a.maskInJob(secrets)
	mask := redact.NewMasker(secrets...)
	return runner.Options{
		Store: store, Dir: a.dir(), Environ: environ, Version: revision(), Account: a.Account,
		Log: a.logger(mask), Mask: mask.String,
	}, nil
}
