//go:build unix && !linux

package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
)

// locale is that of new clusters.
const locale = "en_US.UTF-8"

// processesIn returns the processes that have dir in their command line, as a
// server has. Its backends end when it does.
func processesIn(dir string) []int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	list, _ := command.Command{Argv: []string{"ps", "-axo", "pid=,command="}}.Output(ctx)
	var found []int
	for line := range strings.Lines(list) {
		number, argv, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(number)
		if err == nil && strings.Contains(argv, " -D "+dir+"/") {
			found = append(found, pid)
		}
	}
	return found
}
