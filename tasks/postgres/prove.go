package postgres

import (
	"context"
	"errors"
	"fmt"

	"filippo.io/age"

	"github.com/medlogistics/phasegate/internal/pg"
	format "github.com/medlogistics/phasegate/internal/pg/archive"
)

// ErrDamaged is wrapped by the error of a backup that is no longer the file that
// was written.
var ErrDamaged = errors.New("the backup is damaged")

// ErrDiffers is wrapped by the error of a backup that holds something else than
// its metadata says.
var ErrDiffers = errors.New("it is not what the database held")

// A Proof says how a backup is to be proven.
type Proof struct {
	Identities []age.Identity          // for one that is encrypted
	Progress   func(done, total int64) // bytes of the file that were read, of how many
	Step       func(what string)       // what is done next; nil: not told
}

// Verify proves a backup that was made earlier, without a server: the file has
// its checksum, and every table, sequence and large object in it is what the
// metadata says, row by row. The error wraps [ErrDamaged] if the file is not what
// it was, and [ErrDiffers] if it holds something else.
func Verify(ctx context.Context, file string, proof Proof) (Metadata, error) {
	m, err := ReadMetadata(file)
	if err != nil {
		return m, err
	}
	m.Proven = false
	source, err := openArchive(file, m, proof.Identities, func(n int64) { proof.Progress(n, m.Bytes) })
	if err != nil {
		return m, err
	}
	defer source.Close()
	contents, err := format.Read(source)
	if err := source.verify(ctx, err, m.SHA256); err != nil {
		return m, fmt.Errorf("prove the backup: %w", err)
	}
	return m, m.prove(contents, pg.SequenceDifferences(m.Sequences, contents.Sequences))
}

// prove compares what was read from the archive with what the metadata says, and
// fills in what only the archive tells: the content of what was only counted in
// the snapshot, and where the sequences stand. Only then is the backup proven.
func (m *Metadata) prove(contents format.Contents, differences []string) error {
	differences = append(pg.Differences(m.Tables, contents.Tables), differences...)
	if d := m.LargeObjects.Differ(contents.Large); d != "" {
		differences = append(differences, d)
	}
	if err := differ("the backup", differences); err != nil {
		return err
	}
	m.Rows = 0
	hashes := map[string]string{}
	for _, t := range contents.Tables {
		m.Rows += t.Rows
		hashes[t.String()] = t.Hash
	}
	for i := range m.Tables {
		m.Tables[i].Hash = hashes[m.Tables[i].String()]
	}
	m.Sequences, m.LargeObjects = contents.Sequences, contents.Large
	m.Proven = true
	return nil
}
