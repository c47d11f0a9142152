package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/runner/journal"
)

// A stage is the flagship plan on a sandbox, run by the real program.
type stage struct {
	testing.TB
	box  *sandbox.Sandbox
	dir  string // where phasegate is called
	plan string

	environ []string // beside the sandbox's
}

func newStage(t *testing.T, users int, limits auth0.Plan) *stage {
	t.Helper()
	return stageOf(t, "auth0-migration", sandbox.Options{Users: users, Unmigratable: true, Plan: limits})
}

// stageOf is a plan that ships, on a sandbox like that.
func stageOf(t testing.TB, name string, o sandbox.Options) *stage {
	t.Helper()
	self, err := exec.LookPath("phasegate")
	if err != nil {
		t.Fatal(err)
	}
	o.Self, o.Log = self, slog.New(slog.DiscardHandler)
	box, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	return &stage{TB: t, box: box, dir: dir, plan: unattended(t, name, dir)}
}

// unattended writes a copy of a plan that ships, without the gates that only a
// person opens: nobody is at the terminal of a test.
func unattended(t testing.TB, name, dir string) string {
	t.Helper()
	text, err := os.ReadFile("../../plans/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var plan map[string]any
	if err := yaml.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	for _, phase := range plan["phases"].([]any) {
		phase := phase.(map[string]any)
		gates, _ := phase["gates"].([]any)
		phase["gates"] = slices.DeleteFunc(gates, func(gate any) bool {
			name := gate.(map[string]any)["task"]
			return name == "gate/approval" || name == "gate/checklist"
		})
	}
	if text, err = yaml.Marshal(plan); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "plans", "plan.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "schema"), os.DirFS("../../schema")); err != nil {
		t.Fatal(err)
	}
	return file
}

// command prepares a call of phasegate with the sandbox's environment.
func (s *stage) command(ctx context.Context, args ...string) *exec.Cmd {
	s.Helper()
	cmd := exec.CommandContext(ctx, "phasegate", args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PHASEGATE_LOG=debug"}
	for name, value := range s.box.Env() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, s.environ...)
	return cmd
}

// phasegate calls it to its end, and fails the test unless it exits with code.
func (s *stage) phasegate(code int, args ...string) string {
	s.Helper()
	cmd := s.command(s.Context(), args...)
	output, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		s.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.Fatalf("phasegate %v exited with %d, want %d:\n%s", args, got, code, output)
	}
	return string(output)
}

// killAt calls phasegate and ends it with SIGKILL when an event fits and then
// holds.
func (s *stage) killAt(verb string, fits func(journal.Event) bool, then func() bool) {
	s.Helper()
	if code := s.signalAt(syscall.SIGKILL, verb, fits, then); code != -1 {
		s.Fatalf("a killed process exited with %d", code)
	}
}

// signalAt is killAt with another signal. It returns the exit code.
func (s *stage) signalAt(signal os.Signal, verb string, fits func(journal.Event) bool, then func() bool) int {
	s.Helper()
	cmd := s.command(s.Context(), verb, s.plan, "--json")
	events, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	var chatter bytes.Buffer
	cmd.Stderr = &chatter
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e journal.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			s.Fatalf("standard output holds %q: %v", lines.Text(), err)
		}
		if !fits(e) {
			continue
		}
		for deadline := time.Now().Add(time.Minute); !then(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				s.Fatal("it was never time to kill")
			}
		}
		if err := cmd.Process.Signal(signal); err != nil {
			s.Fatal(err)
		}
		for lines.Scan() { // the rest, so that it does not wait for us
		}
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
	_ = cmd.Wait()
	s.Fatalf("it ended before it could be signalled:\n%s", chatter.String())
	return 0
}

// started fits when a step's start is on disk.
func started(step string) func(journal.Event) bool {
	return func(e journal.Event) bool { return e.Type == journal.StepStarted && e.Step == step }
}

