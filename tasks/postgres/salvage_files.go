package postgres

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// salvageFormat is in the first line of a file of changes.
const salvageFormat = "phasegate-salvage/1"

// salvageFiles are the files that a salvage writes. Changes are in the order in
// which they can be made: what a foreign key refers to comes before, and rows
// are deleted at the end, children first.
type salvageFiles struct {
	changes, sql, dropped, unsure  *outFile
	deletedChanges, deletedSQL     *outFile // of the last part, in the order in which the tables were read
	againSQL                       *outFile // insertions that are tried again behind that
	changeSpans, sqlSpans          []span
	scratch                        []byte
	changesPath, sqlPath, dropPath string
	unsurePath                     string
	table                          *pair // of the last change
}

// A span is one table's part of a file.
type span struct{ from, to int64 }

func createSalvageFiles(dir string, receipt SalvageReceipt, pairs []pair) (f *salvageFiles, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("find the run's directory: %w", err)
	}
	base := filepath.Join(dir, "salvage-"+fileName(receipt.Replaced))
	f = &salvageFiles{changesPath: base + ".ndjson", sqlPath: base + ".sql", dropPath: base + "-dropped.ndjson", unsurePath: base + "-unsure.ndjson"}
	defer func() {
		if err != nil {
			f.remove()
		}
	}()
	for path, file := range map[string]**outFile{
		f.changesPath: &f.changes, f.sqlPath: &f.sql, f.dropPath: &f.dropped, f.unsurePath: &f.unsure,
		base + "-deleted.ndjson": &f.deletedChanges, base + "-deleted.sql": &f.deletedSQL, base + "-again.sql": &f.againSQL,
	} {
		if *file, err = createFile(path + partialSuffix); err != nil {
			return nil, err
		}
	}
	err = f.changes.write(appendHeader(nil, receipt, pairs))
	if err == nil {
		err = f.dropped.write(appendHeader(nil, receipt, nil))
	}
	if err == nil {
		err = f.unsure.write(appendHeader(nil, receipt, nil))
	}
	if err == nil {
		err = f.sql.write([]byte(sqlHead(receipt)))
	}
	return f, err
}

// write puts a change into the files.
func (f *salvageFiles) write(c rowChange) error {
	changes, sql := f.changes, f.sql
	if c.op == deleteRow || c.op == countRow && c.count < c.was {
		changes, sql = f.deletedChanges, f.deletedSQL
		if f.table != c.pair {
			f.table = c.pair
			f.changeSpans = append(f.changeSpans, span{from: changes.size})
			f.sqlSpans = append(f.sqlSpans, span{from: sql.size})
		}
		defer func() {
			f.changeSpans[len(f.changeSpans)-1].to = changes.size
			f.sqlSpans[len(f.sqlSpans)-1].to = sql.size
		}()
	}
	f.scratch = c.appendJSON(f.scratch[:0])
	if err := changes.write(f.scratch); err != nil {
		return err
	}
	if c.op != insertRow {
		f.scratch = c.appendSQL(f.scratch[:0])
		return sql.write(f.scratch)
	}
	f.scratch = c.appendInsertion(f.scratch[:0])
	if err := sql.write(f.scratch); err != nil {
		return err
	}
	f.scratch = c.appendAgain(f.scratch[:0])
	return f.againSQL.write(f.scratch)
}

// finish puts the files together and onto the disk, and gives them their names,
// the first one last.
func (f *salvageFiles) finish(r SalvageReceipt) (SalvageReceipt, error) {
	err := errors.Join(
		f.changes.append(f.deletedChanges, f.changeSpans),
		f.sql.append(f.deletedSQL, f.sqlSpans),
		f.sql.append(f.againSQL, []span{{to: f.againSQL.size}}),
		f.sql.write([]byte(sqlTail)),
		f.dropped.complete(f.dropPath), f.unsure.complete(f.unsurePath), f.sql.complete(f.sqlPath), f.changes.complete(f.changesPath))
	if err == nil {
		err = (&directory{path: filepath.Dir(f.changesPath)}).sync()
	}
	if err != nil {
		return r, fmt.Errorf("write the changes: %w", err)
	}
	r.File, r.SHA256 = f.changesPath, f.changes.sum()
	r.SQLFile, r.SQLSHA256 = f.sqlPath, f.sql.sum()
	r.DroppedFile, r.DroppedSHA256 = f.dropPath, f.dropped.sum()
	r.UnsureFile, r.UnsureSHA256 = f.unsurePath, f.unsure.sum()
	return r, nil
}

// remove takes away whatever has not got its name.
func (f *salvageFiles) remove() {
	for _, file := range []*outFile{f.changes, f.sql, f.dropped, f.unsure, f.deletedChanges, f.deletedSQL, f.againSQL} {
		if file != nil {
			_ = file.file.Close()
			_ = os.Remove(file.file.Name())
		}
	}
}

// An outFile is a file of mode 0600 that is being written and summed up.
type outFile struct {
	file   *os.File
	buffer *bufio.Writer
	digest hash.Hash
	size   int64
}

// createFile makes the file, or makes anew what an interrupted call has left.
func createFile(path string) (*outFile, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("write the changes: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the changes: %w", err)
	}
	f := &outFile{file: file, digest: sha256.New()}
	f.buffer = bufio.NewWriterSize(io.MultiWriter(file, f.digest), 1<<16)
	return f, nil
}

func (f *outFile) write(text []byte) error {
	n, err := f.buffer.Write(text)
	f.size += int64(n)
	if err != nil {
		return fmt.Errorf("write the changes: %w", err)
	}
	return nil
}

// append adds the parts of another file, the last one first.
func (f *outFile) append(from *outFile, parts []span) error {
	if err := from.buffer.Flush(); err != nil {
		return err
	}
	for _, part := range slices.Backward(parts) {
		n, err := io.Copy(f.buffer, io.NewSectionReader(from.file, part.from, part.to-part.from))
		f.size += n
		if err != nil {
			return err
		}
	}
	return nil
}

// complete puts the file onto the disk and gives it its name.
func (f *outFile) complete(name string) error {
	if err := f.buffer.Flush(); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	if err := f.file.Close(); err != nil {
		return err
	}
	return os.Rename(f.file.Name(), name)
}

func (f *outFile) sum() string { return hex.EncodeToString(f.digest.Sum(nil)) }
