package evidence

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func opened(t *testing.T, path string) (*Report, error) {
	t.Helper()
	return lookAt(t.Context(), path)
}

func TestBundleVerifiesWithNothingElseThere(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	before := l.look()
	to := l.pack()
	if err := os.RemoveAll(l.dir); err != nil {
		t.Fatal(err)
	}
	r, err := opened(t, to)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Fits || r.Last != before.Last || r.Digest != before.Digest || r.Events != before.Events {
		t.Errorf("%+v", r)
	}
	if f := l.of(r, "file", "backup", "app.dump"); f.Result != Missing || !strings.Contains(f.Detail, "left out") {
		t.Errorf("the backup itself: %+v", f)
	}
	if f := l.of(r, "file", "rehearse", ""); f.Result != Fits {
		t.Errorf("%+v", f)
	}
	content := mustRead(t, to)
	if r.Bundle != hexSum(content) {
		t.Error("the report does not name the bundle's own hash")
	}
	if info, err := os.Stat(to); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestBundleHoldsWhatItShouldAndNotTheData(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	lines := l.record().Lines
	entries := unzipped(t, l.pack())
	if got := entries[journalName]; got != string(bytes.Join(lines, []byte("\n")))+"\n" {
		t.Error("the journal's lines are not as they were written")
	}
	for name, want := range map[string]string{
		planName:                         planText,
		"plan/files/0001-1.sql":          "create table a (id int);",
		"plan/files/0002-2.sql":          "create table b (id int);",
		"artifacts/users/report.ndjson":  reportText,
		"artifacts/rehearse/report.json": rehearseText,
	} {
		if entries[name] != want {
			t.Errorf("%s holds %q, want %q", name, entries[name], want)
		}
	}
	for name, content := range entries {
		if strings.Contains(content, backupText) {
			t.Errorf("%s holds the backup's data", name)
		}
	}
	var m Manifest
	if err := json.Unmarshal([]byte(entries[manifestName]), &m); err != nil || m.Version != "v1.2.3" || len(m.LeftOut) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestSameRunMakesTheSameBundle(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	if !bytes.Equal(mustRead(t, l.pack()), mustRead(t, l.pack())) {
		t.Error("two bundles of one run differ")
	}
}

func TestBundleWithAnyByteFlippedIsRefused(t *testing.T) {
	t.Parallel()
	whole := mustRead(t, newLeft(t).pack())
	path := filepath.Join(t.TempDir(), "flipped.zip")
	for i := range whole {
		for _, bit := range []byte{1 << (i % 8), 0x20} { // 0x20 changes the case of a letter
			flipped := slices.Clone(whole)
			flipped[i] ^= bit
			mustWrite(t, path, flipped)
			if _, err := opened(t, path); err == nil {
				t.Fatalf("byte %d of %d flipped by %#x goes unseen", i, len(whole), bit)
			}
		}
	}
}

func TestBundleCutOffOrProlongedIsRefused(t *testing.T) {
	t.Parallel()
	whole := mustRead(t, newLeft(t).pack())
	path := filepath.Join(t.TempDir(), "cut.zip")
	for n := range len(whole) {
		mustWrite(t, path, whole[:n])
		if _, err := opened(t, path); err == nil {
			t.Fatalf("cut off after %d of %d bytes goes unseen", n, len(whole))
		}
	}
	for _, other := range [][]byte{append(slices.Clone(whole), 0), append([]byte{0}, whole...), append(slices.Clone(whole), whole...)} {
		mustWrite(t, path, other)
		if _, err := opened(t, path); err == nil {
			t.Error("a prolonged bundle goes unseen")
		}
	}
}

// Whoever can alter a bundle can seal it again: what is in it still has to fit.
func TestSealedAgainABundleHasToFit(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		edit func(*parts)
		want string
	}{
		"an event altered": {func(p *parts) {
			p.replace(journalName, `"created":1`, `"created":2`)
		}, "was altered"},
		"the plan altered": {func(p *parts) { p.replace(planName, "name: toy", "name: joy") }, "was changed"},
		"a file of the plan altered": {func(p *parts) {
			p.replace("plan/files/0002-2.sql", "create", "delete")
		}, "was changed"},
		"a file of the plan renamed": {func(p *parts) { p.manifest.Entries[2].Of = "../schema/0.sql" }, "was changed"},
		"a report altered": {func(p *parts) {
			p.replace("artifacts/rehearse/report.json", "locks", "blocks")
		}, "the receipt says"},
		"an end cut off": {func(p *parts) {
			text := strings.TrimSuffix(p.content[journalName], "\n")
			p.put(journalName, text[:strings.LastIndex(text, "\n")+1])
		}, "it says"},
		"no events":       {func(p *parts) { p.put(journalName, "") }, "it says"},
		"another version": {func(p *parts) { p.manifest.Format = "phasegate-evidence/2" }, "is of format"},
		"another run":     {func(p *parts) { p.manifest.Run = "20260101-000000-000-0000" }, "it is of run"},
		"an entry more": {func(p *parts) {
			p.names = append(p.names, "artifacts/x/report")
			p.manifest.Entries = p.manifest.Entries[:7:7]
		}, "its manifest lists"},
		"an entry of the same size exchanged": {func(p *parts) {
			p.content["artifacts/users/report.ndjson"] = strings.Replace(reportText, "7d1e", "7d1f", 1)
		}, "its SHA-256 is"},
		"a size that is not so":       {func(p *parts) { p.manifest.Entries[6].Bytes++ }, "and the manifest says"},
		"an entry under another name": {func(p *parts) { p.names[6] = "artifacts/users/other" }, "is not the one"},
		"an entry of another role":    {func(p *parts) { p.manifest.Entries[2].Role = "other" }, "cannot be there"},
		"an artifact of nobody":       {func(p *parts) { p.manifest.Entries[6].Step = "nobody" }, "named by no receipt"},
		"an entry exchanged":          {func(p *parts) { p.content["artifacts/users/report.ndjson"] = "x" }, "and the manifest says"},
		"out of the directory": {func(p *parts) {
			p.rename("artifacts/users/report.ndjson", "../../etc/passwd")
		}, "lead out"},
		"an absolute name":   {func(p *parts) { p.rename("artifacts/users/report.ndjson", "/etc/passwd") }, "lead out"},
		"a Windows name":     {func(p *parts) { p.rename("artifacts/users/report.ndjson", `..\evil`) }, "lead out"},
		"a drive":            {func(p *parts) { p.rename("artifacts/users/report.ndjson", `c:/evil`) }, "lead out"},
		"dots in the middle": {func(p *parts) { p.rename("artifacts/users/report.ndjson", "artifacts/../../x") }, "lead out"},
		"the journal twice":  {func(p *parts) { p.rename("artifacts/users/report.ndjson", journalName) }, "twice"},
		"a link":             {func(p *parts) { p.mode = fs.ModeSymlink | 0o777 }, "json is not a file"},
		"no plan":            {func(p *parts) { p.rename(planName, "plan/other.yaml") }, "does not begin with"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := take(t, newLeft(t).pack())
			c.edit(p)
			r, err := opened(t, p.sealed(t))
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if first := r.First(); first == nil || !strings.Contains(first.Detail, c.want) {
				t.Errorf("got %+v, want %q", r.Findings, c.want)
			}
		})
	}
	if r, err := opened(t, take(t, newLeft(t).pack()).sealed(t)); err != nil || !r.Fits {
		t.Errorf("sealed again as it was, it does not fit: %+v, %v", r, err)
	}
}

