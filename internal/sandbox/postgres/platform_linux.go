package postgres

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// locale is that of new clusters. It folds case beyond ASCII, as a production
// database does, and is there without being installed.
const locale = "C.UTF-8"

// processesIn returns the processes that work in dir or below, as a server and
// its backends do in their data directory. A zombie is in no directory.
func processesIn(dir string) []int {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	var found []int
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || cwd != dir && !strings.HasPrefix(cwd, dir+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil && pid != os.Getpid() {
			found = append(found, pid)
		}
	}
	return found
}
