package plan_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

// TestMain lets the test's own program be the process whose time and memory is
// measured: it reads a plan and prints what it found and what that took.
func TestMain(m *testing.M) {
	path := os.Getenv("PHASEGATE_TEST_READ")
	if path == "" {
		os.Exit(m.Run())
	}
	before := used()
	_, diagnostics, err := plan.Load(path, plantest.Tasks())
	after := used()
	if err != nil {
		os.Exit(1)
	}
	fmt.Printf("%d %d\n", (after.cpu - before.cpu).Microseconds(), after.peak)
	for _, d := range diagnostics[:min(2, len(diagnostics))] {
		fmt.Println(d)
	}
	fmt.Println(len(diagnostics), "findings")
}

// usage is what a process took: its CPU time, and its peak memory in KiB.
type usage struct {
	cpu  time.Duration
	peak int64
}

func used() usage {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	used := usage{cpu: time.Duration(u.Utime.Nano() + u.Stime.Nano())}
	status, _ := os.ReadFile("/proc/self/status") // getrusage's peak is also that of the process before exec
	if _, peak, ok := strings.Cut(string(status), "VmHWM:"); ok {
		_, _ = fmt.Sscan(peak, &used.peak)
	}
	return used
}

// read has another process read a plan, and returns what it took and its first
// findings.
func read(t *testing.T, src string) (usage, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	self := exec.Command(os.Args[0])
	self.Env = append(os.Environ(), "PHASEGATE_TEST_READ="+path)
	out, err := self.Output()
	if err != nil {
		t.Fatal(err)
	}
	var cpu, peak int64
	if _, err := fmt.Sscan(string(out), &cpu, &peak); err != nil {
		t.Fatal(err)
	}
	_, findings, _ := bytes.Cut(out, []byte("\n"))
	lines := strings.Split(strings.TrimSpace(string(findings)), "\n")
	return usage{time.Duration(cpu) * time.Microsecond, peak}, lines
}

// raced tells whether the race detector is at work, which takes several times the
// time and memory.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// with is a plan with one configuration, or with one value of it.
func with(value string) string {
	return "version: 1\nname: x\nphases:\n  - name: one\n    steps:\n      - { id: a, task: service/reload, with: " + value + " }\n"
}

func laughs() string {
	var b strings.Builder
	b.WriteString("version: 1\nname: x\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	return b.String()
}

// rows are the hazards of YAML, with what is said of each, or "" where it is read
// as it is written.
var rows = []struct{ name, src, finding string }{
	{"billion laughs", laughs(), "the aliases up to here stand for more than"},
	{"an anchor that holds itself", "a: &a [*a]\n", "stands inside its own anchor"},
	{"duplicate keys", "version: 1\nversion: 1\nname: x\nphases: []\n", `the key "version" stands here a second time`},
	{"200,000 open brackets", strings.Repeat("[", 200_000), "nested more than 64 deep"},
	{"100,000 dashes", strings.Repeat("- ", 100_000), "nested more than 64 deep"},
	{"50,000 keys", wide(50_000), "unknown key"},
	{"20,000 anchors and aliases", anchors(20_000), "needs the keys"},
	{"Norway", with("{ service: no }"), ""},
	{"yes for a boolean", "version: 1\nname: x\nphases:\n  - { name: one, keep_going: yes, steps: [{ id: a, task: service/reload, with: { service: b } }] }\n", "wants true or false"},
	{"a huge whole number", with("{ service: a, drain: 123456789012345678901234567890 }"), "is out of range"},
	{"an octal number", with("{ service: a, drain: 0777 }"), "has a leading zero"},
	{"a leading zero", with("{ service: a, drain: 012 }"), "has a leading zero"},
	{"a text of digits", with("{ service: 012 }"), ""},
	{"an exponent for a whole number", with("{ service: a, drain: 1e3 }"), "wants a whole number"},
	{"latin-1", with("{ service: \"\xe4\" }"), "this byte is not UTF-8"},
	{"UTF-16", "\xff\xfev\x00e\x00", "the file is UTF-16"},
	{"a byte order mark", "\uFEFF" + with("{ service: a }"), ""},
	{"NUL", with("{ service: \"a\x00\" }"), "a NUL byte has no place"},
	{"a control character", with("{ service: \"a\x07\" }"), "a control character has no place"},
	{"a second document", with("{ service: a }") + "---\na: b\n", "a second document starts here"},
	{"a timestamp", with("{ service: 2026-01-01 }"), ""},
	{"a merge key", with("{ service: a, <<: { drain: 1 } }"), "merge keys have no place"},
}

func TestEveryHazardOfYAMLIsRefusedOrReadAsWrittenInNoTime(t *testing.T) {
	t.Parallel()
	for _, row := range rows {
		took, findings := read(t, row.src)
		switch {
		case row.finding == "" && findings[0] != "0 findings":
			t.Errorf("%s: want no finding, got %q", row.name, findings)
		case row.finding != "" && !strings.Contains(strings.Join(findings, "\n"), row.finding):
			t.Errorf("%s: want %q, got %q", row.name, row.finding, findings)
		}
		if !raced() && (took.cpu > time.Second || took.peak > 100<<10) {
			t.Errorf("%s: took %v and %d MiB", row.name, took.cpu, took.peak>>10)
		}
		t.Logf("%-30s %8v %3d MiB", row.name, took.cpu.Round(time.Millisecond), took.peak>>10)
	}
}
