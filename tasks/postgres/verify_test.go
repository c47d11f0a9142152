package postgres_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// positions are those of a file that are tried: all in a soak, else a sample.
func positions(size int64) (list []int64) {
	step := int64(1)
	if os.Getenv("PHASEGATE_SOAK") == "" {
		step = max(1, size/600)
	}
	for at := int64(0); at < size; at += step {
		list = append(list, at)
	}
	return append(list, size-1)
}

// smaller is awkward with fewer rows, so that every byte can be tried.
var smaller = strings.NewReplacer("2000", "40").Replace(awkward)

func TestVerifyFindsEveryFlippedByteAndEveryTruncation(t *testing.T) {
	t.Parallel()
	dsn := database(t, smaller)
	good, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range []string{good.File, good.Metadata} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		damaged := func(what string, at int64, bad []byte) {
			t.Helper()
			tried++
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if m, err := verify(t, good.File); err == nil || m.Proven {
				t.Fatalf("%s at %d of %s: proven %v, %v", what, at, filepath.Base(file), m.Proven, err)
			}
		}
		for _, at := range positions(int64(len(raw))) {
			bad := bytes.Clone(raw)
			bad[at] ^= 1 << (at % 8)
			damaged("a flipped bit", at, bad)
			damaged("an end", at, raw[:at])
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := verify(t, good.File); err != nil || !m.Proven {
		t.Errorf("the undamaged backup: proven %v, %v", m.Proven, err)
	}
	t.Logf("%d damages tried", tried)
}

func TestVerifyFindsTwoBackupsMistakenForEachOther(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, smaller), t.TempDir()
	var two []postgres.BackupReceipt
	for _, run := range []string{"one", "two"} {
		b := backup(dsn, dir)
		b.RunID = run
		receipt, err := b.Run(t.Context(), tasktest.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		two = append(two, receipt)
		execute(t, dsn, "insert into no_rows values (1)")
	}
	exchange := func(a, b string) {
		t.Helper()
		for _, move := range [][2]string{{a, "kept"}, {b, a}, {"kept", b}} {
			for i := range move {
				if move[i] == "kept" {
					move[i] = filepath.Join(dir, "kept")
				}
			}
			if err := os.Rename(move[0], move[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for what, files := range map[string][2]string{"archives": {two[0].File, two[1].File}, "metadata": {two[0].Metadata, two[1].Metadata}} {
		exchange(files[0], files[1])
		for _, r := range two {
			if m, err := verify(t, r.File); err == nil || m.Proven {
				t.Errorf("%s exchanged: proven %v, %v", what, m.Proven, err)
			}
		}
		exchange(files[0], files[1])
	}
}

func TestVerifyFindsADifferentSequenceAndLargeObject(t *testing.T) {
	t.Parallel()
	dsn := database(t, smaller)
	good, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(good.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	sequences, large, _ := strings.Cut(string(raw), `"large_objects"`)
	for edited, want := range map[string]string{
		strings.Replace(string(raw), `"value": 40`, `"value": 41`, 1):                           "sequence public.orders_id_seq stands at 40, not at 41",
		strings.Replace(string(raw), `public.orders_id_seq`, `public.other_id_seq`, 1):          "sequence public.other_id_seq is missing",
		sequences + `"large_objects"` + strings.Replace(large, `"count": 1`, `"count": 2`, 1):   "there are 1 large objects, not 2",
		sequences + `"large_objects"` + strings.Replace(large, `"bytes": 14`, `"bytes": 15`, 1): "but of other content",
	} {
		if edited == string(raw) {
			t.Fatalf("nothing was edited for %q:\n%s", want, raw)
		}
		writeSealed(t, good.Metadata, edited)
		if m, err := verify(t, good.File); !errors.Is(err, postgres.ErrDiffers) || !strings.Contains(err.Error(), want) || m.Proven {
			t.Errorf("proven %v, %v, want %q", m.Proven, err, want)
		}
	}
}
