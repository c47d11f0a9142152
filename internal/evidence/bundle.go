package evidence

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/medlogistics/phasegate/runner/plan"
)

// A Bundle is an open bundle in which every byte is as it was when it was packed.
type Bundle struct {
	Manifest Manifest

	file *os.File
	zip  *zip.Reader
	sum  string // SHA-256 of the whole file, in hex
}

// Open opens a bundle and holds that it is whole: the seal over its bytes, that
// its entries are those of the manifest and no others, and the hash of each.
// Nothing is unpacked. The error wraps fs.ErrNotExist if there is no such file.
func Open(ctx context.Context, path string) (*Bundle, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	b := &Bundle{file: file}
	if err := b.read(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bundle %s: %w", path, err), file.Close())
	}
	return b, nil
}

// Close closes the file.
func (b *Bundle) Close() error { return b.file.Close() }

func (b *Bundle) read(ctx context.Context) error {
	info, err := b.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	if err := b.unsealed(ctx, info.Size()); err != nil {
		return err
	}
	if b.zip, err = zip.NewReader(b.file, info.Size()); err != nil {
		return fmt.Errorf("it is no zip file: %w", err)
	}
	if err := b.readManifest(); err != nil {
		return err
	}
	if err := b.listed(); err != nil {
		return err
	}
	for i, entry := range b.Manifest.Entries {
		if err := b.whole(ctx, b.zip.File[i], entry); err != nil {
			return fmt.Errorf("entry %s: %w", entry.Name, err)
		}
	}
	return nil
}

// unsealed holds that the bytes are those that the file was sealed with.
func (b *Bundle) unsealed(ctx context.Context, size int64) error {
	end := make([]byte, len(comment)+digits)
	if size < int64(len(end)) {
		return errors.New("it is no bundle of phasegate, or was cut off")
	}
	if _, err := b.file.ReadAt(end, size-int64(len(end))); err != nil {
		return err
	}
	if !bytes.HasPrefix(end, []byte(comment)) {
		return errors.New("it is no bundle of phasegate in format " + Format + ", or was cut off")
	}
	sum, err := seal(ctx, b.file, size)
	if err != nil {
		return err
	}
	if sum != string(end[len(comment):]) {
		return errors.New("it was altered: its bytes do not have the SHA-256 that it ends with")
	}
	b.sum, err = sumOf(ctx, io.NewSectionReader(b.file, 0, size))
	return err
}

func (b *Bundle) readManifest() error {
	switch n := len(b.zip.File); {
	case n > maxEntries+1:
		return fmt.Errorf("it has %d entries, more than %d", n, maxEntries+1)
	case n == 0 || b.zip.File[n-1].Name != manifestName:
		return errors.New("its last entry is not its manifest")
	}
	text, err := b.content(b.zip.File[len(b.zip.File)-1])
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	if err := json.Unmarshal(text, &b.Manifest); err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	if b.Manifest.Format != Format {
		return fmt.Errorf("its manifest is of format %q, not %q", b.Manifest.Format, Format)
	}
	return nil
}

// listed holds that the entries are those of the manifest, each once, in its
// order, under names that lead nowhere else, and that the needed ones are there.
func (b *Bundle) listed() error {
	entries := b.Manifest.Entries
	if len(entries) < 2 || entries[0].Name != journalName || entries[1].Name != planName {
		return errors.New("it does not begin with the journal and the plan")
	}
	if len(entries) != len(b.zip.File)-1 {
		return fmt.Errorf("it has %d entries, and its manifest lists %d", len(b.zip.File)-1, len(entries))
	}
	seen := map[string]bool{manifestName: true}
	for i, entry := range entries {
		file := b.zip.File[i]
		switch {
		case !validName(file.Name):
			return fmt.Errorf("entry %q has a name that could lead out of a directory", file.Name)
		case file.Name != entry.Name:
			return fmt.Errorf("entry %s is not the one that the manifest lists there, %q", file.Name, entry.Name)
		case seen[strings.ToLower(file.Name)]:
			return fmt.Errorf("entry %s is there twice", file.Name)
		case !file.Mode().IsRegular():
			return fmt.Errorf("entry %s is not a file", file.Name)
		case entry.Role != roleAt(i, entry):
			return fmt.Errorf("entry %s has the role %q, which cannot be there", file.Name, entry.Role)
		}
		seen[strings.ToLower(file.Name)] = true
	}
	return nil
}

