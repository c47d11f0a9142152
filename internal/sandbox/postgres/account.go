package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/runner/task"
)

// serverAccount returns the account that the server must run as, nil for this
// process's own: only root has to change.
func serverAccount() (*command.Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("read account %s: %w", name, err)
		}
		return &command.Account{UID: uint32(uid), GID: uint32(gid)}, nil
	}
	return nil, task.Hint(errors.New("PostgreSQL does not run as root, and there is no account postgres or nobody"),
		"create the account postgres, or run as an ordinary user")
}

// give makes account the owner of path. A nil account is this process's own.
func give(path string, account *command.Account) error {
	if account == nil {
		return nil
	}
	return os.Lchown(path, int(account.UID), int(account.GID))
}

// socketLimit is the longest path of a Unix socket, in bytes: 108 on Linux and
// 104 on the BSDs and macOS, with the terminating zero.
const socketLimit = 103

// baseDir returns the directory in which clusters are made.
func baseDir(dir string) (string, error) {
	if dir == "" {
		if dir = os.TempDir(); !usable(dir) {
			dir = "/tmp"
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if !usable(dir) {
		return "", task.Hint(fmt.Errorf("%s is no place for a cluster", dir),
			"name a directory with a short path that every account can pass through, such as /tmp")
	}
	return dir, nil
}

// usable tells whether a socket fits below dir and, as root, whether another
// account can get there.
func usable(dir string) bool {
	if len(filepath.Join(dir, homePrefix+"4294967295", ".s.PGSQL.65535")) > socketLimit {
		return false
	}
	if os.Geteuid() != 0 {
		return true
	}
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}
