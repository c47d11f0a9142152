package postgres

import (
	"os"

	"golang.org/x/sys/unix"
)

// flush has the system begin to put a part of the file onto the disk, so that less
// is left to wait for at the end: sync_file_range(2).
func flush(file *os.File, from, n int64) {
	_ = unix.SyncFileRange(int(file.Fd()), from, n, unix.SYNC_FILE_RANGE_WRITE)
}

// settle waits until a part of the file is on the disk, and has the system read it
// from there the next time: what it has in its memory proves nothing. It forgets what
// comes before too, which has been read and would only take the place of the server's
// own files. Where the system does not listen, the next read is from memory.
// sync_file_range(2), posix_fadvise(2).
func settle(file *os.File, from, n int64) {
	_ = unix.SyncFileRange(int(file.Fd()), from, n,
		unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	_ = unix.Fadvise(int(file.Fd()), 0, from+n, unix.FADV_DONTNEED)
}

// widen has a pipe hold so many bytes. Without it the pipe is slower, nothing else.
func widen(pipe *os.File, size int) {
	_, _ = unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, size)
}
