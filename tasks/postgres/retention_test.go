package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// keeping makes a backup of a run, and keeps so many of all.
func keeping(t *testing.T, dsn redact.Secret, dir, id string, keep int) (file string) {
	t.Helper()
	b := backup(dsn, dir)
	b.RunID, b.Keep, b.KeepDays = id, keep, 0
	receipt, err := b.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return receipt.File
}

func TestBackupKeepsTheNewestFewAndWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, smaller), t.TempDir()
	run := func(id string, keep int) string { return keeping(t, dsn, dir, id, keep) }
	var made []string
	for days, id := range []string{"newest", "second", "third", "grown", "elsewhere"} {
		file := run(id, 0)
		makeOlder(t, file+".json", time.Duration(days+1)*24*time.Hour)
		made = append(made, file)
	}
	// Two that its metadata does not prove to be of this task and this database.
	if err := os.WriteFile(made[3], []byte("another file of that name"), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(made[4] + ".json")
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(raw), `"server": "`) + len(`"server": "`)
	writeSealed(t, made[4]+".json", string(raw[:at])+"1"+string(raw[at:]))
	last := run("last", 2)
	for file, want := range map[string]bool{last: true, made[0]: true, made[1]: false, made[2]: false, made[3]: true, made[4]: true} {
		for _, name := range []string{file, file + ".json"} {
			if _, err := os.Stat(name); (err == nil) != want {
				t.Errorf("%s: %v, should be there: %v", filepath.Base(name), err, want)
			}
		}
	}
}

func TestBackupKeepsTheOneJustMadeThoughTheClockHasGoneBack(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, smaller), t.TempDir()
	run := func(id string, keep int) string { return keeping(t, dsn, dir, id, keep) }
	older := run("older", 0)
	makeOlder(t, older+".json", -time.Hour) // it seems to come from the future now
	made := run("made", 1)
	for _, file := range []string{older, made} { // the newest proven one, by its time, stays too
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}

func TestBackupCountsOnlyThoseWhoseFileIsThere(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, smaller), t.TempDir()
	older, gone := keeping(t, dsn, dir, "older", 0), keeping(t, dsn, dir, "gone", 0)
	makeOlder(t, older+".json", 48*time.Hour)
	makeOlder(t, gone+".json", 24*time.Hour)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	keeping(t, dsn, dir, "made", 2)
	if _, err := os.Stat(older); err != nil {
		t.Error(err)
	}
}

func TestBackupDoesNotTakeAFileThatWasCutOffForTheNewestProven(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, smaller), t.TempDir()
	run := func(id string, keep int) string { return keeping(t, dsn, dir, id, keep) }
	good, damaged := run("good", 0), run("damaged", 0)
	makeOlder(t, good+".json", -time.Hour)
	makeOlder(t, damaged+".json", -2*time.Hour)
	if err := os.Truncate(damaged, 10); err != nil {
		t.Fatal(err)
	}
	made := run("made", 1)
	for _, file := range []string{good, made} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}
