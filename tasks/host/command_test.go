package host_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/host"
)

func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

func TestCommandKeepsTheContract(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-a-secret"
	dir := t.TempDir()
	tasktest.Conform(t, tasktest.Case{
		Spec:    task.Of("host/command", &host.Command{}),
		Secrets: []string{canary},
		Configure: func(config any) {
			c := config.(*host.Command)
			c.Argv = sh(`echo "token $TOKEN" | tee -a done; echo "$TOKEN" >&2`)
			c.Unless, c.Dir, c.Keep = []string{"test", "-e", "done"}, task.Path(dir), true
			c.Secrets = map[string]redact.Secret{"TOKEN": redact.NewSecret(canary)}
		},
	})
}

func TestWhatAProgramWritesIsInAFileOfItsOwnWithoutSecrets(t *testing.T) {
	t.Parallel()
	env := tasktest.Env(t)
	env.Mask = func(text string) string { return strings.ReplaceAll(text, "of the plan", redact.Mask) }
	c := &host.Command{
		Argv:    sh(`printf 'out %s\nof the plan\n' "$TOKEN"; printf 'last %s' "$WORD" >&2`),
		Secrets: map[string]redact.Secret{"TOKEN": redact.NewSecret("hunter22")},
		Env:     map[string]string{"WORD": "words"},
	}
	ran, err := c.Run(t.Context(), env)
	if err != nil || ran.ExitCode != 0 || ran.Text != "" {
		t.Fatalf("ran %+v, error %v", ran, err)
	}
	content, err := os.ReadFile(ran.Output)
	if err != nil || filepath.Dir(ran.Output) != env.Dir {
		t.Fatalf("output %q: %v", ran.Output, err)
	}
	for _, line := range []string{"out " + redact.Mask + "\n", redact.Mask + "\n", "last words"} {
		if !strings.Contains(string(content), line) {
			t.Errorf("%q is not in the output %q", line, content)
		}
	}
	if strings.Contains(string(content), "hunter22") || strings.Contains(string(content), "of the plan") {
		t.Errorf("a secret is in the output %q", content)
	}
	if sum := sha256.Sum256(content); ran.OutputSHA256 != hex.EncodeToString(sum[:]) {
		t.Error("the receipt has another hash than the file")
	}
	if info, err := os.Stat(ran.Output); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, error %v", info.Mode(), err)
	}
}

func TestAProgramThatWritesNothingLeavesNoFile(t *testing.T) {
	t.Parallel()
	env := tasktest.Env(t)
	ran, err := (&host.Command{Argv: []string{"true"}}).Run(t.Context(), env)
	if err != nil || ran != (host.Ran{}) {
		t.Errorf("ran %+v, error %v", ran, err)
	}
	if left, err := os.ReadDir(env.Dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, error %v", left, err)
	}
}

func TestTheReceiptKeepsTheEndOfTheOutputWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	c := &host.Command{Argv: sh("seq 100000; echo a warning >&2; echo 42"), Keep: true}
	ran, err := c.Run(t.Context(), tasktest.Env(t))
	if err != nil || !strings.HasSuffix(ran.Text, "100000\n42") || len(ran.Text) > 2<<10 {
		t.Errorf("the text is %q, error %v", ran.Text, err)
	}
}

func TestAFailureSaysTheStatusAndWhereTheOutputIs(t *testing.T) {
	t.Parallel()
	ran, err := (&host.Command{Argv: sh("echo half; echo no such queue >&2; exit 3")}).Run(t.Context(), tasktest.Env(t))
	if err == nil || ran.ExitCode != 3 || err.Error() != "sh: exit status 3: no such queue" {
		t.Errorf("ran %+v, error %v", ran, err)
	}
	if hint := task.HintOf(err); ran.Output == "" || !strings.Contains(hint, ran.Output) {
		t.Errorf("the hint is %q", hint)
	}
}

