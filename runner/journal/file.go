package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// FileName is the journal's name in its run's directory.
const FileName = "journal.jsonl"

// A Dir is a Store in a directory: a folder for each run, with one event a
// line in its journal. The folder also takes the run's artifacts.
type Dir struct{ path string }

// NewDir returns the store in the directory path, which is made when the first
// run is.
func NewDir(path string) *Dir { return &Dir{path} }

// RunDir returns the folder of a run.
func (d *Dir) RunDir(run string) string { return filepath.Join(d.path, run) }

// ValidRun tells whether run has the form of a run's name, safe as the name of a
// folder: at most 128 ASCII letters, digits and hyphens, the first of them a
// small letter or a digit.
func ValidRun(run string) bool {
	if run == "" || len(run) > 128 || run[0] == '-' || 'A' <= run[0] && run[0] <= 'Z' {
		return false
	}
	return !strings.ContainsFunc(run, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// Create makes the run's folder, mode 0700, and its journal, mode 0600.
func (d *Dir) Create(_ context.Context, run string) (Writer, error) {
	if !ValidRun(run) {
		return nil, fmt.Errorf("create journal: %q cannot name a run", run)
	}
	if err := os.MkdirAll(d.RunDir(run), 0o700); err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	file, err := os.OpenFile(d.file(run), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	if err := errors.Join(hold(file), syncDir(d.RunDir(run)), syncDir(d.path)); err != nil {
		return nil, errors.Join(fmt.Errorf("create journal: %w", err), letGo(file))
	}
	return &fileWriter{file: file}, nil
}

// Open takes the run up again. A last line that a crash tore is cut off: what
// it would have announced was not begun.
func (d *Dir) Open(_ context.Context, run string) (Writer, []Event, error) {
	file, err := d.open(run, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return nil, nil, err
	}
	events, w, err := takeUp(file, run)
	if err != nil {
		return nil, nil, errors.Join(err, letGo(file))
	}
	return w, events, nil
}

func takeUp(file *os.File, run string) ([]Event, *fileWriter, error) {
	if err := hold(file); err != nil {
		return nil, nil, fmt.Errorf("open run %s: %w", run, err)
	}
	content, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, nil, fmt.Errorf("open run %s: %w", run, err)
	}
	lines, whole := split(content)
	events := make([]Event, 0, len(lines))
	links, err := follow(run, lines, func(e Event) { events = append(events, e) })
	if err != nil {
		return nil, nil, err
	}
	if whole < len(content) {
		if err := errors.Join(file.Truncate(int64(whole)), file.Sync()); err != nil {
			return nil, nil, fmt.Errorf("drop the torn last event of run %s: %w", run, err)
		}
	}
	return events, &fileWriter{file: file, links: links}, nil
}

// Read returns the run's whole events.
func (d *Dir) Read(ctx context.Context, run string) ([]Event, error) {
	lines, err := d.Lines(ctx, run)
	if err != nil {
		return nil, err
	}
	return Verify(run, lines)
}

// State folds the run's whole events.
func (d *Dir) State(ctx context.Context, run string) (*State, error) {
	lines, err := d.Lines(ctx, run)
	if err != nil {
		return nil, err
	}
	state := &State{}
	_, err = follow(run, lines, state.Apply)
	return state.orNil(), err
}

// Lines returns the run's whole lines, without the newline at their ends.
func (d *Dir) Lines(_ context.Context, run string) ([][]byte, error) {
	if !ValidRun(run) {
		return nil, fmt.Errorf("run %q: %w", run, ErrNotFound)
	}
	content, err := os.ReadFile(d.file(run))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run %s: %w", run, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	lines, _ := split(content)
	return lines, nil
}

// Runs returns the names of the folders that hold a journal, or may hold one that
// this account cannot see: reading that run says so. Names begin with their time,
// so that the order of names is the order of runs. A folder that has no run's
// name, such as a copy RUN.bak, is none.
func (d *Dir) Runs(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	runs := make([]string, 0, len(entries))
	for _, entry := range entries { // sorted by name
		if !ValidRun(entry.Name()) {
			continue
		}
		_, err := os.Stat(d.file(entry.Name()))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		runs = append(runs, entry.Name())
	}
	return runs, nil
}

// Held tries the lock that a writer has and gives it back at once.
func (d *Dir) Held(_ context.Context, run string) (bool, error) {
	file, err := d.open(run, os.O_RDONLY)
	if err != nil {
		return false, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	held := errors.Is(err, syscall.EWOULDBLOCK)
	if held {
		err = nil
	}
	return held, errors.Join(err, letGo(file))
}

// Lock holds a file of the target's name in the store's directory.
func (d *Dir) Lock(_ context.Context, target string) (func(), error) {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return nil, fmt.Errorf("lock %s: %w", target, err)
	}
	file, err := os.OpenFile(filepath.Join(d.path, target+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", target, err)
	}
	if err := hold(file); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", target, err), letGo(file))
	}
	return func() { _ = letGo(file) }, nil
}

func (d *Dir) file(run string) string { return filepath.Join(d.RunDir(run), FileName) }

func (d *Dir) open(run string, flags int) (*os.File, error) {
	if !ValidRun(run) {
		return nil, fmt.Errorf("run %q: %w", run, ErrNotFound)
	}
	file, err := os.OpenFile(d.file(run), flags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run %s: %w", run, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", run, err)
	}
	return file, nil
}

// fileWriter appends to a journal whose file it has locked. The kernel gives
// the lock back when the process ends, however it ends.
type fileWriter struct {
	file  *os.File
	links chain
	text  []byte // what is appended, kept for its room
	err   error  // the first failure: what is on disk is unknown from there on
}

func (w *fileWriter) Append(_ context.Context, events ...Event) ([]Event, error) {
	if w.err != nil {
		return nil, w.err
	}
	lines, err := w.links.sealAll(events)
	if err != nil {
		w.err = err
		return nil, err
	}
	w.text = w.text[:0]
	for _, line := range lines {
		w.text = append(append(w.text, line...), '\n')
	}
	if _, err := w.file.Write(w.text); err != nil {
		w.err = fmt.Errorf("append to the journal: %w", err)
	} else if err := w.file.Sync(); err != nil {
		w.err = fmt.Errorf("sync the journal: %w", err)
	} else {
		w.err = named(w.file)
	}
	if w.err != nil {
		return nil, w.err
	}
	return events, nil
}

// named fails once the journal was deleted: what is written to it is in no journal.
func named(file *os.File) error {
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &stat); err != nil || stat.Nlink > 0 {
		return err
	}
	if _, err := os.Stat(file.Name()); !errors.Is(err, fs.ErrNotExist) {
		return err // not every file system counts names
	}
	return &hintedError{
		fmt.Errorf("the journal was deleted: %s is not there any more", file.Name()),
		"nothing more is done; put the run's directory back from a copy, or look by hand at what was done: without its journal it is not known",
	}
}

