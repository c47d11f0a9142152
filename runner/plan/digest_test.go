package plan_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

const withFiles = `version: 1
name: files
phases:
  - name: one
    irreversible: a test
    steps:
      - { id: apply, task: schema/apply, with: { dir: schema } }
`

// written lays a plan and its files into a new directory and returns the path of
// the plan.
func written(t *testing.T, src string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.yaml")
	files[filepath.Base(path)] = src
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func mustLoad(t *testing.T, path string) *plan.Plan {
	t.Helper()
	p, diagnostics, err := plan.Load(path, plantest.Tasks())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diagnostics.Errors() {
		t.Fatal(d.Render())
	}
	return p
}

func TestTheDigestCoversThePlanAndItsFiles(t *testing.T) {
	t.Parallel()
	digest := func(src string, files map[string]string) string {
		return mustLoad(t, written(t, src, files)).Digest
	}
	first := digest(withFiles, map[string]string{"schema/1.sql": "ab", "schema/2.sql": "c", "other": "x"})
	if len(first) != 64 {
		t.Errorf("%q is no SHA-256", first)
	}
	if again := digest(withFiles, map[string]string{"schema/1.sql": "ab", "schema/2.sql": "c", "other": "y"}); again != first {
		t.Error("the digest is not the same in another directory, or a file that is not named changes it")
	}
	for what, changed := range map[string]string{
		"a file's content":          digest(withFiles, map[string]string{"schema/1.sql": "ab", "schema/2.sql": "d"}),
		"a file's name":             digest(withFiles, map[string]string{"schema/1.sql": "ab", "schema/3.sql": "c"}),
		"a file more":               digest(withFiles, map[string]string{"schema/1.sql": "ab", "schema/2.sql": "c", "schema/3.sql": ""}),
		"a byte moved between them": digest(withFiles, map[string]string{"schema/1.sql": "a", "schema/2.sql": "bc"}),
		"a comment in the plan":     digest(withFiles+"# x\n", map[string]string{"schema/1.sql": "ab", "schema/2.sql": "c"}),
	} {
		if changed == first {
			t.Errorf("%s does not change the digest", what)
		}
	}
}

func TestThePlansFilesAreListed(t *testing.T) {
	t.Parallel()
	path := written(t, withFiles, map[string]string{"schema/2.sql": "", "schema/1.sql": ""})
	p := mustLoad(t, path)
	dir := filepath.Dir(path)
	want := []string{filepath.Join(dir, "schema", "1.sql"), filepath.Join(dir, "schema", "2.sql")}
	if got := p.Files(); !slices.Equal(got, want) || p.Dir != dir {
		t.Errorf("got %q in %s, want %q", got, p.Dir, want)
	}
}

// Whoever has the text and the named files, and no task, can tell the digest.
func TestTheDigestFollowsFromTheNamedFiles(t *testing.T) {
	t.Parallel()
	p := mustLoad(t, written(t, withFiles, map[string]string{"schema/2.sql": "b", "schema/1.sql": "a"}))
	sums := map[string][sha256.Size]byte{}
	for name, path := range p.Named() {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sums[name] = sha256.Sum256(content)
	}
	if len(sums) != 2 || plan.Digest([]byte(withFiles), sums) != p.Digest {
		t.Errorf("another digest follows from %v", p.Named())
	}
}

func TestAPathIsRelativeToThePlan(t *testing.T) {
	path := written(t, withFiles, map[string]string{"schema/1.sql": ""})
	digest := mustLoad(t, path).Digest
	t.Chdir(filepath.Dir(filepath.Dir(path)))
	relative := filepath.Join(filepath.Base(filepath.Dir(path)), "plan.yaml")
	p := mustLoad(t, relative)
	if p.Digest != digest || p.Path != relative {
		t.Errorf("the digest of %s depends on where phasegate runs", relative)
	}
}

func TestAnAbsolutePathKeepsTheDigestWhereverThePlanLies(t *testing.T) {
	t.Parallel()
	elsewhere := filepath.Dir(written(t, "", map[string]string{"1.sql": "x"}))
	src := withFiles[:len(withFiles)-len("schema } }\n")] + elsewhere + " } }\n"
	deep := filepath.Join(filepath.Dir(written(t, "", map[string]string{"a/b/plan.yaml": src})), "a", "b", "plan.yaml")
	if a, b := mustLoad(t, written(t, src, map[string]string{})), mustLoad(t, deep); a.Digest != b.Digest {
		t.Error("the digest depends on the plan's directory")
	}
}

func TestAPlanThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, path := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir()} {
		if p, diagnostics, err := plan.Load(path, plantest.Tasks()); err == nil || p != nil || diagnostics != nil {
			t.Errorf("%s: got %v, %v, %v", path, p, diagnostics, err)
		}
	}
}
