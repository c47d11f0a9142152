package postgres

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget asks the system to read the file from the disk the next time, not from
// its memory: posix_fadvise(2).
func forget(file *os.File) {
	_ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// flush has the system begin to put a part of the file onto the disk, so that less
// is left to wait for at the end: sync_file_range(2).
func flush(file *os.File, from, n int64) {
	_ = unix.SyncFileRange(int(file.Fd()), from, n, unix.SYNC_FILE_RANGE_WRITE)
}

// widen has a pipe hold so many bytes. Without it the pipe is slower, nothing else.
func widen(pipe *os.File, size int) {
	_, _ = unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, size)
}
