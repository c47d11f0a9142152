package schema

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ariga.io/atlas/sql/migrate"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// inScratch calls work in an empty database beside the one that dsn names, with
// the same settings, which is dropped afterwards. What a killed call has left of
// it is dropped first. It locks the original for other phasegates.
func inScratch(ctx context.Context, dsn redact.Secret, env *task.Env, work func(*clone, *database) error) (err error) {
	c, err := openClone(ctx, dsn, pg.ScratchCopy, env)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.drop(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.drop(context.WithoutCancel(ctx))) }()
	if err := c.create(ctx); err != nil {
		return err
	}
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	return work(c, d)
}

// replay applies the migrations to a scratch database up to a version, that
// included, within the fence.
func (d *database) replay(ctx context.Context, within *fence, to string) error {
	if err := d.revisions.create(ctx); err != nil {
		return hinted(err)
	}
	runner := applier{
		database: d, folder: within.folder, log: within.log, watch: within,
		limits: limits{lock: time.Minute, tries: 1},
	}
	for _, file := range within.folder.files {
		if file.Version() > to {
			break
		}
		if err := runner.apply(ctx, file); err != nil {
			return fmt.Errorf("build what the migrations make: %w", err)
		}
	}
	return nil
}

// after are the files behind a version.
func (f *folder) after(version string) []migrate.File {
	for i, file := range f.files {
		if file.Version() > version {
			return f.files[i:]
		}
	}
	return nil
}
