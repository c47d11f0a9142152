package gate

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// The test's own program is called in a directory that holds nothing else, which
// is then its whole file system.
func TestAMachineWithoutADatabaseOfZonesKnowsThem(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if !static(t, program) {
		t.Skip("the test's program needs shared libraries, as with the race detector")
	}
	root := t.TempDir()
	copyProgram(t, program, filepath.Join(root, "program"))
	cmd := exec.CommandContext(t.Context(), "/program", "-test.v", "-test.run", "^TestEveryNamedZoneIsKnown$|^TestTheHour")
	cmd.Err, cmd.Path, cmd.Dir, cmd.Env = nil, "/program", "/", []string{"TMPDIR=/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	}
	output, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("this account may not give a process a file system of its own: %v", err)
	}
	if err != nil || bytes.Count(output, []byte("--- PASS")) != 3 {
		t.Errorf("%v\n%s", err, output)
	}
}

// static tells whether a program runs without a loader.
func static(t *testing.T, path string) bool {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return !slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
