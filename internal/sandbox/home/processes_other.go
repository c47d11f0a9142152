//go:build unix && !linux

package home

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
)

// processesIn returns the processes that have dir, or a path below, among their
// arguments.
func processesIn(dir string) []int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	list, _ := command.Command{Argv: []string{"ps", "-axo", "pid=,command="}}.Output(ctx)
	var found []int
	for line := range strings.Lines(list) {
		number, argv, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(number)
		if err == nil && strings.Contains(argv, " "+dir+"/") {
			found = append(found, pid)
		}
	}
	return found
}