func TestWhatDoesNotFitIsNotPacked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"schema/1.sql", "runs/" + testRun + "/rehearsal.json", "backups/app.dump.json"} {
		l := newLeft(t)
		l.write(name, "altered")
		dir := t.TempDir()
		if _, err := Pack(t.Context(), filepath.Join(dir, "evidence.zip"), l.record(), l.plan, "v1"); err == nil {
			t.Errorf("%s was altered, and the run was packed", name)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("leftovers: %v", entries)
		}
	}
}

func TestEvidenceIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	to := l.pack()
	before := mustRead(t, to)
	if _, err := Pack(t.Context(), to, l.record(), l.plan, "v2"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(before, mustRead(t, to)) {
		t.Error("it was overwritten")
	}
}

// A forged journal must not lure a stranger's file into a bundle.
func TestFileOutsideOfTheRunIsNotPacked(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	l.write("secret", "canary")
	events := l.events()
	events[5].Receipt = []byte(`{"report":"` + l.path("secret") + `"}`)
	events[7].Receipt = []byte(`{"report":"runs/` + testRun + `/../../secret"}`)
	l.journal(events)
	for name, content := range unzipped(t, l.pack()) {
		if name != journalName && strings.Contains(content, "canary") {
			t.Errorf("%s holds the secret", name)
		}
	}
}

