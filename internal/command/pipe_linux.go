package command

import (
	"os"

	"golang.org/x/sys/unix"
)

// openPipe opens a pipe that no child inherits by itself. What is read is a bare
// descriptor, which poll waits for, and not the runtime.
func openPipe() (read int, write *os.File, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return closed, nil, err
	}
	return ends[0], os.NewFile(uintptr(ends[1]), "|1"), nil
}
