package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/medlogistics/phasegate/ci"
)

const actPlan = `version: 1
name: toy
env: { FIRST: {}, SECOND: {}, BACK: {}, TOKEN: { secret: true } }
phases:
  - name: look
    steps:
      - { id: disk, task: host/disk, with: { path: ".", min: 1kB } }
  - name: change
    on_failure: rollback
    gates:
      - { id: approve, task: gate/approval, with: { environment: prod } }
    steps:
      - { id: first, task: service/stop, with: { service: "${{ env.FIRST }}" } }
      - { id: second, task: service/stop, with: { service: "${{ env.SECOND }}" } }
    rollback:
      - { id: back, task: service/stop, with: { service: "${{ env.BACK }}" } }
`

// uploadStub and downloadStub stand in for the actions that need GitHub's store.
const (
	uploadStub = `name: upload
inputs: { name: { required: true }, path: { required: true }, if-no-files-found: { default: warn } }
runs:
  using: composite
  steps:
    - shell: bash
      env: { NAME: "${{ inputs.name }}", FILE: "${{ inputs.path }}" }
      run: if test -e "$FILE"; then mkdir -p "$ARTIFACTS/$GITHUB_RUN_ID"; mkdir "$ARTIFACTS/$GITHUB_RUN_ID/$NAME"; cp "$FILE" "$ARTIFACTS/$GITHUB_RUN_ID/$NAME/"; fi
`
	downloadStub = `name: download
inputs: { name: { required: true }, run-id: {}, github-token: {} }
runs:
  using: composite
  steps:
    - shell: bash
      env: { NAME: "${{ inputs.name }}", RUN: "${{ inputs.run-id }}" }
      run: cp "$ARTIFACTS/$RUN/$NAME/"* .
`
)

// An acted is a repository whose workflow act carries out, offline. Each job works
// in a copy of its own, as on a machine of its own.
type acted struct {
	*job
	state   string
	journal string // where PHASEGATE_JOURNAL says that it is
	repo    string // directory of the repository
	attempt int    // of the workflow's run; 0 is the first
	count   int    // of workflows that were started
}

// act builds it once, and returns where it is: Go keeps what `go tool` built.
var act = sync.OnceValues(func() (string, error) {
	build := exec.Command("go", "tool", "-n", "act")
	build.Dir = "../../tools/act"
	var said bytes.Buffer
	build.Stderr = &said
	path, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("build act: %w\n%s", err, &said)
	}
	return strings.TrimSpace(string(path)), nil
})

// repository makes one with the plan and its workflow.
func repository(t *testing.T, state string, reviews ...http.HandlerFunc) *acted {
	r := emptyRepository(t, state, reviews...)
	r.write("repo/plan.yaml", actPlan)
	r.calledThere(
		[]string{"phasegate", "workflow", "plan.yaml", "--state", state, "--runner", "self-hosted", "--phasegate", "installed"},
		[]string{"git", "init", "-q"},
		[]string{"git", "remote", "add", "origin", "https://github.com/hospital/cutover"})
	if text, err := os.ReadFile(r.path("repo", filepath.FromSlash(ci.ActionFile))); err != nil || string(text) != ci.Action {
		t.Fatalf("the action is not there: %v", err)
	}
	return r
}