func TestNoShellReadsTheArguments(t *testing.T) {
	t.Parallel()
	const argument = `$HOME; "two words" > file`
	ran, err := (&host.Command{Argv: []string{"printf", "%s", argument}, Keep: true}).Run(t.Context(), tasktest.Env(t))
	if err != nil || ran.Text != argument {
		t.Errorf("it got %q, error %v", ran.Text, err)
	}
}

func TestUnlessDecidesWhetherTheProgramRuns(t *testing.T) {
	t.Parallel()
	var skip *task.SkipError
	for status, want := range map[string]func(error) bool{
		"0": func(err error) bool { return errors.As(err, &skip) },
		"1": func(err error) bool { return err == nil },
		"2": func(err error) bool { return err != nil && !errors.As(err, &skip) && task.HintOf(err) != "" },
	} {
		mark := filepath.Join(t.TempDir(), "ran")
		c := &host.Command{Argv: []string{"touch", mark}, Unless: sh("exit " + status)}
		if _, err := c.Run(t.Context(), tasktest.Env(t)); !want(err) {
			t.Errorf("unless with status %s: error %v", status, err)
		}
		if _, err := os.Stat(mark); (err == nil) != (status == "1") {
			t.Errorf("unless with status %s: the mark: %v", status, err)
		}
	}
}

func TestAnInterruptionEndsTheProgramAndItsChildren(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted")
	ended := make(chan error)
	c := &host.Command{Argv: sh("sleep 600 & echo $! > pid.part; mv pid.part pid; wait"), Dir: task.Path(dir)}
	go func() {
		_, err := c.Run(ctx, tasktest.Env(t))
		ended <- err
	}()
	child := 0
	for deadline := time.Now().Add(20 * time.Second); child == 0; {
		text, _ := os.ReadFile(filepath.Join(dir, "pid"))
		child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		if time.Now().After(deadline) {
			t.Fatal("the program does not start")
		}
	}
	cancel(cause)
	if err := <-ended; !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	for deadline := time.Now().Add(20 * time.Second); alive(child); { // a signal takes its time
		if time.Now().After(deadline) {
			t.Fatal("its child is still there")
		}
	}
}

// alive tells whether a process runs. One that has ended and waits for its
// parent does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestAProgramBesideThePlanBelongsToTheDigest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "purge.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho purged\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &host.Command{Argv: []string{"./purge.sh"}, Dir: task.Path(dir), Unless: []string{"false"}, Keep: true}
	if files := c.Files(); len(files) != 1 || files[0] != script {
		t.Errorf("files %v", files)
	}
	if err := errors.Join(c.Validate(), c.Check(t.Context(), tasktest.Env(t))); err != nil {
		t.Error(err)
	}
	if ran, err := c.Run(t.Context(), tasktest.Env(t)); err != nil || ran.Text != "purged" {
		t.Errorf("ran %+v, error %v", ran, err)
	}
}

func TestACommandThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	secret := map[string]redact.Secret{"A": redact.NewSecret("secret")}
	for name, c := range map[string]*host.Command{
		"no program":           {},
		"relative to nothing":  {Argv: []string{"./purge.sh"}},
		"unless to nothing":    {Argv: []string{"true"}, Unless: []string{"bin/done"}},
		"a variable two times": {Argv: []string{"true"}, Env: map[string]string{"A": ""}, Secrets: secret},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, c := range map[string]*host.Command{
		"no such program":   {Argv: []string{"no-such-program"}},
		"no such path":      {Argv: []string{"/no/such/program"}},
		"not executable":    {Argv: []string{"/etc/passwd"}},
		"no such directory": {Argv: []string{"true"}, Dir: "/no/such/directory"},
		"unless not there":  {Argv: []string{"true"}, Unless: []string{"no-such-program"}},
	} {
		if c.Check(t.Context(), tasktest.Env(t)) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := (&host.Command{Argv: []string{"/no/such/program"}}).Run(t.Context(), tasktest.Env(t))
	if failed, ok := errors.AsType[*command.Error](err); !ok || failed.ExitCode != -1 {
		t.Errorf("error %v", err)
	}
}
