//go:build unix && !linux

package command

import "syscall"

// ownGroup starts a child in its own process group.
func ownGroup(Orphan) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