// emptyRepository makes one, with what a workflow needs beside it.
func emptyRepository(t *testing.T, state string, reviews ...http.HandlerFunc) *acted {
	t.Helper()
	if _, err := act(); err != nil {
		t.Fatal(err)
	}
	r := &acted{job: newJob(t, "", reviews...), state: state, repo: "repo"}
	r.journal = r.path("journal")
	for _, name := range []string{"repo", "upload", "download", "artifacts", "cache", "home", "bin"} {
		if err := os.MkdirAll(r.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.write("upload/action.yml", uploadStub)
	r.slowToFail()
	r.write("download/action.yml", downloadStub)
	return r
}

// slowToFail puts a shell before the real one that ends a second later when it fails:
// of a step that fails act drops what it has not read from its terminal yet.
func (r *acted) slowToFail() {
	r.Helper()
	shell, err := exec.LookPath("bash")
	if err != nil {
		r.Fatal(err)
	}
	r.write("bin/bash", fmt.Sprintf("#!/bin/sh\n%s \"$@\" && exit\ncode=$?\nsleep 1\nexit $code\n", shell))
	if err := os.Chmod(r.path("bin", "bash"), 0o700); err != nil {
		r.Fatal(err)
	}
}

// calledThere calls programs in the repository.
func (r *acted) calledThere(programs ...[]string) {
	r.Helper()
	for _, args := range programs {
		cmd := exec.CommandContext(r.Context(), args[0], args[1:]...)
		cmd.Dir = r.path(r.repo)
		if said, err := cmd.CombinedOutput(); err != nil {
			r.Fatalf("%v: %v\n%s", args, err, said)
		}
	}
}

// moves has the workflows that follow work on another machine, which shares
// nothing with the first but the repository.
func (r *acted) moves() {
	r.Helper()
	to := fmt.Sprint("repo-", r.count)
	if err := os.CopyFS(r.path(to), os.DirFS(r.path(r.repo))); err != nil {
		r.Fatal(err)
	}
	if err := os.RemoveAll(r.path("cache")); err != nil {
		r.Fatal(err)
	}
	r.repo = to
}

// An actLine is what act says of a workflow, line by line.
type actLine struct {
	Job       string            `json:"jobID"`
	Command   string            `json:"command"`
	Name      string            `json:"name"`
	Arg       string            `json:"arg"`
	Content   string            `json:"content"`
	Message   string            `json:"msg"`
	JobResult string            `json:"jobResult"`
	Pairs     map[string]string `json:"kvPairs"`
}

// A story is what a workflow did.
type story struct {
	results map[string]string // by job
	outputs map[string]string // by job and name, as job.name
	pages   map[string]string // by job
	marks   []actLine         // annotations
	log     string
}

// dispatch starts the workflow with inputs, which are NAME=VALUE.
func (r *acted) dispatch(inputs ...string) story {
	r.Helper()
	r.count++
	args := []string{
		"workflow_dispatch", "-W", ".github/workflows/toy.yml", "-P", "self-hosted=-self-hosted", "-P", "ubuntu-latest=-self-hosted",
		"--no-cache-server", "--artifact-server-addr", "127.0.0.1", "-a", "alice", "--json", "--action-cache-path", r.path("cache"),
		"--env", fmt.Sprint("GITHUB_RUN_ID=", r.count), "--env", "ARTIFACTS=" + r.path("artifacts"), "-s", "GITHUB_TOKEN=t0ken-of-the-job", "-s", "TOKEN=s3cret-canary",
		"--local-repository", "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f=" + r.path("upload"),
		"--local-repository", "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c=" + r.path("download"),
	}
	switch r.state {
	case ci.StatePostgres:
		args = append(args, "-s", "PHASEGATE_JOURNAL="+r.journal)
	case ci.StateDirectory:
		args = append(args, "--var", "PHASEGATE_JOURNAL="+r.journal)
	}
	if r.attempt > 0 {
		args = append(args, "--env", fmt.Sprint("GITHUB_RUN_ATTEMPT=", r.attempt))
	}
	for _, variable := range r.environ {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "FIRST", "SECOND", "BACK":
			args = append(args, "--var", variable)
		case "GITHUB_API_URL":
			args = append(args, "--env", variable)
		}
	}
	for _, input := range append([]string{"reason=a test", "environment=production", "from=look", "to=change", "if_stopped=as-planned"}, inputs...) {
		args = append(args, "--input", input)
	}
	path, err := act()
	if err != nil {
		r.Fatal(err)
	}
	cmd := exec.CommandContext(r.Context(), path, args...)
	cmd.Dir = r.path(r.repo)
	cmd.Env = []string{"PATH=" + r.path("bin") + ":" + os.Getenv("PATH"), "HOME=" + r.path("home")}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	_ = cmd.Run() // a job that fails is a story too
	return tell(r.T, said.Bytes())
}

func tell(t *testing.T, log []byte) story {
	t.Helper()
	s := story{results: map[string]string{}, outputs: map[string]string{}, pages: map[string]string{}, log: string(log)}
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var line actLine
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		switch line.Command {
		case "set-output":
			s.outputs[line.Job+"."+line.Name] = line.Arg
		case "summary":
			s.pages[line.Job] += line.Content
		case "error", "warning", "notice":
			s.marks = append(s.marks, line)
		}
		if line.JobResult != "" {
			s.results[line.Job] = line.JobResult
		}
	}
	if len(s.results) == 0 {
		t.Fatalf("act did nothing:\n%s", log)
	}
	return s
}

func (s story) expect(t *testing.T, results map[string]string, outputs map[string]string) {
	t.Helper()
	for job, want := range results {
		if s.results[job] != want {
			t.Errorf("job %s ended %q, want %q", job, s.results[job], want)
		}
	}
	for job := range s.results {
		if _, expected := results[job]; !expected {
			t.Errorf("job %s was carried out", job)
		}
	}
	for name, want := range outputs {
		if s.outputs[name] != want {
			t.Errorf("output %s is %q, want %q", name, s.outputs[name], want)
		}
	}
	if t.Failed() {
		t.Logf("act says:\n%s", s.log)
	}
}

// marked tells whether an annotation has the text in its title or its message.
func (s story) marked(text string) bool {
	for _, mark := range s.marks {
		if strings.Contains(mark.Pairs["title"]+": "+mark.Arg, text) {
			return true
		}
	}
	return false
}
