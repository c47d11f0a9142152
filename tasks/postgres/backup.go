package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Backup writes the whole database into one compressed file and proves that the
// file holds it: what is in the file is read back as a restore would read it,
// while it is being written, and every table and the large objects in it are
// compared with the moment of the database at which it was taken. A sequence
// belongs to no moment; it has to stand between where it stood before and after.
// The application may go on working meanwhile; schema changes wait. On Linux the
// file is read back from the disk, not from the system's memory.
//
// Beside the file lies its metadata, with a row count and a content hash for
// each table, and what the database consists of otherwise, for phasegate backup
// verify. Both are readable by their owner only, and get their names when they
// are whole, proven and on the disk. Roles are not in a backup, nor where logical
// replication slots stand.
type Backup struct {
	// DSN is the connection string of the application's database: the server's
	// own address, not a pooler's.
	DSN redact.Secret `with:"dsn,required"`

	// Directory is where backups are kept: a path, relative to the directory
	// in which phasegate was started. It is made if it is not there.
	Directory string `with:"directory,required"`

	// Level is what the file is compared by: full hashes every row on its way
	// from the server to pg_dump, and compares content; counts counts them there,
	// and compares their number only. Default full.
	Level Level `with:"level"`

	// KeepDays is for how many days backups of this database are kept. Older
	// ones are removed once a new one is proven. 0 keeps them however old they
	// are. Default 30. Nothing is removed but what this task has made of this
	// database of this server, as its metadata shows, and never the newest
	// proven one.
	KeepDays int `with:"keep_days"`

	// Keep is how many backups of this database are kept, the newest ones. 0
	// keeps any number. Default 0.
	Keep int `with:"keep"`

	// CopyTo is a second place for the backup: a directory, such as one on
	// another machine's disk, or s3://BUCKET/PREFIX. Both files are read back
	// from there and compared. What lies there is never removed.
	CopyTo string `with:"copy_to"`

	// CopyEndpoint is the address of storage that speaks S3's protocol. Default
	// https://s3.amazonaws.com.
	CopyEndpoint string `with:"copy_endpoint"`

	// CopyRegion is the bucket's region. Default us-east-1.
	CopyRegion string `with:"copy_region"`

	// CopyAccessKey is the id of the key for the bucket, from a secret variable.
	CopyAccessKey redact.Secret `with:"copy_access_key"`

	// CopySecretKey is the key for the bucket, from a secret variable.
	CopySecretKey redact.Secret `with:"copy_secret_key"`

	// Reserve is what has to stay free on the disk of the directory. Default
	// 1GB.
	Reserve task.Bytes `with:"reserve"`

	// LockWait is how long the backup waits for a table that a schema change
	// holds. Default 1m.
	LockWait time.Duration `with:"lock_wait"`

	// Recipients are whom the file is encrypted for, each by a public key of age
	// (age1...) or of SSH (ssh-ed25519, ssh-rsa). What is needed to restore is one
	// of their private keys, which does not belong on this machine. Default none:
	// the file is not encrypted.
	Recipients []string `with:"recipients"`

	// RecipientsFile has more of them, one a line; # begins a comment.
	RecipientsFile task.Path `with:"recipients_file"`

	// PlanDigest goes into the metadata: ${{ plan.digest }}.
	PlanDigest string `with:"plan_digest"`

	// RunID goes into the metadata and into the file's name: ${{ run.id }}.
	RunID string `with:"run"`

	// Commit goes into the metadata: the commit of the plan's repository.
	Commit string `with:"commit"`
}

// A BackupReceipt tells what was written.
type BackupReceipt struct {
	File     string `json:"file"`     // absolute path of the backup
	Metadata string `json:"metadata"` // absolute path of what is known of it
	Database string `json:"database"` // name of the database
	Snapshot string `json:"snapshot"` // pg_current_snapshot() of the moment: xmin:xmax:xip_list
	Bytes    int64  `json:"bytes"`    // size of the file
	Rows     int64  `json:"rows"`     // in all tables
	Tables   int64  `json:"tables"`   // number of tables
	SHA256   string `json:"sha256"`   // of the file
	Proven   bool   `json:"proven"`   // read back and equal to the database
	Removed  int64  `json:"removed"`  // number of older backups that were removed
	Copy     string `json:"copy"`     // where the copy lies, a path or s3://..., "" if there is none
	TookMS   int64  `json:"took_ms"`  // from the first look to the proof, in milliseconds

	MetadataSHA256 string `json:"metadata_sha256"` // of the metadata's file
}

