package command

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// members returns the processes of this account whose mark begins so. The kernel
// shows their environment to no other account. A process that has ended and was
// not waited for has none any more.
func members(_ context.Context, mark string) ([]Member, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	own := lineage()
	var found []Member
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || own[pid] || !carries(pid, mark) {
			continue
		}
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		found = append(found, Member{pid, strings.TrimSpace(string(name))})
	}
	return found, nil
}

func carries(pid int, mark string) bool {
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return false
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return false // root may read all environments
	}
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+familyVariable+"="+mark))
}

// lineage is this process and those that it descends from.
func lineage() map[int]bool {
	own := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !own[pid]; pid = parent(pid) {
		own[pid] = true
	}
	return own
}

// parent reads the fourth field of a process's stat; the second one is a name
// in parentheses that may hold anything. See proc_pid_stat(5).
func parent(pid int) int {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	number, _ := strconv.Atoi(fields[1])
	return number
}

// signal takes hold of the process before it looks whether it is the member
// still, so that no other one can have got its number when it is signalled.
func (m Member) signal(mark string, signal syscall.Signal) error {
	process, err := os.FindProcess(m.PID)
	if err != nil {
		return err
	}
	defer func() { _ = process.Release() }()
	if !carries(m.PID, mark) {
		return os.ErrProcessDone
	}
	return process.Signal(signal)
}
