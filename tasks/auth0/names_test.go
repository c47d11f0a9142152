package auth0

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNoApplicationIsNamedInTheCode holds that everything about an application's
// users is configuration: no word of MedLogistics' stands in these sources.
func TestNoApplicationIsNamedInTheCode(t *testing.T) {
	t.Parallel()
	words := regexp.MustCompile(`(?i)medlog|\b(doctor|nurse|pharmacist|super_admin|ward|hospital|drug|patient|medication)s?\b|api_key|full_name|hashed_password|auth0_user_id`)
	files, err := filepath.Glob("*.go")
	must(t, err)
	read := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		read++
		text, err := os.ReadFile(file)
		must(t, err)
		for n, line := range strings.Split(string(text), "\n") {
			line = strings.ReplaceAll(line, "github.com/medlogistics/phasegate/", "") // where this program lives
			if word := words.FindString(line); word != "" {
				t.Errorf("%s:%d names %s", file, n+1, word)
			}
		}
	}
	if read < 30 {
		t.Errorf("only %d files were looked at", read)
	}
}
