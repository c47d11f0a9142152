package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Command runs a program on this machine and holds that it ends with status 0.
// No shell reads its arguments: what needs one says so, [sh, -c, "..."].
//
// After an interruption the program is run again from its beginning: it has to
// bear that, or unless has to tell that its work is done. It gets phasegate's
// environment, no standard input, and a process group of its own. When the run
// is interrupted or the step's time is over, the whole group gets SIGTERM, and
// SIGKILL five seconds later.
//
// What it writes goes to a file in the run's directory, without the plan's
// secrets, and neither to the log nor to the journal; only the last lines of
// its standard error are in the reason of its failure. So it should name no
// person there.
type Command struct {
	Argv    []string                 `with:"argv,required"` // the program and its arguments, an item each; no secrets, which everybody on the machine could list
	Dir     task.Path                `with:"dir"`           // directory in which it runs, "." for the plan's own; default where phasegate was started
	Env     map[string]string        `with:"env"`           // further environment variables, by name
	Secrets map[string]redact.Secret `with:"secrets"`       // further environment variables whose values are secret, by name
	Unless  []string                 `with:"unless"`        // a program and its arguments that tells whether the work is done: status 0 skips the step, 1 runs it, any other fails it
	Keep    bool                     `with:"keep"`          // whether the receipt's text is the end of what the program wrote to its standard output, for later steps; only for a program that names no person
}

// Ran is how the program ended.
type Ran struct {
	AlreadyDone  bool   `json:"already_done"`  // unless said that the work is done: the program was not run
	ExitCode     int    `json:"exit_code"`     // its status; -1 if it was not started, or a signal ended it
	Output       string `json:"output"`        // file with what it wrote to both its outputs, without secrets; empty if that was nothing
	OutputSHA256 string `json:"output_sha256"` // of that file, in hex
	Text         string `json:"text"`          // with keep: the end of its standard output, at most 2 kB, without secrets and outer space
}

// Validate holds that there is a program, and that one named by a relative path
// says what it is relative to.
func (c *Command) Validate() error {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return errors.New("argv is empty: its first item is the program")
	}
	for key, argv := range map[string][]string{"argv": c.Argv, "unless": c.Unless} {
		if len(argv) > 0 && relative(argv[0]) && c.Dir == "" {
			return task.Hint(fmt.Errorf("%s names %s, which is relative to dir, and there is no dir", key, argv[0]),
				"add dir: . for the plan's own directory, or write the whole path")
		}
	}
	for name := range c.Secrets {
		if _, twice := c.Env[name]; twice {
			return fmt.Errorf("env and secrets both have %s: remove one", name)
		}
	}
	return nil
}

// Files are the programs that belong to the plan: those named relative to dir.
func (c *Command) Files() (files []string) {
	for _, argv := range [][]string{c.Argv, c.Unless} {
		if len(argv) > 0 && relative(argv[0]) {
			files = append(files, filepath.Join(string(c.Dir), argv[0]))
		}
	}
	return files
}

// relative tells whether a program is named by a path that starts somewhere. A
// bare name is looked for on PATH.
func relative(program string) bool {
	return strings.Contains(program, "/") && !filepath.IsAbs(program)
}

// Check holds that the programs can be found and started.
func (c *Command) Check(context.Context, *task.Env) error {
	if c.Dir != "" {
		if info, err := os.Stat(string(c.Dir)); err != nil || !info.IsDir() {
			return errors.Join(fmt.Errorf("%s is not a directory to run %s in", c.Dir, c.Argv[0]), err)
		}
	}
	for _, argv := range [][]string{c.Argv, c.Unless} {
		if len(argv) == 0 {
			continue
		}
		program := argv[0]
		if relative(program) {
			program = filepath.Join(string(c.Dir), program)
		}
		if _, err := command.LookPath(program); err != nil {
			return task.Hint(fmt.Errorf("find the program: %w", err), "install it, make it executable, or correct argv")
		}
	}
	return nil
}

// Run asks whether the work is done, and if not has the program do it.
func (c *Command) Run(ctx context.Context, env *task.Env) (Ran, error) {
	if done, err := c.done(ctx, env); err != nil {
		return Ran{}, err
	} else if done {
		return Ran{AlreadyDone: true}, task.Skip("unless says that it is done")
	}
	name := filepath.Base(c.Argv[0])
	written := &output{dir: env.Dir, name: name}
	kept := &end{most: textSize}
	err := c.call(ctx, env, c.Argv, written, kept)
	ran := Ran{}
	if failed, ok := errors.AsType[*command.Error](err); ok {
		ran.ExitCode = failed.ExitCode
	}
	var writeErr error
	ran.Output, ran.OutputSHA256, writeErr = written.close()
	if c.Keep {
		ran.Text = kept.String()
	}
	if err == nil && writeErr != nil {
		return ran, fmt.Errorf("keep what %s wrote: %w", name, writeErr)
	}
	if err != nil && ran.Output != "" {
		err = task.Hint(err, "what it wrote is in "+ran.Output)
	}
	return ran, err
}

// done asks unless.
func (c *Command) done(ctx context.Context, env *task.Env) (bool, error) {
	if len(c.Unless) == 0 {
		return false, nil
	}
	err := c.call(ctx, env, c.Unless, nil, nil)
	if failed, ok := errors.AsType[*command.Error](err); ok && failed.ExitCode == 1 {
		return false, nil
	}
	if err != nil {
		return false, task.Hint(fmt.Errorf("ask whether it is done: %w", err),
			"unless must end with status 0 if the work is done, and with 1 if it is not")
	}
	return true, nil
}

// call runs one of the programs. Both outputs go to written, and the standard
// output to kept, line by line and without secrets. Both may be nil.
func (c *Command) call(ctx context.Context, env *task.Env, argv []string, written *output, kept *end) error {
	run := command.Command{Argv: argv, Dir: string(c.Dir), Env: c.environment(), Mask: c.masker()}
	if written == nil {
		return run.Run(ctx)
	}
	mask := run.Mask.String
	if env.Mask != nil {
		mask = func(text string) string { return env.Mask(run.Mask.String(text)) }
	}
	stdout := redact.NewFuncWriter(io.MultiWriter(written, kept), mask)
	stderr := redact.NewFuncWriter(written, mask)
	run.Stdout, run.Stderr = stdout, stderr
	err := run.Run(ctx)
	_, _ = stdout.Close(), stderr.Close() // what could not be written is told by written
	return err
}

func (c *Command) environment() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		list = append(list, name+"="+c.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		list = append(list, name+"="+c.Secrets[name].Reveal())
	}
	return list
}

func (c *Command) masker() *redact.Masker {
	return redact.NewMasker(slices.Collect(maps.Values(c.Secrets))...)
}
