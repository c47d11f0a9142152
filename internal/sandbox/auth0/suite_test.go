package auth0_test

import (
	"bufio"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// suiteFiles are the SDK's tests of the endpoints that the tenant serves.
func suiteFiles() []string {
	return []string{
		"user_test.go", "role_test.go", "job_test.go", "client_test.go", "client_grant_test.go",
		"resource_server_test.go", "actions_test.go", "connection_test.go", "ticket_test.go",
	}
}

// suiteTests returns the names of the tests in a file that talk to a tenant:
// those that would be recorded.
func suiteTests(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	var names []string
	for function := range strings.SplitSeq(string(data), "\nfunc ") {
		name, _, _ := strings.Cut(function, "(")
		if strings.HasPrefix(name, "Test") && strings.Contains(function, "configureHTTPTestRecordings(t)") {
			names = append(names, name)
		}
	}
	return names
}

// TestTheSDKsOwnTestsPass runs the tests of github.com/auth0/go-auth0, unmodified
// and compiled from the module cache, against the tenant over TLS. Those that are
// known to fail are in testdata/differences.txt, each with the reason.
func TestTheSDKsOwnTestsPass(t *testing.T) {
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("compiling the SDK's tests takes a minute: set PHASEGATE_SOAK=1")
	}
	t.Parallel()
	module := filepath.Join(t.TempDir(), "go-auth0")
	must(t, os.CopyFS(module, os.DirFS(sdkModule(t))))
	command(t, module, nil, "chmod", "-R", "u+w", module)
	command(t, module, []string{"GOFLAGS=-mod=mod"}, "go", "test", "-c", "-o", "suite", "./management")
	var names []string
	for _, file := range suiteFiles() {
		names = append(names, suiteTests(t, filepath.Join(module, "management", file))...)
	}
	ends := map[string][]string{}
	for line := range strings.Lines(runSuite(t, module, names)) {
		if m := regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\w+) `).FindStringSubmatch(line); m != nil {
			ends[m[1]] = append(ends[m[1]], m[2])
		}
	}
	t.Logf("%d tests of the SDK: %d pass, %d fail, %d are skipped by the SDK",
		len(names), len(ends["PASS"]), len(ends["FAIL"]), len(ends["SKIP"]))
	known := readReasons(t, suiteMark)
	slices.Sort(ends["FAIL"])
	if expected := slices.Sorted(maps.Keys(known)); !slices.Equal(ends["FAIL"], expected) {
		t.Errorf("these fail:      %v\nknown to differ: %v", ends["FAIL"], expected)
	}
	ran := len(names) - len(ends["SKIP"])
	if len(ends["PASS"])*100 < ran*95 || ran < 100 {
		t.Errorf("%d of %d pass, want 95 %%", len(ends["PASS"]), ran)
	}
}

// runSuite runs the compiled tests against a tenant and returns what they say.
func runSuite(t *testing.T, module string, names []string) string {
	t.Helper()
	config := recordedTenant()
	config.Domain = "" // the address, which is where the SDK asks
	tenant := auth0.NewTenant(config)
	server := serve(t, tenant)
	id, secret := tenant.ManagementClient()
	suite := exec.CommandContext(t.Context(), "../suite", "-test.v", "-test.run", "^("+strings.Join(names, "|")+")$")
	suite.Dir = filepath.Join(module, "management")
	suite.Env = append(os.Environ(), "AUTH0_DOMAIN="+server.Domain, "AUTH0_CLIENT_ID="+id, "AUTH0_CLIENT_SECRET="+secret,
		"AUTH0_HTTP_RECORDINGS=off", "SSL_CERT_FILE="+server.CAFile)
	out, err := suite.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "\nFAIL") {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "\npanic: ") {
		t.Fatalf("the SDK's tests broke off:\n%s", out)
	}
	return string(out)
}

func command(t *testing.T, dir string, environ []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environ...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// suiteMark begins the lines of testdata/differences.txt that are tests of the SDK.
const suiteMark = "go-auth0 "

// openAPIMark begins those that are differences to the OpenAPI document.
const openAPIMark = "openapi "

// readReasons reads the lines "difference # reason" of testdata/differences.txt
// that begin with mark, without it. "" stands for those with none.
func readReasons(t *testing.T, mark string) map[string]bool {
	t.Helper()
	file, err := os.Open("testdata/differences.txt")
	must(t, err)
	defer file.Close()
	known := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		difference, reason, ok := strings.Cut(line, " # ")
		switch {
		case line == "" || strings.HasPrefix(line, "#") || markOf(line) != mark:
		case !ok || reason == "":
			t.Errorf("testdata/differences.txt: no reason for %s", line)
		default:
			known[strings.TrimPrefix(strings.TrimSpace(difference), mark)] = false
		}
	}
	return known
}

func markOf(line string) string {
	for _, mark := range []string{suiteMark, openAPIMark} {
		if strings.HasPrefix(line, mark) {
			return mark
		}
	}
	return ""
}