func (s *stage) connect() *pgx.Conn {
	s.Helper()
	conn, err := pg.Connect(s.Context(), s.box.DatabaseURL())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (s *stage) execute(statement string) {
	s.Helper()
	if _, err := s.connect().Exec(s.Context(), statement); err != nil {
		s.Fatal(err)
	}
}

// dropStaged takes the newest rollback target away.
func (s *stage) dropStaged() {
	s.Helper()
	conn, err := pg.ConnectTo(s.Context(), s.box.DatabaseURL(), pg.Maintenance)
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close(context.Background())
	var name string
	err = conn.QueryRow(s.Context(),
		`select datname from pg_database where datname like '%\_pre\_%' order by oid desc limit 1`).Scan(&name)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := conn.Exec(s.Context(), "drop database "+pgx.Identifier{name}.Sanitize()); err != nil {
		s.Fatal(err)
	}
}

// serves tells whether the API's health page says that it works.
func (s *stage) serves() bool {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.box.Env()["API_URL"]+"/health", nil)
	if err != nil {
		s.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *stage) contents() []pg.Table {
	s.Helper()
	conn := s.connect()
	tables, err := pg.Contents(s.Context(), conn)
	if err != nil {
		s.Fatal(err)
	}
	_ = conn.Close(s.Context())
	return tables
}

// everyoneHasOneAccount compares the table and the tenant by themselves, not by
// what the tool says.
func (s *stage) everyoneHasOneAccount() {
	s.Helper()
	rows, err := s.connect().Query(s.Context(),
		"select id::text, coalesce(auth0_user_id, '') from users where "+s.box.Env()["USERS_WHERE"])
	if err != nil {
		s.Fatal(err)
	}
	linked := map[string]string{}
	var row, account string
	_, err = pgx.ForEachRow(rows, []any{&row, &account}, func() error {
		if other, twice := linked[account]; twice || account == "" {
			return fmt.Errorf("rows %s and %q share the account %q", row, other, account)
		}
		linked[account] = row
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	accounts := s.box.Tenant().Users()
	for _, user := range accounts {
		if linked[user.ID] == "" {
			s.Errorf("account %s belongs to no row", user.ID)
		}
	}
	if len(accounts) != len(linked) {
		s.Errorf("%d accounts for %d rows", len(accounts), len(linked))
	}
}

func always() bool { return true }

func TestWholeCutOverAndItsRollback(t *testing.T) {
	t.Parallel()
	s := newStage(t, 60, auth0.Unlimited)
	before := s.contents()
	output := s.phasegate(ExitDone, "run", s.plan)
	s.everyoneHasOneAccount()
	if len(s.box.Tenant().Mails()) > 0 {
		t.Errorf("%d mails went out to users", len(s.box.Tenant().Mails()))
	}
	output += s.phasegate(ExitDone, "status")
	output += s.phasegate(ExitDone, "rollback", s.plan)
	if differences := pg.Differences(before, s.contents()); len(differences) > 0 {
		t.Errorf("the rollback did not restore:\n%s", strings.Join(differences, "\n"))
	}
	s.holdsNoSecretsAndNoPeople(output)
}

// What is written between the cut-over and its rollback is in the files of the
// salvage, the ids of the accounts too, and nothing else is.
func TestRollbackSalvagesWhatWasWritten(t *testing.T) {
	t.Parallel()
	s := newStage(t, 40, auth0.Unlimited)
	s.phasegate(ExitDone, "run", s.plan)
	s.execute(`insert into drugs (name, form, strength) values ('Salvaged', 'tablet', '5 mg');
		update drugs set current_stock = -7 where id = (select min(id::text)::uuid from drugs where name <> 'Salvaged');
		insert into hospitals (name) values ('New hospital')`)
	s.phasegate(ExitDone, "rollback", s.plan)
	found, err := filepath.Glob(filepath.Join(s.dir, "phasegate-runs", "*", "salvage-*"))
	if err != nil || len(found) != 4 {
		t.Fatalf("files of the salvage: %v, %v", found, err)
	}
	for _, c := range []struct {
		suffix string
		lines  int
		holds  []string
	}{
		{"d.ndjson", 40, []string{`"auth0_user_id":"auth0|`, `"name":"New hospital"`}}, // a header, 38 accounts and a hospital
		{"-unsure.ndjson", 1, nil},
		{".ndjson", 3, []string{`"name":"Salvaged"`, `"new":{"current_stock":"-7"}`}},
		{".sql", 0, []string{"insert into public.drugs", "update public.drugs"}},
	} {
		i := slices.IndexFunc(found, func(path string) bool { return strings.HasSuffix(path, c.suffix) })
		text, err := os.ReadFile(found[i])
		if err != nil {
			t.Fatal(err)
		}
		found = slices.Delete(found, i, i+1)
		if n := bytes.Count(text, []byte("\n")); c.lines > 0 && n != c.lines {
			t.Errorf("%s has %d lines, want %d:\n%s", c.suffix, n, c.lines, text)
		}
		for _, want := range c.holds {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s does not hold %s:\n%s", c.suffix, want, text)
			}
		}
	}
}

// A run that halts before the window leaves nothing to take back, and a second
// one moves the users who are there by then, the adopted ones too.
func TestCutOverAfterARollbackAdoptsTheAccounts(t *testing.T) {
	t.Parallel()
	s := newStage(t, 30, auth0.Unlimited)
	s.phasegate(ExitDone, "run", s.plan)
	s.phasegate(ExitDone, "rollback", s.plan)
	s.phasegate(ExitDone, "run", s.plan)
	s.everyoneHasOneAccount()
}

func TestKilledWhileUsersMoveGoesOn(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, auth0.Enterprise)
	for _, accounts := range []int{3, 40} {
		s.killAt("run", started("users"), func() bool { return s.box.Accounts() >= accounts })
	}
	if output := s.phasegate(ExitDone, "status"); !strings.Contains(output, "interrupted") {
		t.Errorf("status of a killed run:\n%s", output)
	}
	s.phasegate(ExitDone, "run", s.plan)
	s.everyoneHasOneAccount()
}

func TestKilledWhileTheBackupIsWrittenGoesOn(t *testing.T) {
	t.Parallel()
	s := newStage(t, 200, auth0.Unlimited)
	s.killAt("run", started("backup"), always)
	s.phasegate(ExitDone, "run", s.plan)
	s.everyoneHasOneAccount()
	backups, err := filepath.Glob(filepath.Join(s.box.Env()["BACKUP_DIR"], "medlogistics-*"))
	if err != nil || len(backups) != 2 {
		t.Errorf("the backup and its metadata should be there and no leftovers: %v, %v", backups, err)
	}
}

// In the window the process is killed at every step; whatever was done, the
// rollback leaves the database as it was and the API at work.
func TestKilledInTheWindowIsRolledBack(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"stop-api", "stage", "migrate-schema", "start-api"} {
		s := newStage(t, 20, auth0.Unlimited)
		before := s.contents()
		s.killAt("run", started(step), always)
		s.phasegate(ExitDone, "rollback", s.plan)
		if differences := pg.Differences(before, s.contents()); len(differences) > 0 {
			t.Errorf("killed at %s, the rollback did not restore:\n%s", step, strings.Join(differences, "\n"))
		}
		if out, err := s.command(t.Context(), "run", s.plan, "--to", "pre-check").CombinedOutput(); err != nil {
			t.Errorf("killed at %s, the pre-checks after the rollback: %v\n%s", step, err, out)
		}
	}
}

