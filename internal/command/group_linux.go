package command

import "syscall"

// ownGroup starts a child in its own process group and has the kernel signal it
// if this process is killed.
func ownGroup(orphan Orphan) *syscall.SysProcAttr {
	signal := map[Orphan]syscall.Signal{Terminated: syscall.SIGTERM, Quit: syscall.SIGQUIT}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: signal[orphan]}
}