// roleAt is the only role that the i-th entry can have.
func roleAt(i int, e Entry) string {
	switch {
	case i == 0:
		return roleJournal
	case i == 1:
		return rolePlan
	case e.Step == "":
		return roleFile
	}
	return roleArtifact
}

// whole holds that an entry has the size and the hash that the manifest says.
func (b *Bundle) whole(ctx context.Context, file *zip.File, e Entry) error {
	if file.UncompressedSize64 > maxEntry {
		return fmt.Errorf("it is larger than %d bytes", maxEntry)
	}
	if e.Bytes < 0 || file.UncompressedSize64 != uint64(e.Bytes) {
		return fmt.Errorf("it has %d bytes, and the manifest says %d", file.UncompressedSize64, e.Bytes)
	}
	r, err := file.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	sum, err := sumOf(ctx, r)
	if err != nil {
		return err
	}
	if sum != e.SHA256 {
		return fmt.Errorf("its SHA-256 is %s, and the manifest says %s", sum, e.SHA256)
	}
	return nil
}

// content reads an entry into memory.
func (b *Bundle) content(file *zip.File) ([]byte, error) {
	if file.UncompressedSize64 > maxEntry {
		return nil, fmt.Errorf("it is larger than %d bytes", maxEntry)
	}
	r, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r) // a zip reader returns no more than the size that it was asked for
}

// Look audits the run from what is in the bundle alone. It may be expected to have
// an event, or as a whole a SHA-256, that was noted elsewhere; "" if none was.
func (b *Bundle) Look(ctx context.Context, expect string) (*Report, error) {
	text, err := b.content(b.zip.File[0])
	if err != nil {
		return nil, err
	}
	record := Record{Run: b.Manifest.Run, Lines: lines(text), Files: b, Plan: b.plan()}
	if expect != b.sum {
		record.Expect = expect
	}
	report, err := Look(ctx, record)
	if err != nil {
		return nil, err
	}
	report.Bundle = b.sum
	if expect == b.sum {
		report.Findings = append(report.Findings, Finding{What: "expected", Result: Fits, Detail: "the bundle has the SHA-256 that was noted"})
	}
	report.Findings = append(report.Findings, b.Manifest.fits(report, record))
	report.Fits = report.Count(Differs) == 0
	return report, nil
}

// lines splits a journal. What follows the last newline is a line too, which is
// for the chain to judge.
func lines(text []byte) [][]byte {
	text = bytes.TrimSuffix(text, []byte("\n"))
	if len(text) == 0 {
		return nil
	}
	return bytes.Split(text, []byte("\n"))
}

// plan computes the digest of the plan from the bundle's own entries: the hash of
// each was held against its content when it was opened.
func (b *Bundle) plan() Plan {
	p := Plan{Path: planName}
	src, err := b.content(b.zip.File[1])
	if err != nil {
		p.Broken = err
		return p
	}
	sums := map[string][sha256.Size]byte{}
	p.Lists = Lists{}
	for i, entry := range b.Manifest.Entries {
		if entry.Role != roleFile {
			continue
		}
		if entry.Bytes <= maxList {
			if content, err := b.content(b.zip.File[i]); err == nil {
				p.Lists.add(entry.Of, content)
			}
		}
		if sums[entry.Of], err = sumsOf(entry); err != nil {
			p.Broken = err
			return p
		}
	}
	p.Digest = plan.Digest(src, sums)
	return p
}

// find opens the entry of a receipt's file.
func (b *Bundle) find(c claim) (fs.File, error) {
	for _, entry := range b.Manifest.Entries {
		if entry.Role == roleArtifact && entry.Step == c.step && entry.Field == c.field {
			return b.zip.Open(entry.Name)
		}
	}
	for _, left := range b.Manifest.LeftOut {
		if left.Step == c.step && left.Field == c.field {
			return nil, fmt.Errorf("it was left out of the bundle: %s", left.Why)
		}
	}
	return nil, fs.ErrNotExist
}

// kept is false: a bundle has no run's directory.
func (b *Bundle) kept(claim) bool { return false }
