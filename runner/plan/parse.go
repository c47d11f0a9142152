package plan

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/task"
)

// Load reads the plan at path and the files that its steps name. The Plan is nil
// if any of the diagnostics is an error. The error is not nil only if the plan's
// own file cannot be read.
func Load(path string, tasks task.Set) (*Plan, Diagnostics, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the plan: %w", err)
	}
	defer f.Close()
	var text strings.Builder // grown once: a large plan is not held twice
	if info, err := f.Stat(); err == nil {
		text.Grow(int(min(info.Size(), MaxSize+1)))
	}
	if _, err := io.Copy(&text, io.LimitReader(f, MaxSize+1)); err != nil {
		return nil, nil, fmt.Errorf("read the plan: %w", err)
	}
	plan, diagnostics := parseText(path, text.String(), tasks)
	return plan, diagnostics, nil
}

// Parse is [Load] for a plan whose text is there already. path names it in
// diagnostics, and its directory is where relative paths start; the files that
// the steps name are read from there.
func Parse(path string, src []byte, tasks task.Set) (*Plan, Diagnostics) {
	return parseText(path, string(src), tasks)
}

func parseText(path, text string, tasks task.Set) (*Plan, Diagnostics) {
	r := &report{src: newSource(path, text)}
	plan := parse(r, tasks)
	if r.hasErrors() {
		plan = nil
	}
	return plan, r.close()
}

// parse goes on as long as what follows makes sense.
func parse(r *report, tasks task.Set) *Plan {
	if !readable(r) {
		return nil
	}
	root := parseYAML(r)
	if root == nil || !surveyed(r, root) {
		return nil
	}
	dir, err := filepath.Abs(filepath.Dir(r.src.path))
	if err != nil {
		dir = filepath.Dir(r.src.path)
	}
	d := &decoder{report: r, dir: dir, tasks: map[string]task.Spec{}, doubtful: map[*yaml.Node]bool{}, absolute: map[string]bool{}}
	for _, spec := range tasks.All() {
		d.tasks[spec.Name] = spec
		d.names = append(d.names, spec.Name)
	}
	r.findIgnores()
	top := root.Content[0]
	if !knownVersion(r, top) {
		return nil
	}
	plan := &Plan{Path: r.src.path, Dir: dir, src: r.src}
	d.value(top, reflect.ValueOf(plan).Elem(), site{what: "a plan"})
	if top.Kind != yaml.MappingNode || d.steps > MaxSteps {
		return nil
	}
	plan.scope = newScope(plan)
	c := &checker{
		decoder: d, plan: plan, scope: plan.scope, refused: map[string]bool{},
		sums: map[string][sha256.Size]byte{}, missing: map[string]error{},
	}
	c.check()
	return plan
}

// knownVersion reports a version other than [Version]: what else such a plan
// says cannot be judged.
func knownVersion(r *report, top *yaml.Node) bool {
	key, n := place{node: top}.find("version")
	if key == nil || n.Kind != yaml.ScalarNode || n.Value == fmt.Sprint(Version) {
		return true
	}
	if n.Tag != "!!int" {
		return true // not a version at all
	}
	r.at(n, "unknown-version", "this is a plan of version %s", quote(n.Value)).hint("this program knows version %d", Version)
	return false
}