// Lost is nil: the kernel takes a file's lock from no living process.
func (w *fileWriter) Lost() <-chan struct{} { return nil }

func (w *fileWriter) Close() error { return letGo(w.file) }

// split returns the lines of content and how many bytes they are. What follows
// the last newline, and a last line that is no event, were torn by a crash.
func split(content []byte) (lines [][]byte, whole int) {
	for rest := content; ; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return lines, whole
		}
		line := rest[:end]
		rest = rest[end+1:]
		if len(bytes.TrimSpace(rest)) == 0 && !wellFormed(line) {
			return lines, whole
		}
		lines = append(lines, line)
		whole += end + 1
	}
}

// wellFormed tells an altered event, or one of a contract to come, from the
// debris of a crash.
func wellFormed(line []byte) bool {
	var e Event
	_ = json.Unmarshal(line, &e) // what it could read is what counts
	return e.Seq != 0 || e.Contract != ""
}

// glance is how long a lock is tried for: Held has it for a moment, too.
const glance = 200 * time.Millisecond

func hold(file *os.File) error {
	for end := time.Now().Add(glance); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(end) {
			return ErrHeld
		}
	}
}

// letGo gives the lock back and closes the file. Closing alone would not do: a
// child process that is being started has the file too, for a moment.
func letGo(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
