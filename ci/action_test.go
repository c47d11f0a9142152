package ci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"text/template"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/ci"
)

// An installer is the action's one step, and where it works.
type installer struct {
	*testing.T
	dir, script string
	environ     []string
}

// newInstaller reads the step as the runner does, and gives it the inputs.
func newInstaller(t *testing.T, inputs map[string]string) *installer {
	t.Helper()
	var action struct {
		Inputs map[string]struct{ Default string }
		Runs   struct {
			Steps []struct {
				Shell, Run string
				Env        map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(ci.Action), &action); err != nil || len(action.Runs.Steps) != 1 || action.Runs.Steps[0].Shell != "bash" {
		t.Fatalf("the action has another form than the test: %v", err)
	}
	step := action.Runs.Steps[0]
	i := &installer{T: t, dir: t.TempDir(), script: step.Run}
	for _, name := range []string{"work", "bin", "temp"} {
		if err := os.Mkdir(i.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	i.environ = []string{
		"PATH=" + i.path("bin") + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GOFLAGS=-buildvcs=false", "GITHUB_PATH=" + i.path("paths"),
	}
	for name, value := range step.Env {
		value = strings.ReplaceAll(value, "${{ runner.temp }}", i.path("temp"))
		for input, is := range action.Inputs {
			given, ok := inputs[input]
			if !ok {
				given = is.Default
			}
			value = strings.ReplaceAll(value, "${{ inputs."+input+" }}", given)
		}
		i.environ = append(i.environ, name+"="+value)
	}
	return i
}

func (i *installer) path(names ...string) string {
	return filepath.Join(append([]string{i.dir}, names...)...)
}

// program puts a script on the path.
func (i *installer) program(name, script string) {
	i.Helper()
	if err := os.WriteFile(i.path("bin", name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		i.Fatal(err)
	}
}

// install carries the step out as the runner does, and returns what it says and
// whether it succeeds.
func (i *installer) install() (said string, ok bool) {
	i.Helper()
	if err := os.WriteFile(i.path("step.sh"), []byte(i.script), 0o600); err != nil {
		i.Fatal(err)
	}
	cmd := exec.CommandContext(i.Context(), "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", i.path("step.sh"))
	cmd.Dir, cmd.Env = i.path("work"), i.environ
	text, err := cmd.CombinedOutput()
	return string(text), err == nil
}

// onPath tells whether later steps find phasegate.
func (i *installer) onPath() bool {
	paths, err := os.ReadFile(i.path("paths"))
	return err == nil && strings.TrimSpace(string(paths)) == i.path("temp", "phasegate-bin")
}

// archiveName is how .goreleaser.yaml names a platform's archive.
func archiveName(t *testing.T, version, system, arch string) string {
	t.Helper()
	text, err := os.ReadFile("../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var release struct {
		Project  string `yaml:"project_name"`
		Checksum struct {
			Name      string `yaml:"name_template"`
			Algorithm string
		}
		Archives []struct {
			Formats []string
			Name    string `yaml:"name_template"`
		}
	}
	if err := yaml.Unmarshal(text, &release); err != nil || len(release.Archives) != 1 || release.Archives[0].Formats[0] != "tar.gz" {
		t.Fatalf("%+v %v", release, err)
	}
	if release.Checksum.Name != "checksums.txt" || release.Checksum.Algorithm != "sha256" {
		t.Fatalf("the action reads another list than %+v", release.Checksum)
	}
	var name strings.Builder
	err = template.Must(template.New("name").Parse(release.Archives[0].Name)).Execute(&name, map[string]string{
		"ProjectName": release.Project, "Version": version, "Os": system, "Arch": arch,
	})
	if err != nil {
		t.Fatal(err)
	}
	return name.String() + ".tar.gz"
}

// packed is an archive with a program that says its version.
func packed(t *testing.T) []byte {
	t.Helper()
	program := "#!/bin/sh\necho phasegate v1.2.0\n"
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	files := tar.NewWriter(zip)
	if err := files.WriteHeader(&tar.Header{Name: "phasegate", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// releases serves the release v1.2.0 of all platforms, and the list of its
// checksums, to which lines may be added or from which they may be taken.
func releases(t *testing.T, list func(string) string) (address, checksum string) {
	t.Helper()
	archive := packed(t)
	checksum = fmt.Sprintf("%x", sha256.Sum256(archive))
	lines, names := "", map[string]bool{}
	for _, system := range []string{"linux", "darwin"} {
		for _, arch := range []string{"amd64", "arm64"} {
			name := archiveName(t, "1.2.0", system, arch)
			names["/v1.2.0/"+name] = true
			lines += checksum + "  " + name + "\n" + strings.Repeat("0", 64) + "  " + name + ".sbom.json\n"
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1.2.0/checksums.txt":
			fmt.Fprint(w, list(lines))
		case names[r.URL.Path]:
			_, _ = w.Write(archive)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, checksum
}

func asIs(list string) string { return list }

func TestTheActionInstallsAReleaseOnlyIfItsChecksumHolds(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("the action is for Linux and macOS")
	}
	for _, c := range []struct {
		name     string
		inputs   map[string]string
		platform string // what uname says; "" is the real one
		list     func(string) string
		want     string // what a refusal says; "" installs
	}{
		{name: "by the release's list"},
		{name: "on linux, arm64", platform: "Linux aarch64"},
		{name: "on macOS", platform: "Darwin arm64"},
		{name: "by a checksum of the workflow's", inputs: map[string]string{"checksum": "RIGHT"}, list: func(string) string { return "" }},
		{name: "another checksum", inputs: map[string]string{"checksum": strings.Repeat("a", 64)}, want: "not aaaa"},
		{name: "another one on the list", list: func(string) string { return strings.Repeat("b", 64) + "  phasegate_1.2.0_linux_amd64.tar.gz\n" }, platform: "Linux x86_64", want: "not bbbb"},
		{name: "not on the list", list: func(string) string { return "" }, want: "not on the list"},
		{name: "no such release", inputs: map[string]string{"version": "v9.9.9"}, want: "release v9.9.9 has no phasegate_9.9.9_"},
		{name: "no such system", platform: "FreeBSD amd64", want: "there is no release for FreeBSD"},
		{name: "no such processor", platform: "Linux riscv64", want: "there is no release for riscv64"},
		{name: "no version", inputs: map[string]string{"version": "latest"}, want: "version is latest: write a release"},
		{name: "not installed", inputs: map[string]string{"version": "installed"}, want: "phasegate is not installed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.list == nil {
				c.list = asIs
			}
			address, checksum := releases(t, c.list)
			inputs := map[string]string{"version": "v1.2.0", "releases": address}
			for name, value := range c.inputs {
				inputs[name] = strings.ReplaceAll(value, "RIGHT", checksum)
			}
			i := newInstaller(t, inputs)
			if system, processor, ok := strings.Cut(c.platform, " "); ok {
				i.program("uname", fmt.Sprintf("case $1 in -s) echo %s ;; -m) echo %s ;; esac", system, processor))
			}
			if c.name == "not installed" {
				i.program("phasegate", "exit 127")
			}
			said, ok := i.install()
			_, err := os.Stat(i.path("temp", "phasegate-bin", "phasegate"))
			if c.want == "" {
				if !ok || err != nil || !i.onPath() || !strings.Contains(said, "phasegate v1.2.0") {
					t.Errorf("it is not installed, %v:\n%s", err, said)
				}
				return
			}
			if ok || err == nil || i.onPath() || !strings.Contains(said, "::error title=phasegate::") || !strings.Contains(said, c.want) {
				t.Errorf("it does not refuse with %q:\n%s", c.want, said)
			}
		})
	}
}

func TestTheActionTakesWhatIsInstalledOrTheSource(t *testing.T) {
	t.Parallel()
	i := newInstaller(t, map[string]string{"version": "installed"})
	i.program("phasegate", "echo phasegate v7.0.0")
	if said, ok := i.install(); !ok || !strings.Contains(said, "v7.0.0") {
		t.Errorf("installed: %s", said)
	}
	i = newInstaller(t, map[string]string{"version": "source"})
	for name, text := range map[string]string{"go.mod": "module x\n", "main.go": "package main\n\nfunc main() { println(\"from source\") }\n"} {
		if err := os.WriteFile(i.path("work", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, ok := i.install(); !ok || !i.onPath() || !strings.Contains(said, "from source") {
		t.Errorf("source: %s", said)
	}
}
