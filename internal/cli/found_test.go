package cli

import (
	"fmt"
	"syscall"
	"testing"
)

// Whoever calls again is told how the run was left: by whom, when and where.
func TestNextCallSaysWhatItFound(t *testing.T) {
	t.Parallel()
	const seen = ` \(last seen \S+Z, process %d on \S+\); `
	for i, test := range []struct {
		back   string
		signal syscall.Signal
		step   string // in which the signal comes
		verb   string
		again  string
		says   string
	}{
		{calm, syscall.SIGINT, "second", "run", "run", "goes on: it was interrupted at step second of phase change" + seen + "the step that is done is not done again"},
		{calm, syscall.SIGKILL, "second", "run", "run", "goes on: it was left by a process that died at step second of phase change" + seen + "the step that is done is not done again"},
		{calm, syscall.SIGKILL, "second", "run", "rollback", "was left by a process that died at step second of phase change" + seen + "what it changed is taken back"},
		{held, syscall.SIGKILL, "back", "rollback", "rollback", "goes on with its rollback, which was left by a process that died at step back of phase change" + seen + "phases that are back stay back"},
		{held, syscall.SIGINT, "back", "rollback", "rollback", "goes on with its rollback, which was interrupted at step back of phase change" + seen + "phases that are back stay back"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			second := held
			if test.step == "back" {
				second = calm
			}
			y := newToy(t, calm, second, test.back)
			if test.verb == "rollback" {
				y.calls(ExitDone, "run", "plan.yaml")
			}
			c := y.start(test.verb, "plan.yaml")
			y.pid(test.step, "child")
			c.gets(test.signal)
			_ = c.Wait()
			y.service("second", calm)
			y.service("back", calm)
			y.shows(y.calls(ExitDone, test.again, "plan.yaml"), fmt.Sprintf(test.says, c.Process.Pid))
		})
	}
}