// A Level is what a backup is compared by.
type Level string

// The levels.
const (
	Counts Level = "counts" // number of rows
	Full   Level = "full"   // number of rows and content
)

// UnmarshalText reads a level from a plan.
func (l *Level) UnmarshalText(text []byte) error {
	switch given := Level(text); given {
	case Counts, Full:
		*l = given
		return nil
	}
	return fmt.Errorf("%q is no level: write counts or full", text)
}

// Validate fails on values that make no sense.
func (b *Backup) Validate() error {
	switch {
	case b.Directory == "":
		return errors.New("directory is empty")
	case b.KeepDays < 0:
		return errors.New("keep_days is negative")
	case b.Keep < 0:
		return errors.New("keep is negative")
	case b.LockWait < time.Second:
		return errors.New("lock_wait is shorter than a second")
	}
	return b.validateCopy()
}

// Files returns the file of recipients, if there is one.
func (b *Backup) Files() []string {
	if b.RecipientsFile == "" {
		return nil
	}
	return []string{string(b.RecipientsFile)}
}

// Check looks at the server, the client programs, the privileges and the disk.
func (b *Backup) Check(ctx context.Context, _ *task.Env) error {
	with, err := b.look(ctx)
	with.close()
	return err
}

// means is what a backup is made with.
type means struct {
	conn          *pgx.Conn // to the database, in no transaction
	dump, restore tool
	size          task.Bytes // see archiveSize
}

func (m *means) close() {
	if m.conn != nil {
		pg.Close(m.conn)
	}
}

// look is Check, and returns what it found, which is to be closed also after an error.
func (b *Backup) look(ctx context.Context) (with means, err error) {
	if err := mayWrite(b.Directory); err != nil {
		return with, err
	}
	if _, err := b.allRecipients(); err != nil {
		return with, err
	}
	if b.CopyTo != "" && !strings.HasPrefix(b.CopyTo, "s3://") {
		if err := mayWrite(b.CopyTo); err != nil {
			return with, err
		}
		if samePlace(b.Directory, b.CopyTo) {
			return with, task.Hint(fmt.Errorf("copy_to is the directory of the backups itself: %s", b.CopyTo), "name another one, on another disk")
		}
	}
	err = together(ctx,
		func(ctx context.Context) (err error) { with.dump, with.restore, err = findTools(ctx); return err },
		func(ctx context.Context) (err error) {
			if with.conn, err = pg.ConnectSystem(ctx, b.DSN, ""); err != nil {
				return err
			}
			with.size, err = b.lookAtServer(ctx, with.conn)
			return err
		},
	)
	if err != nil {
		return with, err
	}
	if err := suit(ctx, with.conn, with.dump, with.restore); err != nil {
		return with, err
	}
	return with, room(b.Directory, with.size, b.Reserve)
}

// lookAtServer fails unless the database can be backed up, and returns how much there
// is to write: see archiveSize.
func (b *Backup) lookAtServer(ctx context.Context, conn *pgx.Conn) (task.Bytes, error) {
	if err := pg.Direct(ctx, conn); err != nil {
		return 0, err
	}
	if err := permitted(ctx, conn, conn.Config().Database, ForBackup); err != nil {
		return 0, err
	}
	if _, err := conn.Exec(ctx, "begin; "+pg.LockTimeout(b.LockWait)); err != nil {
		return 0, fmt.Errorf("begin to look at the tables: %w", err)
	}
	size, err := archiveSize(ctx, conn)
	if err != nil {
		return 0, err
	}
	if _, err := conn.Exec(ctx, "rollback"); err != nil {
		return 0, fmt.Errorf("end the look at the tables: %w", err)
	}
	return size, nil
}

