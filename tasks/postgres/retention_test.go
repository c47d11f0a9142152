package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
)

func TestBackupKeepsTheNewestFewAndWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, smaller), t.TempDir()
	run := func(id string, keep int) string {
		b := backup(dsn, dir)
		b.RunID, b.Keep, b.KeepDays = id, keep, 0
		receipt, err := b.Run(t.Context(), tasktest.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		return receipt.File
	}
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