// A backup that somebody keeps in the run's directory is not evidence either.
func TestBackupInTheRunsDirectoryIsNotPacked(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	l.write("runs/"+testRun+"/app.dump", backupText)
	events := l.events()
	events[3].Receipt = []byte(`{"file":"runs/` + testRun + `/app.dump","sha256":"` + hexSum([]byte(backupText)) + `"}`)
	l.journal(events)
	to := l.pack()
	for name, content := range unzipped(t, to) {
		if strings.Contains(content, backupText) {
			t.Errorf("%s holds the backup's data", name)
		}
	}
	if r := l.look(); l.of(r, "file", "backup", "app.dump").Result != Fits {
		t.Errorf("%+v", r.Findings)
	}
}

func TestTooLargeAReportIsLeftOutAndSaidToBe(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	if err := os.Truncate(l.path("runs/"+testRun+"/report.ndjson"), MaxArtifact+1); err != nil {
		t.Fatal(err)
	}
	r, err := opened(t, l.pack())
	if err != nil {
		t.Fatal(err)
	}
	if f := l.of(r, "file", "users", ""); f.Result != Missing || !strings.Contains(f.Detail, "more than the") {
		t.Errorf("%+v", f)
	}
}

// parts are a bundle taken apart.
type parts struct {
	names    []string // in their order, without the manifest
	content  map[string]string
	manifest Manifest
	mode     fs.FileMode       // of the last entry
	sizes    map[string]uint64 // that an entry's header claims, whatever is in it
}

func take(t *testing.T, path string) *parts {
	t.Helper()
	p := &parts{content: unzipped(t, path), mode: 0o600}
	if err := json.Unmarshal([]byte(p.content[manifestName]), &p.manifest); err != nil {
		t.Fatal(err)
	}
	for _, e := range p.manifest.Entries {
		p.names = append(p.names, e.Name)
	}
	return p
}

// put changes an entry, and what the manifest says of it.
func (p *parts) put(name, content string) {
	p.content[name] = content
	for i, e := range p.manifest.Entries {
		if e.Name == name {
			p.manifest.Entries[i].Bytes, p.manifest.Entries[i].SHA256 = int64(len(content)), hexSum([]byte(content))
		}
	}
}

func (p *parts) replace(name, old, now string) {
	if !strings.Contains(p.content[name], old) {
		panic(name + " does not hold " + old)
	}
	p.put(name, strings.Replace(p.content[name], old, now, 1))
}

func (p *parts) rename(name, now string) {
	i := slices.Index(p.names, name)
	p.names[i], p.manifest.Entries[i].Name = now, now
	if text, there := p.content[now]; there {
		p.put(now, text)
		return
	}
	p.content[now] = p.content[name]
}

// sealed writes a bundle of the parts, with a seal that holds.
func (p *parts) sealed(t *testing.T) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "sealed.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := zip.NewWriter(file)
	manifest, err := json.Marshal(p.manifest)
	if err != nil {
		t.Fatal(err)
	}
	p.content[manifestName] = string(manifest)
	for i, name := range append(slices.Clone(p.names), manifestName) {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate}
		header.SetMode(0o600)
		if i == len(p.names)-1 {
			header.SetMode(p.mode)
		}
		content, create := []byte(p.content[name]), w.CreateHeader
		if size, lies := p.sizes[name]; lies {
			content, create = deflated(t, content), w.CreateRaw
			header.CompressedSize64, header.UncompressedSize64 = uint64(len(content)), size
		}
		to, err := create(header)
		if err == nil {
			_, err = to.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.SetComment(comment+strings.Repeat("0", digits)), w.Close(), sealed(t.Context(), file)); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

func unzipped(t *testing.T, path string) map[string]string {
	t.Helper()
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	entries := map[string]string{}
	for _, f := range r.File {
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		entries[f.Name] = string(text)
	}
	return entries
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func mustWrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
