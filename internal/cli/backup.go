package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	cluster "github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func (a *app) backup() *cobra.Command {
	command := &cobra.Command{Use: "backup", Short: "Prove backups that postgres/backup has made", Args: cobra.NoArgs}
	command.AddCommand(a.verifyBackup())
	return command
}

type verifyFlags struct {
	identity, dir string
	restore, json bool
}

func (a *app) verifyBackup() *cobra.Command {
	var flags verifyFlags
	command := &cobra.Command{
		Use:   "verify FILE",
		Short: "Prove that a backup still holds what the database held",
		Long: `Verify reads a backup from its first byte to its last and holds it against its
metadata, which lies beside it as FILE.json: the checksum of the file, and the
number and the content of the rows of each table, the sequences, and the large
objects. It needs no server, no program of PostgreSQL and no network.

With --restore it then restores the backup into a throwaway PostgreSQL, of the
major version that the backup was taken from, and compares everything with what
the database was: also indexes, constraints, functions, triggers, extensions,
privileges, owners, comments and settings. Nothing is left of it. That needs room
for the database on the disk of --dir, where its data is readable by its owner
only meanwhile.

Exit codes: 0 proven; 1 damaged, different, or it could not be restored; 2 wrong
call, or no such backup; 130 interrupted.`,
		Example: `  phasegate backup verify backups/app-20261122T215118Z.dump.zst
  phasegate backup verify backups/app-20261122T215118Z.dump.zst --restore
  phasegate backup verify backups/app-20261122T215118Z.dump.zst.age --identity key.txt --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := a.untilSignal(cmd.Context())
			defer stop()
			err := a.verifyOne(ctx, args[0], flags)
			if errors.Is(err, errInterrupted) {
				return fail(ExitInterrupted, errors.New("interrupted: nothing was proven"))
			}
			return err
		},
	}
	command.Flags().BoolVar(&flags.restore, "restore", false, "also restore it into a throwaway PostgreSQL and compare everything")
	command.Flags().StringVar(&flags.identity, "identity", "", "file of a private key (age or SSH) that an encrypted backup was encrypted for")
	command.Flags().StringVar(&flags.dir, "dir", "", "directory below which the throwaway PostgreSQL lies (default the system's for temporary files)")
	command.Flags().BoolVar(&flags.json, "json", false, "write what was found as JSON to standard output")
	return command
}

// A verification is what backup verify found, as --json prints it.
type verification struct {
	Version      int            `json:"version"`           // of this contract: 1
	File         string         `json:"file"`              // as it was named
	Database     string         `json:"database"`          // of which it is a backup
	TakenAt      time.Time      `json:"taken_at"`          // moment of the database that it holds
	Level        postgres.Level `json:"level"`             // what it was compared with the database by when it was made
	Bytes        int64          `json:"bytes"`             // size of the file
	SHA256       string         `json:"sha256"`            // that the file has to have
	Encrypted    bool           `json:"encrypted"`         // whether it is
	Tables       int            `json:"tables"`            // number of tables
	Rows         int64          `json:"rows"`              // in all of them
	Sequences    int            `json:"sequences"`         // number of sequences
	LargeObjects int64          `json:"large_objects"`     // number of large objects
	Proven       bool           `json:"proven"`            // the file holds what its metadata says
	Restored     bool           `json:"restored"`          // it was restored, and everything was compared
	Objects      map[string]int `json:"objects,omitempty"` // that were compared then, by kind
	Problem      string         `json:"problem,omitempty"` // why it is not proven
	Hint         string         `json:"hint,omitempty"`    // what to do
}

func (a *app) verifyOne(ctx context.Context, file string, flags verifyFlags) error {
	proof := postgres.Proof{}
	if flags.identity != "" {
		identities, err := postgres.ReadIdentities(flags.identity)
		if err != nil {
			return fail(ExitUsage, err)
		}
		proof.Identities = identities
	}
	m, err := postgres.ReadMetadata(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(ExitUsage, task.Hint(err, "name the file of a backup; its metadata has to lie beside it, with .json behind the name"))
	}
	if err == nil && m.Encryption != "" && flags.identity == "" {
		return fail(ExitUsage, task.Hint(fmt.Errorf("%s is encrypted", file), "name the file of a private key that it was encrypted for with --identity"))
	}
	found := describeBackup(file, m)
	if err == nil {
		err = a.prove(ctx, file, proof, flags, &found)
	}
	if errors.Is(err, errInterrupted) {
		return err
	}
	return a.printVerification(found, err, flags)
}

func describeBackup(file string, m postgres.Metadata) verification {
	return verification{
		Version: 1, File: file, Database: m.Database, TakenAt: m.TakenAt, Level: m.Level, Bytes: m.Bytes, SHA256: m.SHA256,
		Encrypted: m.Encryption != "", Tables: len(m.Tables), Rows: m.Rows, Sequences: len(m.Sequences), LargeObjects: m.LargeObjects.Count,
	}
}

// prove does what was asked for, and notes how far it came.
func (a *app) prove(ctx context.Context, file string, proof postgres.Proof, flags verifyFlags, found *verification) error {
	far := a.newMeter()
	defer far.close()
	proof.Progress, proof.Step = far.progress, far.begin
	far.begin("read it")
	m, err := postgres.Verify(ctx, file, proof)
	if err != nil {
		return err
	}
	found.Proven = m.Proven
	if !flags.restore {
		return nil
	}
	far.begin("start a throwaway PostgreSQL")
	server, err := cluster.Start(ctx, flags.dir)
	if err != nil {
		return err
	}
	defer func() {
		if err := server.Stop(); err != nil {
			a.log.Warn("the throwaway PostgreSQL is not gone", "error", err)
		}
	}()
	restored, err := postgres.VerifyRestored(ctx, file, proof, server.DSN)
	if err != nil {
		found.Proven = false
		return err
	}
	found.Restored, found.Objects = true, restored.Kinds
	return nil
}

func (a *app) printVerification(found verification, failure error, flags verifyFlags) error {
	if failure != nil {
		found.Problem, found.Hint = failure.Error(), task.HintOf(failure)
	}
	if flags.json {
		if err := json.NewEncoder(a.Out).Encode(found); err != nil {
			return fail(ExitFailed, fmt.Errorf("print what was found: %w", err))
		}
		if failure != nil {
			return fail(ExitFailed, nil)
		}
		return nil
	}
	if failure != nil {
		return fail(ExitFailed, fmt.Errorf("%s is not proven: %w", found.File, failure))
	}
	if err := a.printProof(found); err != nil {
		return fail(ExitFailed, fmt.Errorf("print what was found: %w", err))
	}
	return nil
}

func (a *app) printProof(v verification) error {
	fmt.Fprintf(a.Out, "backup of database %s, taken %s\n\n", v.Database, v.TakenAt.Format(time.DateTime+" UTC"))
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	row := func(what string, format string, values ...any) {
		fmt.Fprintf(table, "fits\t%s\t%s\n", what, fmt.Sprintf(format, values...))
	}
	encrypted := ""
	if v.Encrypted {
		encrypted = ", encrypted"
	}
	row("file", "%s%s, SHA-256 %s", task.Bytes(v.Bytes), encrypted, v.SHA256)
	row("tables", "%d, with %d rows: number and content", v.Tables, v.Rows)
	row("sequences", "%d", v.Sequences)
	row("large objects", "%d", v.LargeObjects)
	for _, kind := range slices.Sorted(maps.Keys(v.Objects)) {
		row("restored", "%s: %d", kind, v.Objects[kind])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	verdict := "proven: the file holds what the database held"
	if v.Restored {
		verdict = "proven: restored into a throwaway PostgreSQL, it is what the database was"
	}
	_, err := fmt.Fprintf(a.Out, "\n%s\n", verdict)
	return err
}

// A meter shows at a terminal how far a reading is.
type meter struct {
	app   *app
	what  string
	shown time.Time
}

func (a *app) newMeter() *meter { return &meter{app: a} }

// begin tells what is done next.
func (m *meter) begin(what string) {
	m.what = what
	m.shown = time.Time{}
	m.show(what)
}

func (m *meter) progress(done, total int64) {
	if total > 0 && time.Since(m.shown) > 100*time.Millisecond {
		m.show(strings.Join([]string{m.what, bar(done, total), count(done, "bytes"), "of", count(total, "bytes")}, " "))
	}
}

func (m *meter) show(line string) {
	if m.app.Live {
		m.shown = time.Now()
		fmt.Fprint(m.app.Err, "\r\x1b[K"+line)
	}
}

// close leaves an empty line.
func (m *meter) close() { m.show("") }
