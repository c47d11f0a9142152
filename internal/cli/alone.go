package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// alone keeps two runs of the same plan with the same variables on this machine
// apart, even if their journals are kept in different places.
func alone(ctx context.Context, p *plan.Plan, o runner.Options) (func(), error) {
	sum := sha256.New()
	prints := o.Environ.Fingerprints("")
	for _, name := range slices.Sorted(maps.Keys(prints)) {
		fmt.Fprintln(sum, name, prints[name])
	}
	target := fmt.Sprintf("phasegate-%d-%s-%.8x", os.Getuid(), p.Name, sum.Sum(nil))
	unlock, err := journal.NewDir(os.TempDir()).Lock(ctx, target)
	if errors.Is(err, journal.ErrHeld) {
		return nil, fail(ExitUsage, task.Hint(
			fmt.Errorf("another phasegate on this machine is at work on plan %s with the same variables", p.Name),
			"wait until it has ended, or end it; its journal may be kept elsewhere"))
	}
	if err != nil {
		return nil, fail(ExitUsage, err)
	}
	return unlock, nil
}
