package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// lean has a run take little memory for as long as it lasts, an hour perhaps,
// for a little more time of its own: it mostly waits for others.
func lean() {
	debug.SetGCPercent(50)
	forgetStart()
}

// takeTurns has a run of tasks that only wait for others use one processor: it
// never has work for two, and waking another for each program that has ended takes
// a tenth of its processor time (docs/benchmarks.md).
func takeTurns(p *plan.Plan) {
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
