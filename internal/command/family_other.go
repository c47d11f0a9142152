//go:build unix && !linux

package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// members returns the processes for which ps shows a mark that begins so, with
// their environment: macOS shows that of this account's programs but not that of the
// ones that belong to the system, such as its shells.
func members(ctx context.Context, mark string) ([]Member, error) {
	list, err := Command{Argv: []string{"ps", "-axEww", "-o", "pid=,ppid=,command="}}.
		Output(context.WithValue(ctx, familyKey{}, nil))
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	parents, found := map[int]int{}, []Member{}
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		pid, _ := strconv.Atoi(fields[0])
		parents[pid], _ = strconv.Atoi(fields[1])
		if strings.Contains(line, familyVariable+"="+mark) {
			found = append(found, Member{pid, filepath.Base(fields[2])})
		}
	}
	return strangers(found, parents), nil
}

// strangers leaves out this process and those that it descends from.
func strangers(found []Member, parents map[int]int) []Member {
	own := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !own[pid]; pid = parents[pid] {
		own[pid] = true
	}
	var others []Member
	for _, m := range found {
		if !own[m.PID] {
			others = append(others, m)
		}
	}
	return others
}

func (m Member) signal(_ string, signal syscall.Signal) error { return syscall.Kill(m.PID, signal) }