func TestKilledRollbackIsCompletedByTheNextCall(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"stop-again", "put-back", "start-again", "salvage"} {
		s := newStage(t, 20, auth0.Unlimited)
		before := s.contents()
		s.phasegate(ExitDone, "run", s.plan)
		s.killAt("rollback", started(step), always)
		s.phasegate(ExitDone, "rollback", s.plan)
		if differences := pg.Differences(before, s.contents()); len(differences) > 0 {
			t.Errorf("killed at %s, the rollback did not restore:\n%s", step, strings.Join(differences, "\n"))
		}
	}
}

func TestSignalStopsTheMoveAtASafePoint(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, auth0.Enterprise)
	code := s.signalAt(syscall.SIGTERM, "run", started("users"), func() bool { return s.box.Accounts() >= 52 })
	if code != ExitInterrupted {
		t.Errorf("exit code %d, want %d", code, ExitInterrupted)
	}
	s.phasegate(ExitDone, "run", s.plan)
	s.everyoneHasOneAccount()
}

func TestUnreachableDatabaseAndTenantAreNamedTogether(t *testing.T) {
	t.Parallel()
	s := newStage(t, 5, auth0.Unlimited)
	cmd := s.command(t.Context(), "run", s.plan)
	cmd.Env = append(cmd.Env,
		"DATABASE_URL=postgres://medlog:canary-password@127.0.0.1:1/medlog", "AUTH0_DOMAIN=127.0.0.1:2")
	output, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("the run went on without a database and a tenant")
	}
	for _, want := range []string{"127.0.0.1:1", "127.0.0.1:2", "hint: "} {
		if !strings.Contains(string(output), want) {
			t.Errorf("the output does not hold %q:\n%s", want, output)
		}
	}
	for _, never := range []string{"canary-password", "goroutine ", ".go:"} {
		if strings.Contains(string(output), never) {
			t.Errorf("the output holds %q:\n%s", never, output)
		}
	}
}

