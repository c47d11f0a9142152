package command

import "syscall"

// ownGroup starts a child in its own process group and has the kernel end it if
// this process is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
