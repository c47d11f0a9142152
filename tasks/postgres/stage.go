package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Stage makes a second database beside the live one, on the same server, to go
// back to: postgres/swap puts it in the live one's place in milliseconds. It has
// the live one's owner, privileges, settings, comment and connection limit; it
// is closed to connections, so that nothing changes it.
//
// It is made under another name, and gets its own when it is complete and
// compared. What a killed run has left of one is dropped by the next call. The
// server needs room for the database twice.
//
// A database with logical replication slots, subscriptions, prepared
// transactions or pg_cron's own jobs is refused: they belong to it and not to its
// name, and would stay with it when the copy takes its place. Publications and
// statistics are in the copy. Foreign servers and cron jobs that name the database
// reach whichever has the name; the receipt lists them.
type Stage struct {
	// DSN is the connection string of the live database: the server's own
	// address, not a pooler's.
	DSN redact.Secret `with:"dsn,required"`

	// Method is how the copy is made. template copies the live database as it
	// is now, so that not a single write is lost, but nobody may be connected
	// to it meanwhile: stop the application first. restore reads a backup, so
	// that writes since then are not in the copy. auto takes template, and
	// restore where that does not work out and a backup is given. Default auto.
	Method Method `with:"method"`

	// Backup is the file of the backup to restore: ${{ steps.ID.file }} of a
	// postgres/backup step.
	Backup string `with:"backup"`

	// Identity is the file of a private key, of age or SSH, that the backup was
	// encrypted for. Only method restore of an encrypted backup needs it.
	Identity string `with:"identity"`

	// Wait is how long sessions have to leave the live database before it is
	// copied. They are not ended. Default 30s.
	Wait time.Duration `with:"wait"`

	// RunID makes the copy's name, DATABASE_pre_RUN: ${{ run.id }}. The time is
	// taken if it is empty.
	RunID string `with:"run"`
}

// A StageReceipt names the copy.
type StageReceipt struct {
	Database string   `json:"database,omitempty"` // name of the copy, not there until it is complete
	Building string   `json:"building"`           // name of the copy until it is complete, "" then
	Live     string   `json:"live"`               // name of the database that it is a copy of
	Method   string   `json:"method"`             // template or restore
	Why      string   `json:"why"`                // why that method
	Snapshot string   `json:"snapshot"`           // the moment of the live database that the copy holds, as xmin:xmax:xip_list: a write that it does not hold is none of a transaction before xmin
	Pointers []string `json:"pointers"`           // what names the live database, and will reach the copy in its place
	Bytes    int64    `json:"bytes"`              // size of the copy on the server's disk
	Tables   int64    `json:"tables"`             // number of tables that were compared
	TookMS   int64    `json:"took_ms"`            // milliseconds
}

// A Method is how a copy of a database is made.
type Method string

// The methods.
const (
	Auto     Method = "auto"
	Template Method = "template"
	Restore  Method = "restore"
)

// UnmarshalText reads a method from a plan.
func (m *Method) UnmarshalText(text []byte) error {
	switch given := Method(text); given {
	case Auto, Template, Restore:
		*m = given
		return nil
	}
	return fmt.Errorf("%q is no method: write auto, template or restore", text)
}

// Validate fails on a combination that cannot work.
func (s *Stage) Validate() error {
	switch {
	case s.Method == Restore && s.Backup == "":
		return task.Hint(errors.New("method restore has no backup to restore"), "set backup to the file of a postgres/backup step")
	case s.Wait < 0:
		return errors.New("wait is negative")
	}
	return nil
}

// Check looks whether the role may create the copy. Sessions are not looked at:
// the application is running until an earlier step stops it.
func (s *Stage) Check(ctx context.Context, _ *task.Env) error {
	config, err := pg.Parse(s.DSN)
	if err != nil {
		return err
	}
	conn, err := pg.ConnectSystem(ctx, s.DSN, pg.Maintenance)
	if err != nil {
		return err
	}
	defer pg.Close(conn)
	_, err = s.ready(ctx, conn, config.Database)
	return err
}

