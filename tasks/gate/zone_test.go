package gate

import (
	"archive/zip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/task"
)

func TestEveryNamedZoneIsKnown(t *testing.T) {
	t.Parallel()
	names := strings.Fields(zoneNames)
	if !slices.IsSorted(names) || len(names) < 500 {
		t.Fatalf("%d names, sorted: %t", len(names), slices.IsSorted(names))
	}
	for _, name := range names {
		text[Zone](t, name)
	}
}

func TestTheNamesAreThoseOfTheEmbeddedDatabase(t *testing.T) {
	t.Parallel()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no Go distribution to compare with: %v", err)
	}
	database, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	var want []string
	for _, file := range database.File {
		if !file.FileInfo().IsDir() {
			want = append(want, file.Name)
		}
	}
	slices.Sort(want)
	if got := strings.Fields(zoneNames); !slices.Equal(got, want) {
		t.Errorf("zones.txt has %d names and the database has %d", len(got), len(want))
	}
}

func TestAnUnknownZoneIsRefusedWithTheOneThatWasMeant(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"Europe/Berlinn":                     `did you mean "Europe/Berlin"?`,
		"europe/berlin":                      `did you mean "Europe/Berlin"?`,
		"Berlin":                             `did you mean "Europe/Berlin"?`,
		"America/New York":                   `did you mean "America/New_York"?`,
		"Amerika/Sao_Paolo":                  `did you mean "America/Sao_Paulo"?`,
		"Europe/Kiev/":                       `did you mean "Europe/Kiev"?`,
		"right/Asia/Tokyo":                   "",
		"../Europe/Berlin":                   `did you mean "Europe/Berlin"?`,
		"GMT+2":                              "summer time",
		"UTC+2":                              "summer time",
		"+02:00":                             "summer time",
		"PST":                                "summer time",
		"":                                   "summer time",
		"Local":                              "summer time",
		"Middle-earth/Shire":                 "summer time",
		strings.Repeat("Europe/Berlin", 100): "summer time",
	} {
		var z Zone
		err := z.UnmarshalText([]byte(written))
		if err == nil || !strings.Contains(task.HintOf(err), want) {
			t.Errorf("%q: error %v, hint %q", written, err, task.HintOf(err))
		}
	}
}
