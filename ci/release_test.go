package ci_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A release is one static binary for each platform that the action installs, the
// checksums of all archives, what each is built from, and where it was built. A
// person publishes it.
func TestAReleaseIsForEveryPlatformAndSaysWhereItIsFrom(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Builds []struct {
			Env, Goos, Goarch []string
		}
		SBOMs   []struct{ Artifacts string }
		Release struct{ Draft bool }
	}
	if err := yaml.Unmarshal(text, &made); err != nil || len(made.Builds) != 1 {
		t.Fatalf("%+v %v", made, err)
	}
	build := made.Builds[0]
	if !slices.Equal(build.Goos, []string{"linux", "darwin"}) || !slices.Equal(build.Goarch, []string{"amd64", "arm64"}) || !slices.Contains(build.Env, "CGO_ENABLED=0") {
		t.Errorf("the binaries are %+v", build)
	}
	if len(made.SBOMs) != 1 || made.SBOMs[0].Artifacts != "archive" || !made.Release.Draft {
		t.Errorf("the release is %+v", made)
	}
	workflow, err := os.ReadFile("../.github/workflows/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	w := parsed(t, string(workflow))
	job := w.Jobs["release"]
	attests := false
	for _, step := range job.Steps {
		attests = attests || strings.HasPrefix(step.Uses, "actions/attest-build-provenance@") && step.With["subject-checksums"] == "dist/checksums.txt"
	}
	if !attests || job.Permissions["attestations"] != "write" || job.Permissions["id-token"] != "write" || w.Concurrency["cancel-in-progress"] != false {
		t.Errorf("where it was built is attested: %t, by %v, in %v", attests, job.Permissions, w.Concurrency)
	}
}
