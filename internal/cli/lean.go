package cli

import (
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// lean has a run take little memory for as long as it lasts, an hour perhaps,
// for a little more time of its own: it mostly waits for others. It comes before
// anything else, since it is the start that takes most. A call that only looks
// like a run is none the worse for it.
func lean(args []string) {
	if slices.Contains(args, "run") || slices.Contains(args, "rollback") {
		debug.SetGCPercent(25)
		forgetStart()
	}
}

// leaner gives back what it took to read the plan. A run of tasks that only wait for
// others gets one processor: it never has work for two, and waking another for each
// program that has ended takes a tenth of its processor time (docs/benchmarks.md).
func leaner(p *plan.Plan) {
	debug.FreeOSMemory()
	forgetStart()
	if onlyWaits(p) {
		runtime.GOMAXPROCS(1)
	}
}

// onlyWaits tells whether every step, gate and rollback hook of a plan waits.
func onlyWaits(p *plan.Plan) bool {
	for _, phase := range p.Phases {
		for _, steps := range [][]plan.Step{phase.Gates, phase.Steps, phase.Rollback} {
			for _, step := range steps {
				if !step.Task.Has(task.Waits) {
					return false
				}
			}
		}
	}
	return true
}
