package cli

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Who began a run is not what $USER says, also where /etc/passwd has no name for
// the account, as in many a container.
func TestAnAccountWithoutANameIsItsNumberWhateverUSERSays(t *testing.T) {
	t.Parallel()
	y := newToy(t, calm, calm, calm)
	cmd := exec.CommandContext(t.Context(), "phasegate", "run", "plan.yaml", "--json")
	cmd.Dir, cmd.Env = y.dir, append(y.environ, "PATH="+os.Getenv("PATH"), "USER=bob", "HOME="+y.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 54321, HostID: os.Getuid(), Size: 1}},
	}
	output, err := cmd.Output()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this machine gives no account of another number: %v", err)
	}
	if err != nil || !strings.Contains(string(output), `"by":"uid 54321"`) {
		t.Errorf("%v: %s", err, output)
	}
}
