package schema

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"

	"github.com/medlogistics/phasegate/runner/task"
)

// A prover holds that the reverse migrations of what is rehearsed take the copy
// back to what it was: the schema by its dump, version by version, and what it
// holds beside that from the first of them to the last; and that they do so in one
// transaction too, which keeps rows as schema/revert will.
type prover struct {
	clone   *clone
	applier *applier

	provable []migrate.File     // the newest migrations, oldest first, that have a reverse
	schema   map[string]objects // what was there before each, by version
	holding  holding            // what was there before the first
	unproven []string           // versions that cannot be taken back, and why
	proofs   []string           // of the versions that were taken back, newest first
	took     time.Duration      // time to take them back
}

// newProver finds out which of the pending migrations can be proven: the newest,
// back to the first that has no reverse.
func newProver(c *clone, a *applier, pending []migrate.File) (*prover, error) {
	p := &prover{clone: c, applier: a, schema: map[string]objects{}}
	for i, file := range slices.Backward(pending) {
		if _, err := a.folder.reverse(file.Version()); err != nil {
			if a.folder.down != nil && hasFile(a.folder.down, file.Version()) {
				return nil, err
			}
			for _, older := range pending[:i+1] {
				p.unproven = append(p.unproven, fmt.Sprintf("%s: %v", older.Version(), err))
			}
			break
		}
		p.provable = pending[i:]
	}
	return p, nil
}

func hasFile(f *folder, version string) bool {
	_, ok := f.version(version)
	return ok
}

// before looks at the copy before a migration is applied to it.
func (p *prover) before(ctx context.Context, file migrate.File) (err error) {
	i := slices.Index(p.provable, file)
	if i < 0 {
		return nil
	}
	if i == 0 {
		if p.holding, err = hold(ctx, p.applier.database.config.Copy()); err != nil {
			return err
		}
	}
	p.schema[file.Version()], err = dumpObjects(ctx, p.clone.dsn, p.clone.name)
	return err
}

// prove takes the migrations back and compares: one at a time, which tells whose
// reverse is wrong, and then all in one transaction, as schema/revert will.
func (p *prover) prove(ctx context.Context) error {
	if len(p.provable) == 0 {
		return nil
	}
	downs, proofs, err := p.reverses()
	if err != nil {
		return err
	}
	for i, down := range downs {
		if err := p.descend(ctx, downs[i:i+1]); err != nil {
			return err
		}
		if err := p.compare(ctx, down.Version(), down.Name()); err != nil {
			return err
		}
	}
	if err := p.compareContent(ctx); err != nil {
		return err
	}
	if len(downs) > 1 {
		if err := p.together(ctx, downs); err != nil {
			return err
		}
	}
	p.proofs = proofs
	return nil
}

// reverses returns the reverse migrations, newest first, and their proofs.
func (p *prover) reverses() (downs []migrate.File, proofs []string, err error) {
	for _, up := range slices.Backward(p.provable) {
		down, err := p.applier.folder.reverse(up.Version())
		if err != nil {
			return nil, nil, err
		}
		downs, proofs = append(downs, down), append(proofs, proof(up, down))
	}
	return downs, proofs, nil
}

// together applies the migrations once more and takes them back in one transaction.
func (p *prover) together(ctx context.Context, downs []migrate.File) error {
	runner := *p.applier
	runner.watch = nil
	for _, up := range p.provable {
		if err := runner.apply(ctx, up); err != nil {
			return fmt.Errorf("prove the way back: apply the migrations once more: %w", err)
		}
	}
	p.took = 0
	if err := p.descend(ctx, downs); err != nil {
		return err
	}
	if err := p.compare(ctx, p.provable[0].Version(), "all of them in one transaction"); err != nil {
		return err
	}
	return p.compareContent(ctx)
}

// descend takes versions back as schema/revert does, and removes what it has kept.
func (p *prover) descend(ctx context.Context, downs []migrate.File) (err error) {
	parent, err := os.MkdirTemp(p.clone.env.Dir, "proving-")
	if err != nil {
		return fmt.Errorf("prove the way back: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(parent)) }()
	begin := time.Now()
	runner := *p.applier
	runner.folder, runner.watch = p.applier.folder.down, nil
	keep := &keeper{database: runner.database, parent: parent}
	if err := runner.revert(ctx, downs, keep, func() error { return nil }); err != nil {
		return fmt.Errorf("prove the way back: %w", err)
	}
	p.took += time.Since(begin)
	return nil
}

// compare holds that the schema is what it was before a version.
func (p *prover) compare(ctx context.Context, version, what string) error {
	now, err := dumpObjects(ctx, p.clone.dsn, p.clone.name)
	if err != nil {
		return err
	}
	if changes := p.schema[version].differences(now); len(changes) > 0 {
		return task.Hint(fmt.Errorf("prove the way back: %s does not restore the schema as it was before: %s",
			what, some(sentences(changes))), "correct the reverse migration; pg_dump --schema-only of before and after must be the same")
	}
	return nil
}

// compareContent holds that everything else is what it was before the first.
func (p *prover) compareContent(ctx context.Context) error {
	now, err := hold(ctx, p.applier.database.config.Copy())
	if err != nil {
		return err
	}
	if differences := p.holding.differences(now); len(differences) > 0 {
		return task.Hint(fmt.Errorf("prove the way back: the reverse migrations do not restore the content as it was before: %s", some(differences)),
			"a migration that changes rows, sequences or settings needs a reverse that changes them back, or goes back by postgres/swap")
	}
	return nil
}

// refused says of each version with a reverse why it is not proven.
func (p *prover) refused(err error) []string {
	list := make([]string, len(p.provable))
	for i, file := range p.provable {
		list[i] = fmt.Sprintf("%s: %v", file.Version(), err)
	}
	return list
}

// some are the first sentences of a list, and how many more there are.
func some(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(list[:most], "; "), len(list)-most)
}
