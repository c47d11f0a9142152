package medlogistics

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// control is an init script (LSB 5.0, "Init Script Actions"). The number in the
// file pid is written by the daemon's own process before it becomes the program,
// so that there is no moment at which a daemon runs and nobody knows. It is
// believed only if that process has the program's command line: it may be years
// old.
const control = `#!/bin/sh
# start, stop or status: 0 is done, or it runs; 3 is that it does not run.
dir=%[1]s
argv=%[2]s
umask 077

running() {
	pid=$(cat "$dir/pid" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || return 1
	case "$({ tr '\0' ' ' <"/proc/$pid/cmdline" || ps -o args= -p "$pid"; } 2>/dev/null)" in
	"$argv"*) return 0 ;;
	esac
	return 1
}

# Two calls at once take turns. A call that was killed leaves its number, which
# is nobody's soon after.
turn() {
	trap 'exit 143' HUP INT TERM
	n=0
	until ln -s $$ "$dir/turn" 2>/dev/null; do
		holder=$(readlink "$dir/turn") && ! kill -0 "$holder" 2>/dev/null && rm -f "$dir/turn"
		n=$((n + 1))
		[ $n -lt 600 ] || { echo "another $0 has been at it for 30 seconds" >&2; exit 1; }
		sleep 0.05
	done
	trap 'rm -f "$dir/turn"' EXIT
}

start() {
	running && return 0
	rm -f "$dir/pid"
	(
		cd "$dir" && . ./environment || exit 1
		set -- %[3]s
		if command -v setsid >/dev/null; then detach=setsid; else set -m; detach=nohup; fi
		$detach sh -c 'echo $$ >pid; exec "$@"' daemon "$@" </dev/null >>log 2>&1 &
	)
	n=0
	until running; do
		n=$((n + 1))
		[ $n -lt 100 ] || break
		[ ! -s "$dir/pid" ] || kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	# What fails at once is told here; all else is for whoever asks for its health.
	sleep 0.1
	running && return 0
	echo "it ended at once: $(tail -n 1 "$dir/log")" >&2
	return 1
}

stop() {
	n=0
	while running; do
		case $n in
		0) kill -TERM "$pid" 2>/dev/null ;;
		400) kill -KILL "$pid" 2>/dev/null ;;
		500) echo "process $pid cannot be ended" >&2; return 1 ;;
		esac
		n=$((n + 1))
		sleep 0.05
	done
	rm -f "$dir/pid"
}

case $1 in
start | stop) turn && "$1" ;;
status) running || exit 3 ;;
*) echo "usage: $0 start|stop|status" >&2; exit 2 ;;
esac
`

// Script writes an init script for the program argv into the existing directory
// dir, with whatever belongs to it, and returns its path. The daemon works in
// dir, writes to the file log there, and gets env, NAME=value, which may hold
// secrets: they are in a file with mode 0600, and in no argument. Whoever
// removes dir calls the script with stop first.
func Script(dir string, argv, env []string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("write the service's script: %w", err)
	}
	var environment strings.Builder
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		fmt.Fprintf(&environment, "export %s=%s\n", name, quote(value))
	}
	var quoted []string
	for _, argument := range argv {
		quoted = append(quoted, quote(argument))
	}
	script := fmt.Sprintf(control, quote(dir), quote(strings.Join(argv, " ")), strings.Join(quoted, " "))
	path := filepath.Join(dir, "control")
	for _, file := range []struct {
		name string
		text string
		mode os.FileMode
	}{{"environment", environment.String(), 0o600}, {"control", script, 0o700}} {
		if err := os.WriteFile(filepath.Join(dir, file.name), []byte(file.text), file.mode); err != nil {
			return "", fmt.Errorf("write the service's script: %w", err)
		}
	}
	return path, nil
}

// quote makes a word of the shell's.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
