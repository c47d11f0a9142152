package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// sequence returns one line for each of n, made by format.
func sequence(n int, format string) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, format, i)
	}
	return lines.String()
}

// scene makes a directory in which every program finds so many steps that start
// /bin/true, and does them one after the other.
func scene(b *testing.B, steps int) string {
	b.Helper()
	dir := b.TempDir()
	write(b, filepath.Join(dir, "plan.yaml"),
		"version: 1\nname: sequence\nphases:\n  - name: only\n    irreversible: it changes nothing\n    steps:\n",
		sequence(steps, "      - { id: s%d, task: host/command, with: { argv: [/bin/true] } }\n"))
	write(b, filepath.Join(dir, "Makefile"), "all:", sequence(steps, " s%d"), "\n", sequence(steps, "s%d:\n\t@/bin/true\n"))
	write(b, filepath.Join(dir, "Taskfile.yml"), "version: '3'\ntasks:\n  default:\n    desc: all\n    cmds:\n",
		strings.Repeat("      - /bin/true\n", steps))
	write(b, filepath.Join(dir, "justfile"), "all:\n", strings.Repeat("  @/bin/true\n", steps))
	return dir
}

// A thousand steps that each start /bin/true, in order: the whole process, from
// reading the plan on. Phasegate keeps a durable journal meanwhile; the others
// record nothing, but for the bare loop, which is what the programs and the disk
// take by themselves.
func BenchmarkThousandSteps(b *testing.B) {
	dir := scene(b, 1000)
	ours := &contender{name: "phasegate", argv: []string{phasegate(b), "run", "plan.yaml"}, dir: dir}
	task := &contender{name: "task", argv: []string{goTask(b), "--silent"}, dir: dir}
	bare := &contender{name: "bare", argv: []string{build(b, "tools/peers", "./bare"), "1000"}, dir: dir}
	all := installed(b, ours, task, bare,
		&contender{name: "make", argv: []string{"make", "-s"}, dir: dir},
		&contender{name: "just", argv: []string{"just", "--quiet"}, dir: dir})
	for b.Loop() {
		interleave(b, 7, all)
	}
	report(b, ours, all)
	b.ReportMetric(float64(ours.peak)/(1<<20), "phasegate-MiB")
	b.ReportMetric(float64(task.peak)/(1<<20), "task-MiB")
}

// What it takes to start, say something and end: a person waits for it, and a
// prompt or a pipeline calls it often. The directory has a finished run of ten
// steps.
func BenchmarkStartUp(b *testing.B) {
	dir := scene(b, 10)
	ours, theirs := phasegate(b), goTask(b)
	(&contender{name: "run", argv: []string{ours, "run", "plan.yaml"}, dir: dir}).call(b)
	version := &contender{name: "version", argv: []string{ours, "version"}, dir: dir}
	status := &contender{name: "status", argv: []string{ours, "status"}, dir: dir}
	taskVersion := &contender{name: "task--version", argv: []string{theirs, "--version"}, dir: dir}
	taskList := &contender{name: "task--list", argv: []string{theirs, "--list"}, dir: dir}
	for b.Loop() {
		interleave(b, 41, []*contender{version, taskVersion, status, taskList})
	}
	report(b, version, []*contender{taskVersion})
	report(b, status, []*contender{taskList})
}

// A plan of ten steps is read and checked, the start of the process included.
func BenchmarkValidateTenSteps(b *testing.B) {
	dir := scene(b, 10)
	validate := &contender{name: "validate", argv: []string{phasegate(b), "validate", "plan.yaml"}, dir: dir}
	list := &contender{name: "task--list", argv: []string{goTask(b), "--list"}, dir: dir}
	for b.Loop() {
		interleave(b, 41, []*contender{validate, list})
	}
	report(b, validate, []*contender{list})
}
