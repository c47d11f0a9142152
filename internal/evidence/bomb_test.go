package evidence

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
	"testing"
)

// A bundle comes from a stranger: one that would fill the memory or take for ever
// is refused by what it says of itself, or where it goes beyond that.
func TestBundleThatUnpacksToTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	const report = "artifacts/users/report.ndjson"
	for what, c := range map[string]struct {
		edit func(*parts)
		want string
	}{
		"a huge entry": {func(p *parts) {
			p.manifest.Entries[6].Bytes = maxEntry + 1
			p.sizes = map[string]uint64{report: maxEntry + 1}
		}, "report.ndjson: it is larger than"},
		"a huge manifest": {func(p *parts) {
			p.sizes = map[string]uint64{manifestName: maxEntry + 1}
		}, "read the manifest: it is larger than"},
		"an entry that goes on": {func(p *parts) {
			p.put(report, strings.Repeat("0", 1<<24))
			p.manifest.Entries[6].Bytes = 10
			p.sizes = map[string]uint64{report: 10}
		}, "entry " + report},
		"a manifest that goes on": {func(p *parts) {
			p.manifest.Version = strings.Repeat("0", 1<<24)
			p.sizes = map[string]uint64{manifestName: 10}
		}, "read the manifest"},
		"too many entries": {func(p *parts) {
			for i := range maxEntries {
				p.names = append(p.names, fmt.Sprint("artifacts/x/", i))
			}
		}, "more than 10001"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := take(t, newLeft(t).pack())
			c.edit(p)
			if _, err := opened(t, p.sealed(t)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func deflated(t *testing.T, content []byte) []byte {
	t.Helper()
	var text bytes.Buffer
	w, err := flate.NewWriter(&text, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}