// ready returns the live database if it can be copied.
func (s *Stage) ready(ctx context.Context, conn *pgx.Conn, name string) (database, error) {
	if err := pg.Direct(ctx, conn); err != nil {
		return database{}, err
	}
	if _, err := serverMajor(ctx, conn); err != nil {
		return database{}, err
	}
	live, err := lookUp(ctx, conn, name)
	if err != nil {
		return live, err
	}
	if !live.found {
		return live, task.Hint(fmt.Errorf("there is no database %s", name), "check the database name at the end of the connection string")
	}
	if err := permitted(ctx, conn, name, ForStage); err != nil {
		return live, err
	}
	if err := stageable(ctx, conn, live.name); err != nil {
		return live, err
	}
	if s.Method != Restore {
		return live, nil
	}
	_, err = findTool(ctx, "pg_restore")
	return live, err
}

// Run makes the copy, unless an earlier call of this step has.
func (s *Stage) Run(ctx context.Context, env *task.Env) (StageReceipt, error) {
	started := time.Now()
	config, err := pg.Parse(s.DSN)
	if err != nil {
		return StageReceipt{}, err
	}
	lock, err := pg.Acquire(ctx, s.DSN)
	if err != nil {
		return StageReceipt{}, err
	}
	defer lock.Release()
	conn := lock.Conn()
	saved, done, err := s.earlier(ctx, conn, env)
	if err != nil || done {
		return saved, err
	}
	live, err := s.ready(ctx, conn, config.Database)
	if err != nil {
		return StageReceipt{}, err
	}
	receipt := StageReceipt{Building: saved.Building, Live: live.name}
	if receipt.Pointers, err = pointing(ctx, s.DSN, conn, live.name); err != nil {
		return StageReceipt{}, err
	}
	c := &copying{stage: s, env: env, conn: conn, live: live}
	if err := c.begin(ctx, &receipt, started); err != nil {
		return StageReceipt{}, err
	}
	if err := c.build(ctx, &receipt); err != nil {
		return StageReceipt{}, fmt.Errorf("stage a copy of database %s: %w", live.name, err)
	}
	receipt.TookMS = time.Since(started).Milliseconds()
	if err := c.finish(ctx, receipt); err != nil {
		return StageReceipt{}, err
	}
	return receipt.complete(), nil
}

// complete is the receipt of a copy that has its own name.
func (r StageReceipt) complete() StageReceipt {
	r.Database, r.Building = strings.TrimSuffix(r.Building, building), ""
	return r
}

// earlier returns what an earlier call saved, and whether it made the copy: the
// copy has its name only when it is complete.
func (s *Stage) earlier(ctx context.Context, conn *pgx.Conn, env *task.Env) (StageReceipt, bool, error) {
	saved, ok, err := task.Saved[StageReceipt](env)
	if err != nil || !ok || saved.Database+saved.Building == "" {
		return StageReceipt{}, false, err
	}
	made := saved
	if saved.Building != "" {
		made = saved.complete()
	}
	staged, err := lookUp(ctx, conn, made.Database)
	if err != nil || !staged.found {
		saved.Building = made.Database + building
		return saved, false, err
	}
	return made, true, task.Skip("staged as " + made.Database + " by an earlier call")
}

// copyKind stands between the names of the database and of the run.
const copyKind = "_pre_"

// building is the name of a copy that is not complete yet.
const building = "_new"

// freeName returns a name for the copy that no database has, nor the one that
// the copy has until it is complete.
func (s *Stage) freeName(ctx context.Context, conn *pgx.Conn, live string, now time.Time) (string, error) {
	for i := 1; ; i++ {
		name := companion(live, copyKind, s.RunID, now, i)
		free, err := unused(ctx, conn, name, name+building)
		if err != nil || free {
			return name, err
		}
	}
}

// companion returns the nth name of the form DATABASE_KIND_RUN, with the time
// where there is no run. It leaves room for what is put behind it.
func companion(live, kind, run string, now time.Time, n int) string {
	suffix := short(run)
	if suffix == "" {
		suffix = now.UTC().Format("20060102_150405")
	}
	if n > 1 {
		suffix = fmt.Sprintf("%s_%d", suffix, n)
	}
	return beside(live, kind+suffix)
}

// unused tells whether no database has one of the names.
func unused(ctx context.Context, conn *pgx.Conn, names ...string) (bool, error) {
	for _, name := range names {
		d, err := lookUp(ctx, conn, name)
		if err != nil || d.found {
			return false, err
		}
	}
	return true, nil
}