// Run makes the backup, unless an earlier call of this step has.
func (b *Backup) Run(ctx context.Context, env *task.Env) (BackupReceipt, error) {
	started := time.Now()
	if ctx.Err() != nil {
		return BackupReceipt{}, context.Cause(ctx)
	}
	path, err := filepath.Abs(b.Directory)
	if err != nil {
		return BackupReceipt{}, fmt.Errorf("find the directory of backups: %w", err)
	}
	dir, err := openDirectory(path)
	if err != nil {
		return BackupReceipt{}, err
	}
	defer dir.close()
	if receipt, ok, err := b.finished(ctx, env); err != nil || ok {
		return receipt, err
	}
	with, err := b.look(ctx)
	defer with.close()
	if err != nil {
		return BackupReceipt{}, err
	}
	config, err := pg.Parse(b.DSN)
	if err != nil {
		return BackupReceipt{}, err
	}
	file := dir.name(config.Database, b.RunID, b.suffix(), started)
	// Saved first, so that a later call knows which file is its own.
	if err := env.Save(BackupReceipt{File: file, Metadata: file + metadataSuffix, Database: config.Database}); err != nil {
		return BackupReceipt{}, err
	}
	metadata, err := b.make(ctx, env, with, dir, file)
	if err != nil {
		return BackupReceipt{}, fmt.Errorf("back up database %s: %w", config.Database, err)
	}
	receipt, err := metadata.receipt(file)
	if err != nil {
		return receipt, err
	}
	receipt.Removed = dir.prune(metadata, b.KeepDays, b.Keep, env.Log)
	if b.CopyTo != "" {
		if receipt.Copy, err = b.copyAway(ctx, file); err != nil {
			return receipt, err
		}
	}
	receipt.TookMS = time.Since(started).Milliseconds()
	return receipt, env.Save(receipt)
}

// suffix is how the name of the backup's file ends.
func (b *Backup) suffix() string {
	if len(b.Recipients) > 0 || b.RecipientsFile != "" {
		return sealedSuffix
	}
	return archiveSuffix
}

// finished returns the receipt of the backup that an earlier call of this step
// made and that is still what it was. If only its copy is missing, that is made.
func (b *Backup) finished(ctx context.Context, env *task.Env) (BackupReceipt, bool, error) {
	saved, ok, err := task.Saved[BackupReceipt](env)
	if err != nil || !ok || saved.File == "" {
		return BackupReceipt{}, false, err
	}
	metadata, err := ReadMetadata(saved.File)
	if err != nil || !metadata.Proven {
		return BackupReceipt{}, false, nil
	}
	if sum, err := sha256File(saved.File); err != nil || sum != metadata.SHA256 {
		env.Log.Warn("the backup that an earlier call made is damaged or gone: another one is made", "file", saved.File)
		return BackupReceipt{}, false, nil
	}
	receipt, err := metadata.receipt(saved.File)
	if err != nil {
		return receipt, false, err
	}
	receipt.Removed, receipt.Copy, receipt.TookMS = saved.Removed, saved.Copy, saved.TookMS
	if b.CopyTo != "" && receipt.Copy == "" {
		if receipt.Copy, err = b.copyAway(ctx, saved.File); err != nil {
			return receipt, true, err
		}
		return receipt, true, env.Save(receipt)
	}
	return receipt, true, task.Skip("backed up to " + saved.File + " by an earlier call")
}

// make writes and proves the archive and gives it its name. What it leaves when
// it fails is removed.
func (b *Backup) make(ctx context.Context, env *task.Env, with means, dir *directory, file string) (m Metadata, err error) {
	partial := file + partialSuffix
	defer func() {
		if err != nil {
			_ = os.Remove(partial)
			_ = os.Remove(file + metadataSuffix + partialSuffix)
		}
	}()
	m, err = b.dump(ctx, env, with, partial)
	if err != nil {
		return m, err
	}
	m.File = filepath.Base(file)
	if err := m.write(file + metadataSuffix + partialSuffix); err != nil {
		return m, err
	}
	return m, dir.commit(file)
}
