package cli

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// forgetStart gives back the pages of the program file that only its start
// needed: the initialisation of the libraries touches most of it once, which
// would count as resident for as long as a run lasts. What is used again is
// mapped again from the page cache. Failing is harmless.
func forgetStart() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	mappings, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = mappings.Close() }()
	for _, m := range untouched(mappings, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// A mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// untouched returns the mappings of a file that cannot be written and have no
// page of the process's own: one that the loader has changed would lose its
// changes. See proc_pid_smaps(5).
func untouched(smaps io.Reader, file string) (found []mapping) {
	var at mapping
	ours := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Bytes()
		if !ours && !bytes.Contains(line, []byte("-")) {
			continue // most lines, and each would be cut into pieces
		}
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		from, to, is := bytes.Cut(fields[0], []byte("-"))
		switch {
		case is:
			ours = len(fields) == 6 && string(fields[5]) == file && fields[1][1] == '-'
			at = mapping{address(from), address(to)}
		case ours && string(fields[0]) == "Anonymous:" && string(fields[1]) == "0":
			found = append(found, at)
		}
	}
	return found
}

func address(hex []byte) uintptr {
	n, _ := strconv.ParseUint(string(hex), 16, 64)
	return uintptr(n)
}
