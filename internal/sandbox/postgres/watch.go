package postgres

import (
	"os"
	"strconv"
	"syscall"

	"github.com/medlogistics/phasegate/internal/command"
)

// A watch is a shell that waits for the end of this process, however it ends,
// and then removes the cluster: the file system's part of what the death signal
// does for the server. Where the watch is killed too, the next start sweeps.
type watch struct {
	shell *command.Process
	alive *os.File // closed with this process, which is what the shell waits for
}

// lastWill gets the server's number and the home. It makes sure of whom it
// signals: by then the number may belong to another program.
const lastWill = `
read -r _
case $(ps -o args= -p "$1" 2>/dev/null) in *"$2"*) kill -QUIT "$1" ;; esac
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
rm -rf "$2" "$2.lock"
`

func watchOver(h *home, server *command.Process) (*watch, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	shell, err := command.Command{
		Argv:   []string{"/bin/sh", "-c", lastWill, "phasegate-pg-watch", strconv.Itoa(server.PID()), h.dir},
		Dir:    "/",
		Stdin:  read,
		Orphan: command.LeftAlone,
	}.Start()
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return &watch{shell, write}, nil
}

// dismiss ends the watch before it acts. A nil watch has nothing to end.
func (w *watch) dismiss() {
	if w == nil {
		return
	}
	_ = w.shell.Signal(syscall.SIGKILL)
	_ = w.shell.Wait()
	_ = w.alive.Close()
}
