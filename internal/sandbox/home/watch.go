package home

import (
	"os"
	"strconv"
	"syscall"

	"github.com/medlogistics/phasegate/internal/command"
)

// A watch is a shell that waits for the end of this process, however it ends,
// and then removes the home. Where the watch is killed too, the next sweep does.
type watch struct {
	shell *command.Process
	alive *os.File // closed with this process, which is what the shell waits for
}

// lastWill gets the number of a process, 0 for none, and the home. It makes sure
// of whom it signals: by then the number may belong to another program.
const lastWill = `
read -r _
if [ "$1" -gt 0 ]; then
	case $(ps -o args= -p "$1" 2>/dev/null) in *"$2"*) kill -QUIT "$1" ;; esac
	n=0
	while kill -0 "$1" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
fi
rm -rf "$2" "$2.lock"
`

// Watch sees to it that the home is removed soon after this process ends, and
// that before it pid, a program with the home among its arguments, gets SIGQUIT
// and five seconds to end. A pid of 0 is none.
func (h *Home) Watch(pid int) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	shell, err := command.Command{
		Argv:   []string{"/bin/sh", "-c", lastWill, "phasegate-watch", strconv.Itoa(pid), h.dir},
		Dir:    "/",
		Stdin:  read,
		Orphan: command.LeftAlone,
	}.Start()
	if err != nil {
		_ = write.Close()
		return err
	}
	h.watch = &watch{shell, write}
	return nil
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
