package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/ci"
	"github.com/medlogistics/phasegate/plans"
	"github.com/medlogistics/phasegate/schema"
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

// An acted is a repository whose workflow act carries out, offline.
type acted struct {
	*job
	act, state string
	count      int // of workflows that were started
}

// needsAct skips a test where no long tests are wanted: act takes two minutes to
// build.
func needsAct(t *testing.T) string {
	t.Helper()
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("builds act: set PHASEGATE_SOAK=1")
	}
	path := filepath.Join(t.TempDir(), "act")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "github.com/nektos/act")
	build.Dir = "../../tools/act"
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build act: %v\n%s", err, said)
	}
	return path
}

// repository makes one with the plan and its workflow.
func repository(t *testing.T, act, state string, reviews ...http.HandlerFunc) *acted {
	r := &acted{newJob(t, "", reviews...), act, state, 0}
	for _, name := range []string{"repo/.github/actions/phasegate", "upload", "download", "artifacts", "cache", "home"} {
		if err := os.MkdirAll(r.path(filepath.FromSlash(name)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.write("repo/plan.yaml", actPlan)
	r.write("upload/action.yml", uploadStub)
	r.write("download/action.yml", downloadStub)
	for _, args := range [][]string{
		{"phasegate", "workflow", "plan.yaml", "--state", state, "--runner", "self-hosted", "--phasegate", "installed"},
		{"git", "init", "-q"},
		{"git", "remote", "add", "origin", "https://github.com/hospital/cutover"},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = r.path("repo")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, said)
		}
	}
	if text, err := os.ReadFile(r.path("repo", filepath.FromSlash(ci.ActionFile))); err != nil || string(text) != ci.Action {
		t.Fatalf("the action is not there: %v", err)
	}
	return r
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
		"--var", "PHASEGATE_JOURNAL=" + r.path("journal"),
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
	cmd := exec.CommandContext(r.Context(), r.act, args...)
	cmd.Dir = r.path("repo")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.path("home")}
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

func (s story) marked(title string) bool {
	for _, mark := range s.marks {
		if strings.Contains(mark.Pairs["title"], title) {
			return true
		}
	}
	return false
}

// All paths of one workflow, in the order in which a cut-over would take them.
func TestActCarriesTheGeneratedWorkflowOut(t *testing.T) {
	act := needsAct(t)
	for _, state := range []string{ci.StateDirectory, ci.StateArtifact} {
		t.Run(state, func(t *testing.T) {
			r := repository(t, act, state, history(), history("approved bob prod"))

			s := r.dispatch("do=preview")
			s.expect(t, map[string]string{"preview": "success"}, nil)
			digest := s.outputs["preview.digest"]
			if len(digest) != 64 || !strings.Contains(s.pages["preview"], "An approval covers digest `"+digest) {
				t.Errorf("digest %q, page:\n%s", digest, s.pages["preview"])
			}

			s = r.dispatch("do=run") // nobody has approved
			s.expect(t, map[string]string{"preview": "success", "run-look": "success", "approve-change-1": "success", "run-change": "failure"},
				map[string]string{"run-look.status": "open", "run-change.status": "waiting", "run-change.gate": "approve", "run-change.digest": digest})
			if !s.marked("change/approve waits") || !strings.Contains(s.pages["run-change"], "waits at a gate") {
				t.Errorf("marks %+v, page:\n%s", s.marks, s.pages["run-change"])
			}
			r.kept()

			inputs := []string{"do=run"}
			if state == ci.StateArtifact {
				inputs = append(inputs, "journal="+s.outputs["run-change.place"])
			}
			run := s.outputs["run-look.run"]
			s = r.dispatch(append(inputs, "from=change")...) // now bob has
			s.expect(t, map[string]string{"preview": "success", "approve-change-1": "success", "run-change": "success"},
				map[string]string{"run-change.status": "done", "run-change.run": run})
			if !strings.Contains(s.pages["run-change"], "gantt") || strings.Contains(fmt.Sprint(s.pages, s.outputs), "s3cret") {
				t.Errorf("page:\n%s", s.pages["run-change"])
			}
			r.kept()

			inputs[0] = "do=rollback"
			if state == ci.StateArtifact {
				inputs[1] = "journal=" + s.outputs["run-change.place"]
			}
			s = r.dispatch(inputs...)
			s.expect(t, map[string]string{"preview": "success", "rollback": "success"}, map[string]string{"rollback.status": "rolled_back"})
		})
	}
}

// kept holds that the workflow left its events, and its journal only where that
// is how it is handed on.
func (r *acted) kept() {
	r.Helper()
	for name, want := range map[string]bool{"events-*": true, "journal-*": r.state == ci.StateArtifact} {
		found, err := filepath.Glob(r.path("artifacts", fmt.Sprint(r.count), name, "*"))
		if err != nil || (len(found) > 0) != want {
			r.Errorf("workflow %d kept %v", r.count, found)
		}
	}
}

func TestActTakesBackWhatFailsAndLeavesTheRest(t *testing.T) {
	act := needsAct(t)
	r := repository(t, act, ci.StateDirectory, history("approved bob prod"))
	r.service("second", `echo "::set-output name=status::done"; exit 1`)
	s := r.dispatch("do=run")
	s.expect(t, map[string]string{"preview": "success", "run-look": "success", "approve-change-1": "success", "run-change": "failure"},
		map[string]string{"run-change.status": "rolled_back"})
	if !s.marked("change/second failed") || !strings.Contains(s.log, "nothing is taken back: run ") {
		t.Errorf("marks %+v:\n%s", s.marks, s.log)
	}
	if _, err := os.Stat(r.path("back", "stopped")); err != nil {
		t.Errorf("it is not taken back: %v", err)
	}
}

// README's five steps, but for the release, which is the program at hand, and the
// settings, of which a rehearsal needs none.
func TestActRehearsesFromAnEmptyRepository(t *testing.T) {
	act := needsAct(t)
	r := &acted{newJob(t, "", history()), act, ci.StatePostgres, 0}
	for _, name := range []string{"repo", "upload", "download", "artifacts", "cache", "home"} {
		if err := os.MkdirAll(r.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for folder, files := range map[string]fs.FS{"plans": plans.FS, "schema": schema.FS} {
		if err := os.CopyFS(r.path("repo", folder), files); err != nil {
			t.Fatal(err)
		}
	}
	r.write("upload/action.yml", uploadStub)
	r.write("download/action.yml", downloadStub)
	for _, args := range [][]string{
		{"git", "init", "-q"},
		{"phasegate", "workflow", "plans/auth0-migration.yaml", "--phasegate", "installed", "--out", ".github/workflows/toy.yml"},
		{"git", "add", "."},
		{"git", "-c", "user.name=Ops", "-c", "user.email=ops@example.org", "commit", "-q", "-m", "Drive the cut-over from GitHub Actions"},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = r.path("repo")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, said)
		}
	}
	s := r.dispatch("do=rehearse", "from=pre-check", "to=verify")
	s.expect(t, map[string]string{"preview": "success", "rehearse": "success"}, nil)
	if !strings.Contains(s.log, "The rehearsal held") {
		t.Errorf("it says:\n%s", s.log)
	}
}
