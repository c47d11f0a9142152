package cli

import (
	"fmt"
	"regexp"
	"syscall"
	"testing"
)

// held waits in its stop, and ends with the toy.
const held = `echo $$ >child; while test -e ../go-on; do sleep 0.02; done`

// What status says of a run, in each way in which it can stand: who has it if
// somebody has, and what to type if nobody has.
func TestStatusSaysWhereARunStandsAndWhatToType(t *testing.T) {
	t.Parallel()
	const goOn, takeBack = "phasegate run plan.yaml", "phasegate rollback plan.yaml"
	for i, test := range []struct {
		status              string
		first, second, back string // what the services do
		leads               func(y *toy) *call
		phase, next, back2  string // the row's, and the other command of the whole view
	}{
		{"done", calm, calm, calm, ends(ExitDone, "run"), "-", "-", takeBack},
		{"failed", calm, "exit 1", calm, ends(ExitFailed, "run"), "change", goOn, takeBack},
		{"interrupted", calm, held, calm, signalled(syscall.SIGINT, "second", "run"), "change", goOn, takeBack},
		{"interrupted", calm, held, calm, signalled(syscall.SIGKILL, "second", "run"), "change", goOn, takeBack},
		{"running", calm, held, calm, atWork("second", "run"), "change", "-", ""},
		{"rolling back", calm, calm, held, atWork("back", "rollback"), "change", "-", ""},
		{"rollback interrupted", calm, calm, held, signalled(syscall.SIGKILL, "back", "rollback"), "change", takeBack, ""},
		{"rollback interrupted", calm, calm, held, signalled(syscall.SIGTERM, "back", "rollback"), "change", takeBack, ""},
		{"rollback incomplete", calm, calm, "exit 1", ends(ExitRollbackIncomplete, "rollback"), "change", takeBack, ""},
		{"rolled back", calm, calm, calm, ends(ExitDone, "rollback"), "-", "-", ""},
	} {
		t.Run(fmt.Sprint(test.status, i), func(t *testing.T) {
			t.Parallel()
			y := newToy(t, test.first, test.second, test.back)
			c := test.leads(y)
			run, holder, since := y.run(), "-", ""
			if c != nil {
				holder = fmt.Sprintf(`process %d on \S+ since \S+Z`, c.Process.Pid)
				since = `holder     ` + holder + `\nstop it    kill -INT ` + fmt.Sprint(c.Process.Pid)
			}
			y.shows(y.output("status"), fmt.Sprintf(`\n%s +toy +%s +%s +%s +%s\n$`, run, test.status, test.phase, holder, test.next))
			whole := y.output("status", run)
			y.shows(whole, fmt.Sprintf(`\nstatus     %s\nbegan      \S+Z\nlast seen  \S+Z\n`, test.status)+since)
			y.offers(whole, "next", test.next, run)
			y.offers(whole, "take back", test.back2, run)
		})
	}
}

func (y *toy) shows(text, want string) {
	y.Helper()
	if !regexp.MustCompile(want).MatchString(text) {
		y.Errorf("this does not show %s:\n%s", want, text)
	}
}

// offers holds that the whole view has that command, or none under that name.
func (y *toy) offers(text, name, want, run string) {
	y.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` +(.*)$`).FindStringSubmatch(text)
	if want == "" || want == "-" {
		if found != nil {
			y.Errorf("it offers %q:\n%s", found[0], text)
		}
		return
	}
	if found == nil || found[1] != want+" --run "+run {
		y.Errorf("it does not offer %s: %s:\n%s", name, want, text)
	}
}

// ends leads to the end of a call; a rollback is one of a run that is done.
func ends(code int, verb string) func(*toy) *call {
	return func(y *toy) *call {
		y.Helper()
		if verb == "rollback" {
			y.calls(ExitDone, "run", "plan.yaml")
		}
		y.calls(code, verb, "plan.yaml")
		return nil
	}
}

// atWork leads into the middle of a step.
func atWork(step, verb string) func(*toy) *call {
	return func(y *toy) *call {
		y.Helper()
		if verb == "rollback" {
			y.calls(ExitDone, "run", "plan.yaml")
		}
		c := y.start(verb, "plan.yaml")
		y.pid(step, "child")
		y.Cleanup(func() { _ = c.Wait() })
		return c
	}
}

// signalled leads there and then to the end by a signal.
func signalled(signal syscall.Signal, step, verb string) func(*toy) *call {
	return func(y *toy) *call {
		y.Helper()
		c := atWork(step, verb)(y)
		c.gets(signal)
		_ = c.Wait()
		return nil
	}
}
