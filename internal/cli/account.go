package cli

import (
	"os"
	"os/user"
	"strconv"
)

// account is who this process runs as, as the system calls them, or "uid 1234"
// where the system has no name for them. os/user then believes $USER, which
// anybody can set, and who approves is not for them to say: it is hidden from it.
func account() string {
	if name, set := os.LookupEnv("USER"); set {
		_ = os.Unsetenv("USER")
		defer func() { _ = os.Setenv("USER", name) }()
	}
	found, err := user.Current()
	if err != nil {
		return "uid " + strconv.Itoa(os.Getuid())
	}
	return found.Username
}
