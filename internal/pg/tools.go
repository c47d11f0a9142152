package pg

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/runner/task"
)

// Tool returns the path of one of PostgreSQL's programs: from the directory
// $PG_BIN, from the newest version in Debian's place, or from $PATH.
func Tool(name string) (string, error) {
	if dir := os.Getenv("PG_BIN"); dir != "" {
		return filepath.Join(dir, name), nil
	}
	found, _ := filepath.Glob(filepath.Join("/usr/lib/postgresql/*/bin", name))
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
	}
	path, err := command.LookPath(name)
	if err != nil {
		return "", task.Hint(fmt.Errorf("PostgreSQL's program %s is not installed", name),
			"install PostgreSQL 15 or newer, or name its directory in PG_BIN")
	}
	return path, nil
}

// version reads 15 from /usr/lib/postgresql/15/bin/pg_dump.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}
