package postgres_test

import (
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// Whoever approves a way back reads what it would lose, and how long it takes.
func TestPreviewOfEachWayBackSaysWhatIsLostAndHowLong(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	swapped, err := swap(dsn, "the_copy").Preview(t.Context(), tasktest.Env(t))
	if err != nil || swapped.DurationMS != 100 || !strings.Contains(swapped.Loses, "since the copy") ||
		!strings.Contains(strings.Join(swapped.Does, "\n"), "rename the_copy to "+name(t, dsn)) {
		t.Errorf("swap: %+v, %v", swapped, err)
	}
	restored, err := restoreInPlace(dsn, postgres.BackupReceipt{File: "/backups/app.dump.zst"}).Preview(t.Context(), tasktest.Env(t))
	if err != nil || restored.DurationMS < 1000 || !strings.Contains(restored.Loses, "since the backup") ||
		!strings.Contains(restored.Does[0], "drop what is in "+name(t, dsn)) || !strings.Contains(restored.Does[0], "/backups/app.dump.zst") {
		t.Errorf("restore: %+v, %v", restored, err)
	}
	replayed, err := replay(dsn, postgres.SalvageReceipt{File: "/runs/salvage.ndjson"}).Preview(t.Context(), tasktest.Env(t))
	if err != nil || replayed.Loses != "" || !strings.Contains(replayed.Does[0], "/runs/salvage.ndjson") {
		t.Errorf("replay: %+v, %v", replayed, err)
	}
}

func TestWhoeverApprovesReadsTheQueryAndWhatItMustReturn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		task postgres.Assert
		want string
	}{
		{postgres.Assert{Query: "select count(*)\nfrom users\n", Returns: "0", Rows: -1}, "select count(*)\nfrom users\nmust return 0"},
		{postgres.Assert{Query: "select from users", Rows: 3}, "select from users\nmust return 3 rows"},
	} {
		preview, err := c.task.Preview(t.Context(), tasktest.Env(t))
		if got := strings.Join(preview.Does, "\n"); err != nil || got != c.want {
			t.Errorf("got %q, %v", got, err)
		}
	}
}
