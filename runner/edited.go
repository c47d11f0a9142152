package runner

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// What a run keeps of its plan, and what a refusal shows of an edited one.
const (
	keptDir   = "plan"  // in the run's directory: the files by their SHA-256
	keptBytes = 1 << 20 // larger files are not kept
	shown     = 80      // lines of a difference
)

// keepPlan copies the plan's files into the run's directory, so that a later call
// can show what was edited. Whether they are whole is seen when they are read.
func (s *session) keepPlan() {
	dir := filepath.Join(s.options.runDir(s.run), keptDir)
	at := paths(s.plan)
	for name, sum := range s.plan.Sums() {
		content, err := readSmall(at[name])
		if err == nil && content != nil {
			err = errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, sum), content, 0o600))
		}
		if err != nil {
			s.options.Log.Warn("a file of the plan is not kept: if it is edited, the difference cannot be shown", "error", err)
		}
	}
}

// paths are where the files of a plan's sums are now.
func paths(p *plan.Plan) map[string]string {
	at := p.Named()
	at[plan.Own] = p.Path
	return at
}

// readSmall returns the content of a file, nil if it is too large to be kept.
func readSmall(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, keptBytes+1))
	if err != nil || len(content) > keptBytes {
		return nil, err
	}
	return append([]byte{}, content...), nil
}

// edited refuses a plan that is not the one that the run began with, and shows
// which of its files was edited, and how where the run kept it on this machine.
func edited(p *plan.Plan, o Options, state *journal.State) error {
	why := fmt.Sprintf("run %s began with plan digest %.12s, and the plan now has %.12s: the plan or a file it names was changed",
		state.Run, state.Digest, p.Digest)
	hint := "put the plan and its files back as they were, then go on or roll back"
	changes := plan.Changes(state.Files, p.Sums())
	if state.Files == nil || len(changes) == 0 {
		return refuse(hint, "%s", why)
	}
	dir := filepath.Join(o.runDir(state.Run), keptDir)
	if _, err := os.Stat(dir); err == nil {
		hint += "; " + dir + " has them, by SHA-256"
	}
	names := make([]string, 0, len(changes))
	var differences strings.Builder
	for _, change := range changes {
		names = append(names, change.String())
		differences.WriteString(difference(change, dir, paths(p)[change.Name]))
	}
	text := cut(differences.String())
	if o.Mask != nil {
		text = o.Mask(text)
	}
	return refuse(hint, "%s: %s%s", why, strings.Join(names, ", "), text)
}

// difference returns a unified difference, "" where one of the two is not at hand
// or is no text.
func difference(c plan.Change, dir, path string) string {
	before, now := []byte{}, []byte{}
	if c.Before != "" {
		if before = kept(filepath.Join(dir, c.Before), c.Before); before == nil {
			return ""
		}
	}
	if c.Now != "" {
		if now = kept(path, c.Now); now == nil {
			return ""
		}
	}
	if !utf8.Valid(before) || !utf8.Valid(now) {
		return ""
	}
	name := c.Name
	if name == plan.Own {
		name = filepath.Base(path)
	}
	_, text, _ := strings.Cut(string(diff.Diff(name, before, name, now)), "\n") // without its own first line
	text = strings.Replace(text, "--- "+name, "--- "+name+" when the run began", 1)
	text = strings.Replace(text, "+++ "+name, "+++ "+name+" now", 1)
	return "\n" + strings.TrimSuffix(text, "\n")
}

// kept returns the content of a file that has the hash, or nil.
func kept(path, sum string) []byte {
	content, err := readSmall(path)
	if err != nil || content == nil || fmt.Sprintf("%x", sha256.Sum256(content)) != sum {
		return nil
	}
	return content
}

// cut leaves out what is too long to be read.
func cut(text string) string {
	lines := strings.Split(text, "\n")
	if len(lines) <= shown {
		return text
	}
	return strings.Join(lines[:shown], "\n") + fmt.Sprintf("\n... and %d more lines", len(lines)-shown)
}
