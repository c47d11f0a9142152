package postgres

import (
	"errors"
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
//
// The error is that of a part that could not be written. The system tells of it once,
// and not again when the file is synced.
func settle(file *os.File, from, n int64) error {
	err := unix.SyncFileRange(int(file.Fd()), from, n,
		unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	_ = unix.Fadvise(int(file.Fd()), 0, from+n, unix.FADV_DONTNEED)
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return os.NewSyscallError("sync_file_range", err)
	}
	return nil
}

// widen has a pipe hold so many bytes. Without it the pipe is slower, nothing else.
func widen(pipe *os.File, size int) {
	_, _ = unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, size)
}
