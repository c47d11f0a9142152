#!/bin/sh
# An init script for the tests. Its service is the program "daemon" beside the
# link by which the script is called; its state is there, too. The daemon gets
# the script's own outputs, as a careless script would have it.
dir=$(dirname "$0")

running() {
	[ -f "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null
}

case "$1" in
start)
	running && exit 0
	if [ -f "$dir/broken" ]; then
		echo "the license has expired" >&2
		exit 1
	fi
	"$dir/daemon" &
	echo $! >"$dir/pid"
	;;
stop)
	[ -f "$dir/stubborn" ] && exit 0
	running && kill "$(cat "$dir/pid")"
	exit 0
	;;
status)
	[ -f "$dir/confused" ] && exit 1
	running || exit 3
	;;
esac
