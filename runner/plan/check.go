package plan

import (
	"crypto/sha256"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/task"
)

// checker carries out the rules on a plan that was decoded.
type checker struct {
	*decoder
	plan  *Plan
	scope *scope
	whole bool // every part of the plan could be read

	stopped *services // once a rule has asked for them
	settled int       // how many times conditions were looked at for what they can never say

	refused map[string]bool // what tasks said against the values of variables

	sums    map[string][sha256.Size]byte // of the files that the steps read
	missing map[string]error             // of the files that cannot be read
}

// check reports what breaks a rule, and completes the plan.
func (c *checker) check() {
	c.whole = c.readable()
	for _, rule := range Rules() {
		if rule.check != nil {
			rule.check(c)
		}
	}
	for i := range c.plan.Probes {
		c.plan.Probes[i].plan = c.plan
	}
	for _, e := range c.scope.all {
		e.step.plan = c.plan
	}
	c.digest()
}

// digest lists the plan's files and completes its digest.
func (c *checker) digest() {
	sums := make(map[string][sha256.Size]byte, len(c.sums))
	c.plan.named = make(map[string]string, len(c.sums))
	own := sumText(c.src.whole)
	c.plan.sums = map[string]string{Own: hexOf(own)}
	for file, sum := range c.sums {
		name := fileName(c.dir, file, c.absolute)
		c.plan.files = append(c.plan.files, file)
		c.plan.named[name], sums[name] = file, sum
		c.plan.sums[name] = hexOf(sum)
	}
	slices.Sort(c.plan.files)
	c.plan.Digest = digestOf(own, sums)
}

// checkConfigs decodes the configuration of every step as far as it is known
// while nothing runs, and with it checks the references. Then it asks the tasks
// themselves: what they say of a configuration that is wholly known, and which
// files they will read.
func checkConfigs(c *checker) {
	wants := make(map[string][]string, len(c.scope.all))
	defer func() { c.cycles(wants) }()
	var gates []judgement // of the phase, but those that are told of by themselves
	for _, e := range c.scope.all {
		refs := &static{scope: c.scope, from: e}
		c.refs, c.via, c.partial = refs, e.step.With.via, false
		instance := c.configure(e)
		if len(gates) > 0 && (!e.gate || e.phase != gates[0].from.phase) {
			c.together(gates)
			gates = nil
		}
		if j := refs.judges; j != nil && !c.constant(*j) && len(gates) < mostTogether {
			gates = append(gates, *j)
		}
		e.step.reviewed(instance)
		e.unread = instance == nil
		e.step.needs, wants[e.step.ID] = refs.needs, refs.wants
		for _, id := range e.step.After {
			if !slices.Contains(e.step.needs, id) {
				e.step.needs = append(e.step.needs, id)
			}
		}
		if instance != nil && (c.partial || c.accepted(e.step, instance)) {
			c.readFiles(e.step, instance)
		}
	}
	c.refs, c.via, c.partial = nil, nil, false
}

// configure returns the entry's task as far as its configuration is known, or nil
// if something in it is wrong.
func (c *checker) configure(e *entry) task.Instance {
	step := e.step
	if step.Task.Config == nil {
		c.loose(step.With.node)
		return nil
	}
	at, n := step.at("task"), step.With.node
	if n == nil {
		if step.has("with") || c.doubtful[step.node] {
			return nil
		}
		n = &yaml.Node{Kind: yaml.MappingNode, Line: at.Line, Column: at.Column}
	} else if key, _ := step.find("with"); key != nil {
		at = key
	}
	instance := step.Task.New()
	config := reflect.ValueOf(instance.Config()).Elem()
	if !c.structure(n, config, shapeOf(config.Type()), site{what: step.Task.Name, key: at}) {
		return nil
	}
	return instance
}

// loose checks the references in the configuration of a task that is not known.
func (c *checker) loose(n *yaml.Node) {
	if n == nil || n.Kind == yaml.AliasNode {
		return
	}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, opening) {
		parts, _ := segments(n.Value)
		c.resolveAll(parts, use{at: c.src.inside(n)})
	}
	for _, child := range n.Content {
		c.loose(child)
	}
}

func checkProbes(c *checker) {
	c.refs = &static{scope: c.scope}
	for _, probe := range c.plan.Probes {
		c.target(probe)
	}
	c.refs = nil
}

// accepted reports what the task says against its configuration, and tells
// whether that is nothing.
func (c *checker) accepted(step *Step, instance task.Instance) bool {
	errs := split(instance.Validate())
	for _, err := range errs {
		at := configKey(step, err.Error())
		if strings.Contains(at.Value, opening) { // its value is a variable's, and the same for other steps
			same := at.Value + "\n" + err.Error()
			if c.refused[same] {
				continue
			}
			c.refused[same] = true
		}
		c.at(at, "task-config", "%v", err).Hint = task.HintOf(err)
	}
	return len(errs) == 0
}

// split returns the errors of which err is made.
func split(err error) []error {
	var many interface{ Unwrap() []error }
	var wrapped interface{ WrappedErrors() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrapped):
		return wrapped.WrappedErrors()
	case errors.As(err, &many):
		return many.Unwrap()
	}
	return []error{err}
}

// configKey returns the value of the key of which a task's error speaks: its
// first word, if that is one. Otherwise it is the key "with".
func configKey(step *Step, message string) *yaml.Node {
	word := strings.FieldsFunc(message+" ", func(r rune) bool { return strings.ContainsRune(` :."'`, r) })
	if len(word) > 0 {
		if _, value := (place{node: step.With.node}).find(word[0]); value != nil {
			return value
		}
	}
	return step.withKey()
}

// readFiles reads the files that the task will read, which belong to the digest,
// and reports those that it cannot read.
func (c *checker) readFiles(step *Step, instance task.Instance) {
	for _, file := range instance.Files() {
		if !filepath.IsAbs(file) {
			file = filepath.Join(c.dir, file)
		}
		file = filepath.Clean(file)
		_, read := c.sums[file]
		if !read && c.missing[file] == nil {
			sum, err := sumFile(file)
			if err == nil {
				c.sums[file] = sum
				continue
			}
			c.missing[file] = err
		}
		if err := c.missing[file]; err != nil {
			c.missingFile(step, file, err)
		}
	}
}

func (c *checker) missingFile(step *Step, file string, err error) {
	at := step.withKey()
	if n := c.pathNode(step.With.node, file); n != nil {
		at = n
	}
	c.at(at, "missing-file", "the file %s %s", quote(fileName(c.dir, file, c.absolute)), fileProblem(err)).
		hint("paths are relative to the plan's own file")
}

// pathNode returns the value under n that names file or a directory above it.
func (c *checker) pathNode(n *yaml.Node, file string) *yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		path := n.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.dir, path)
		}
		if file == path || strings.HasPrefix(file, filepath.Clean(path)+string(filepath.Separator)) {
			return n
		}
	}
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := step - 1; i < len(n.Content); i += step {
		if found := c.pathNode(n.Content[i], file); found != nil {
			return found
		}
	}
	return nil
}
