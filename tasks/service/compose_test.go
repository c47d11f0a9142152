package service_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/service"
)

// needEngine skips the test where no Docker Engine answers. Under CI it fails:
// there, a skipped test would go unnoticed.
func needEngine(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	switch {
	case err == nil:
		t.Logf("Docker Engine %s", strings.TrimSpace(string(out)))
	case os.Getenv("CI") != "":
		t.Fatalf("no Docker Engine answers, and under CI one must: %v: %s", err, out)
	default:
		t.Skipf("no Docker Engine answers: %v", err)
	}
}

func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "DOCKER_BUILDKIT=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}

// newProject makes an image from nothing and a Compose project with two
// services of it, and removes both after the test.
func newProject(t *testing.T) (file, project, url string) {
	t.Helper()
	needEngine(t)
	dir, host := t.TempDir(), freeAddress(t)
	project = fmt.Sprintf("phasegate-test-%d", os.Getpid())
	image := project + ":1"
	run(t, "", "go", "build", "-o", filepath.Join(dir, "healthd"), "./testdata/healthd")
	file = filepath.Join(dir, "docker-compose.yml")
	for name, content := range map[string]string{
		"Dockerfile": "FROM scratch\nCOPY healthd /healthd\nENTRYPOINT [\"/healthd\"]\n",
		"docker-compose.yml": fmt.Sprintf(
			"version: \"3\"\nservices:\n  api:\n    image: %[1]s\n    restart: always\n    ports: [\"%[2]s:8000\"]\n  db:\n    image: %[1]s\n", image, host),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "docker", "build", "--quiet", "--tag", image, ".")
	t.Cleanup(func() { run(t, dir, "docker", "rmi", "--force", image) })
	t.Cleanup(func() { removeProject(t, project) })
	return file, project, "http://" + host + "/health"
}

// removeProject takes away what carries the project's label, whichever Compose
// made it.
func removeProject(t *testing.T, project string) {
	t.Helper()
	label := "label=com.docker.compose.project=" + project
	for _, kind := range [][]string{
		{"ps --all --quiet --filter " + label, "rm --force --volumes"},
		{"network ls --quiet --filter " + label, "network rm"},
	} {
		out, err := exec.Command("docker", strings.Fields(kind[0])...).Output()
		if err != nil {
			t.Errorf("docker %s: %v", kind[0], err)
		}
		if ids := strings.Fields(string(out)); len(ids) > 0 {
			run(t, "", "docker", append(strings.Fields(kind[1]), ids...)...)
		}
	}
}

func TestAComposeServiceIsStartedAndStopped(t *testing.T) {
	t.Parallel()
	file, project, url := newProject(t)
	api := address(t, "compose://api?file="+file+"&project="+project)
	start := &service.Start{Service: api, URL: task.URL(url), Timeout: time.Minute}
	stop := &service.Stop{Service: api, URL: task.URL(url), Timeout: time.Minute}
	env := tasktest.Env(t)

	for range 2 { // from nothing, then from a stopped container
		if err := start.Check(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		if receipt, err := start.Run(t.Context(), env); err != nil || receipt.HealthyMS == 0 {
			t.Fatalf("start: %+v, %v", receipt, err)
		}
		if _, err := start.Run(t.Context(), env); !isSkip(err) {
			t.Errorf("a start of what runs: %v", err)
		}
		if _, err := stop.Run(t.Context(), env); err != nil {
			t.Fatalf("stop: %v", err)
		}
		if response, err := http.Get(url); err == nil {
			t.Errorf("after the stop the page answers with %s", response.Status)
		}
		if _, err := stop.Run(t.Context(), env); !isSkip(err) {
			t.Errorf("a stop of what is down: %v", err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "docker", "ps", "--all", "--quiet",
		"--filter", "label=com.docker.compose.project="+project, "--filter", "label=com.docker.compose.service=db").Output()
	if err != nil || len(out) > 0 {
		t.Errorf("start touched the service db too: %q, %v", out, err)
	}
	other := &service.Stop{Service: address(t, "compose://apj?file="+file), Timeout: time.Minute}
	if err := other.Check(t.Context(), env); err == nil || !strings.Contains(err.Error(), "no service apj, only api, db") {
		t.Errorf("an unknown service: %v", err)
	}
}

func TestAMissingComposeFileIsNamed(t *testing.T) {
	t.Parallel()
	stop := &service.Stop{Service: address(t, "compose://api?file=absent.yml"), Timeout: time.Minute}
	err := stop.Check(t.Context(), tasktest.Env(t))
	if err == nil || !strings.Contains(err.Error(), "absent.yml") || !strings.Contains(task.HintOf(err), "directory") {
		t.Errorf("error %v", err)
	}
}

func TestAnEngineThatDoesNotAnswerIsToldFromAServiceThatFails(t *testing.T) {
	if _, err := exec.LookPath("docker-compose"); err != nil {
		if err := exec.Command("docker", "compose", "version").Run(); err != nil {
			t.Skip("no Docker Compose is installed")
		}
	}
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/absent.sock")
	file := filepath.Join(t.TempDir(), "docker-compose.yml")
	if err := os.WriteFile(file, []byte("version: \"3\"\nservices:\n  api:\n    image: none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := &service.Stop{Service: address(t, "compose://api?file="+file), Timeout: time.Minute}
	err := stop.Check(t.Context(), tasktest.Env(t))
	if err == nil || !strings.HasSuffix(err.Error(), "the Docker Engine does not answer") || task.HintOf(err) == "" {
		t.Errorf("error %v, hint %q", err, task.HintOf(err))
	}
}
