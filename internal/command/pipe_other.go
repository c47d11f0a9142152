//go:build unix && !linux

package command

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openPipe opens a pipe that no child inherits by itself. What is read is a bare
// descriptor, which poll waits for, and not the runtime.
func openPipe() (read int, write *os.File, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		return closed, nil, err
	}
	unix.CloseOnExec(ends[0])
	unix.CloseOnExec(ends[1])
	return ends[0], os.NewFile(uintptr(ends[1]), "|1"), nil
}
