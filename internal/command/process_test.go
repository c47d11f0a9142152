package command

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
)

func sh(script string) Command { return Command{Argv: []string{"/bin/sh", "-c", script}} }

func TestAStartedProgramRunsUntilItIsSignalled(t *testing.T) {
	p, err := sh("exec sleep 600").Start()
	if err != nil {
		t.Fatal(err)
	}
	if group, err := syscall.Getpgid(p.PID()); err != nil || group != p.PID() {
		t.Errorf("its group is %d, %v; it should have one of its own", group, err)
	}
	select {
	case <-p.Done():
		t.Fatal("it ended by itself:", p.Wait())
	default:
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var ended *Error
	if err := p.Wait(); !errors.As(err, &ended) || ended.ExitCode != -1 {
		t.Errorf("it ended with %v", err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal after its end: %v", err)
	}
}

func TestAStartedProgramsLastWordsAreInTheErrorWithoutSecrets(t *testing.T) {
	c := sh("echo first; echo the key is hunter22 >&2; exit 3")
	c.Mask = redact.NewMasker(redact.NewSecret("hunter22"))
	p, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	var ended *Error
	if err := p.Wait(); !errors.As(err, &ended) || ended.ExitCode != 3 || ended.Stderr != "the key is "+redact.Mask {
		t.Errorf("it ended with %v", err)
	}
}

func TestADaemonThatHoldsThePipeDoesNotHoldWait(t *testing.T) {
	p, err := sh("sleep 20 & exit 0").Start()
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(-p.PID(), syscall.SIGKILL)
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the daemon")
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func TestAProgramThatIsNotThereIsNotStarted(t *testing.T) {
	_, err := Command{Argv: []string{"/nowhere/program"}}.Start()
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "program: ") {
		t.Errorf("the error is %v", err)
	}
}

func TestRootStartsAProgramAsAnotherAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can")
	}
	c := sh("id -u; id -G")
	c.As = &Account{UID: 65534, GID: 65534}
	c.Dir = "/"
	if out, err := c.Output(t.Context()); err != nil || out != "65534\n65534\n" {
		t.Errorf("it runs as %q, %v", out, err)
	}
}