// A run that fails says more than one that goes well: it is searched too, with
// its events on standard output.
func TestFailedCutOverHoldsNoSecretsAndNoPeople(t *testing.T) {
	t.Parallel()
	s := newStage(t, 40, auth0.Unlimited)
	s.phasegate(ExitDone, "run", s.plan, "--to", "migrate")
	s.box.LoseAccount()
	output := s.phasegate(ExitFailed, "run", s.plan, "--json")
	output += s.phasegate(ExitDone, "status", "--json")
	s.holdsNoSecretsAndNoPeople(output)
}

// holdsNoSecretsAndNoPeople searches the output and every file of the run, the
// backup's metadata among them. The backup itself is made of people's data.
func (s *stage) holdsNoSecretsAndNoPeople(output string) {
	s.Helper()
	canaries := s.canaries()
	token := regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.`)
	search := func(name, text string) {
		for what, canary := range canaries {
			if strings.Contains(strings.ToLower(text), strings.ToLower(canary)) {
				s.Errorf("%s holds %s", name, what)
			}
		}
		if token.MatchString(text) {
			s.Errorf("%s holds a token", name)
		}
	}
	search("the output", output)
	files := 0
	metadata, err := filepath.Glob(filepath.Join(s.box.Env()["BACKUP_DIR"], "*.json"))
	if err != nil || len(metadata) == 0 {
		s.Fatalf("no metadata of a backup: %v", err)
	}
	for _, path := range metadata {
		content, err := os.ReadFile(path)
		if err != nil {
			s.Fatal(err)
		}
		search(path, string(content))
	}
	err = filepath.WalkDir(filepath.Join(s.dir, "phasegate-runs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		search(path, string(content))
		return err
	})
	if err != nil || files < 2 {
		s.Fatalf("searched %d files: %v", files, err)
	}
}

// canaries are the secrets that the run was given, and all people in the
// database.
func (s *stage) canaries() map[string]string {
	s.Helper()
	database, err := pg.Parse(s.box.DatabaseURL())
	if err != nil {
		s.Fatal(err)
	}
	canaries := map[string]string{
		"the database's password": database.Password,
		"the client's secret":     s.box.Env()["AUTH0_MANAGEMENT_CLIENT_SECRET"],
	}
	rows, err := s.connect().Query(s.Context(), "select email, coalesce(full_name, '') from users")
	if err != nil {
		s.Fatal(err)
	}
	var email, name string
	_, err = pgx.ForEachRow(rows, []any{&email, &name}, func() error {
		canaries["the address "+email] = email
		if len(name) > 6 {
			canaries["the name "+name] = name
		}
		return nil
	})
	if err != nil || len(canaries) < 10 {
		s.Fatalf("%d canaries: %v", len(canaries), err)
	}
	return canaries
}
