package postgres

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// Metadata is what is known of a backup. It lies beside the backup's file, under
// the same name with ".json" behind it, and a backup without it does not count.
type Metadata struct {
	Format        string            `json:"format"`                // "phasegate-backup/3"
	Database      string            `json:"database"`              // its name when the backup was taken
	Server        string            `json:"server"`                // system identifier of its cluster, "" if the role may not see it
	ServerVersion string            `json:"server_version"`        // such as 15.18
	LogicalSlots  []string          `json:"logical_slots"`         // names of its logical replication slots; not in the archive
	Encoding      string            `json:"encoding"`              // of the text in the archive
	Snapshot      string            `json:"snapshot"`              // pg_current_snapshot(): xmin:xmax:xip_list
	TakenAt       time.Time         `json:"taken_at"`              // by the server's clock, UTC
	File          string            `json:"file"`                  // name of the file, without a directory
	Archive       string            `json:"archive"`               // "pg_dump custom, zstd"
	Bytes         int64             `json:"bytes"`                 // size of the file
	ArchiveBytes  int64             `json:"archive_bytes"`         // size of the archive before compression
	SHA256        string            `json:"sha256"`                // of the file, as it was read back from the disk
	Level         Level             `json:"level"`                 // what the snapshot was compared by
	Proven        bool              `json:"proven"`                // read back and equal to the snapshot
	Rows          int64             `json:"rows"`                  // in all tables
	Tables        []pg.Table        `json:"tables"`                // by schema and name
	Sequences     []pg.Sequence     `json:"sequences"`             // by name; where a restore sets them
	LargeObjects  pg.LargeObjects   `json:"large_objects"`         // all of them
	Objects       []pg.Object       `json:"objects"`               // what the database consists of beside its rows
	Roles         []string          `json:"roles"`                 // that own something or have privileges; not in the archive
	Encryption    string            `json:"encryption,omitempty"`  // "age" if the file is encrypted
	Recipients    int               `json:"recipients,omitempty"`  // number of those it is encrypted for
	PlanDigest    string            `json:"plan_digest,omitempty"` // of the plan that made it
	Run           string            `json:"run,omitempty"`         // id of the run that made it
	Commit        string            `json:"commit,omitempty"`      // of the plan's repository
	Tools         map[string]string `json:"tools"`                 // versions of pg_dump, pg_restore and phasegate
	Seal          string            `json:"seal"`                  // SHA-256 of the metadata's file with zeros for these 64 digits
}

const (
	metadataFormat = "phasegate-backup/3" // in 1, tables were hashed in another way; in 2, other objects were listed
	archiveFormat  = "pg_dump custom, zstd"
	metadataSuffix = ".json"
)

// ReadMetadata reads what is known of the backup in file.
func ReadMetadata(file string) (Metadata, error) {
	var m Metadata
	raw, err := os.ReadFile(file + metadataSuffix)
	if err != nil {
		return Metadata{}, fmt.Errorf("read the metadata of a backup: %w", err)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return Metadata{}, damagedMetadata(file, err)
	}
	if m.Format != metadataFormat {
		return Metadata{}, task.Hint(fmt.Errorf("read the metadata %s: the format is %q, not %q", file+metadataSuffix, m.Format, metadataFormat),
			"use the version of phasegate that made it, or restore it by hand, as docs/backup.md says")
	}
	if m.File != filepath.Base(file) {
		return Metadata{}, fmt.Errorf("read the metadata %s: it belongs to %q", file+metadataSuffix, m.File)
	}
	if !bearsSeal(raw, m.Seal) {
		return Metadata{}, damagedMetadata(file, errors.New("its seal is not its own"))
	}
	return m, nil
}

func damagedMetadata(file string, cause error) error {
	return task.Hint(fmt.Errorf("%w: read the metadata %s: %w", ErrDamaged, file+metadataSuffix, cause),
		"make another backup; look at the disk if it happens again")
}

// unsealed stands where the seal will be.
var unsealed = strings.Repeat("0", 2*sha256.Size)

// wholeMetadata tells whether it is a metadata file's content and all of it.
func wholeMetadata(raw []byte) bool {
	var m Metadata
	return json.Unmarshal(raw, &m) == nil && bearsSeal(raw, m.Seal)
}

// bearsSeal tells whether it is the metadata's own seal, which is the last value.
func bearsSeal(raw []byte, own string) bool {
	at := bytes.LastIndex(raw, []byte(own))
	if at < 0 {
		return false
	}
	whole := bytes.Clone(raw)
	copy(whole[at:], unsealed)
	return seal(whole) == own
}

// seal is the checksum of the metadata's file while it is unsealed.
func seal(raw []byte) string {
	digest := sha256.Sum256(raw)
	return hex.EncodeToString(digest[:])
}

// write puts the metadata into a new file of mode 0600 and onto the disk.
func (m Metadata) write(path string) (err error) {
	m.Seal = unsealed
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the metadata: %w", err)
	}
	raw = append(raw, '\n')
	at := bytes.LastIndex(raw, []byte(unsealed)) // it is the last value
	copy(raw[at:], seal(raw))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the metadata: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(raw); err != nil {
		return fmt.Errorf("write the metadata: %w", err)
	}
	return file.Sync()
}

// receipt is the metadata, which lies beside file, as the step that made the
// backup reports it.
func (m Metadata) receipt(file string) (BackupReceipt, error) {
	sum, err := sha256File(file + metadataSuffix)
	if err != nil {
		return BackupReceipt{}, fmt.Errorf("read the metadata of a backup: %w", err)
	}
	return BackupReceipt{
		File: file, Metadata: file + metadataSuffix, MetadataSHA256: sum, Database: m.Database, Snapshot: m.Snapshot,
		Bytes: m.Bytes, Rows: m.Rows, Tables: int64(len(m.Tables)), SHA256: m.SHA256, Proven: m.Proven,
	}, nil
}

// toolVersions names the programs that made a backup.
func toolVersions(dump, restore tool) map[string]string {
	versions := map[string]string{"pg_dump": dump.version, "pg_restore": restore.version, "phasegate": "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		versions["phasegate"] = strings.Trim(info.Main.Version, "()")
	}
	return versions
}
