package evidence

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// Pack writes the bundle of a run to a new file of mode 0600: the journal's lines
// as they are, the plan, every file in its digest, and the artifacts that its
// receipts name, but for the data of a backup. The same record makes the same
// bytes. The file gets its name when it is whole, on the disk, and was looked at
// as [Open] and [Bundle.Look] do; the report is what they say.
func Pack(ctx context.Context, to string, r Record, p *plan.Plan, version string) (report *Report, err error) {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("write bundle %s: %w", to, cmp.Or(err, fs.ErrExist))
	}
	file, err := partial(to)
	if err != nil {
		return nil, fmt.Errorf("write bundle %s: %w", to, err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = os.Remove(file.Name())
			report, err = nil, fmt.Errorf("write bundle %s: %w", to, err)
		}
	}()
	if err := pack(ctx, file, r, p, version); err != nil {
		return nil, err
	}
	if report, err = lookAt(ctx, file.Name()); err != nil {
		return nil, err
	}
	if first := report.First(); first != nil {
		return nil, fmt.Errorf("what was packed does not fit: %s: %s", first.What, first.Detail)
	}
	if err := os.Rename(file.Name(), to); err != nil {
		return nil, err
	}
	return report, syncDir(filepath.Dir(to))
}

func lookAt(ctx context.Context, path string) (*Report, error) {
	bundle, err := Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer bundle.Close()
	return bundle.Look(ctx, "")
}

// pack writes the whole of a bundle and syncs it.
func pack(ctx context.Context, file *os.File, r Record, p *plan.Plan, version string) error {
	events, err := journal.Verify(r.Run, r.Lines)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return fmt.Errorf("run %s has no events", r.Run)
	}
	last := len(events) - 1
	w := &packer{zip: zip.NewWriter(file), at: events[last].Time, manifest: Manifest{
		Format: Format, Version: version, Run: r.Run, Plan: events[0].Plan, Digest: events[0].Digest,
		Events: events[last].Seq, Last: hexSum(r.Lines[last]), LeftOut: []Left{},
	}}
	lines := append(bytes.Join(r.Lines, []byte("\n")), '\n')
	if err := w.add(ctx, Entry{Name: journalName, Role: roleJournal}, bytes.NewReader(lines)); err != nil {
		return err
	}
	if err := w.plan(ctx, p); err != nil {
		return err
	}
	for _, c := range claims(events) {
		if err := w.artifact(ctx, c, r); err != nil {
			return err
		}
	}
	if err := w.finish(); err != nil {
		return err
	}
	return sealed(ctx, file)
}

// sealed puts the digits at the end and the file onto the disk.
func sealed(ctx context.Context, file *os.File) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	sum, err := seal(ctx, file, size)
	if err != nil {
		return err
	}
	if _, err := file.WriteAt([]byte(sum), size-digits); err != nil {
		return err
	}
	return file.Sync()
}

// A packer writes entries and notes them in the manifest.
type packer struct {
	zip      *zip.Writer
	at       time.Time // of every entry: the last event's
	manifest Manifest
}

func (w *packer) create(name string) (io.Writer, error) {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: w.at.UTC().Truncate(time.Second)}
	header.SetMode(0o600)
	return w.zip.CreateHeader(header)
}

// add writes an entry and completes what the manifest says of it.
func (w *packer) add(ctx context.Context, e Entry, content io.Reader) error {
	if !validName(e.Name) {
		return fmt.Errorf("%q cannot be an entry's name", e.Name)
	}
	to, err := w.create(e.Name)
	if err != nil {
		return err
	}
	h := sha256.New()
	e.Bytes, err = io.Copy(io.MultiWriter(to, h), io.LimitReader(&until{ctx, content}, maxEntry+1))
	if err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	if e.Bytes > maxEntry {
		return fmt.Errorf("%s is larger than %d bytes", e.Name, maxEntry)
	}
	e.SHA256 = hex.EncodeToString(h.Sum(nil))
	w.manifest.Entries = append(w.manifest.Entries, e)
	return nil
}

// plan adds the plan and the files of its digest, in the order of their names.
func (w *packer) plan(ctx context.Context, p *plan.Plan) error {
	if err := w.addFile(ctx, Entry{Name: planName, Role: rolePlan}, p.Path); err != nil {
		return err
	}
	files := p.Named()
	for i, of := range slices.Sorted(maps.Keys(files)) {
		entry := Entry{Name: nameOfFile(i+1, of), Role: roleFile, Of: of}
		if err := w.addFile(ctx, entry, files[of]); err != nil {
			return err
		}
	}
	return nil
}

func (w *packer) addFile(ctx context.Context, e Entry, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return w.add(ctx, e, file)
}

// artifact adds the file of a receipt, or says why not.
func (w *packer) artifact(ctx context.Context, c claim, r Record) error {
	leave := func(why string) error {
		w.manifest.LeftOut = append(w.manifest.LeftOut, Left{Step: c.step, Field: c.field, Why: why})
		return nil
	}
	if c.field == "file" || strings.HasSuffix(c.field, "_file") {
		return leave("the data itself is never part of a bundle")
	}
	if !r.Files.kept(c) && c.about == "" {
		return leave("it is not in the run's directory")
	}
	switch finding, err := c.look(ctx, r.Files); {
	case err != nil:
		return err
	case finding.Result == Missing:
		return leave(finding.Detail)
	case finding.Result == Differs:
		return fmt.Errorf("%s of step %s: %s", c.field, c.step, finding.Detail)
	}
	file, err := r.Files.find(c)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() > MaxArtifact {
		return leave(fmt.Sprintf("it has %d bytes, more than the %d that a bundle takes", info.Size(), MaxArtifact))
	}
	entry := Entry{Name: nameOfArtifact(c), Role: roleArtifact, Step: c.step, Field: c.field}
	if !validName(entry.Name) {
		entry.Name = strings.TrimSuffix(entry.Name, filepath.Ext(entry.Name))
	}
	return w.add(ctx, entry, io.LimitReader(file, info.Size()))
}

// finish adds the manifest, and a comment whose last digits are still to come.
func (w *packer) finish() error {
	to, err := w.create(manifestName)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(w.manifest); err != nil {
		return err
	}
	if err := w.zip.SetComment(comment + strings.Repeat("0", digits)); err != nil {
		return err
	}
	return w.zip.Close()
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
