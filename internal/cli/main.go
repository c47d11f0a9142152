// Package cli is phasegate at the command line: one file a verb. What a program
// reads goes to standard output; everything for people goes to standard error.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/medlogistics/phasegate/ci"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// Surroundings are what a command sees of the world.
type Surroundings struct {
	In       io.Reader // only lsp reads it: everything else that is asked goes to Person
	Out, Err io.Writer
	Lookup   envconfig.Lookuper // the environment
	Person   io.ReadWriter      // the terminal of who called; nil where nobody is there
	Account  string             // who that is, as the system calls them
	Live     bool               // Err is a terminal, on which a line can move
	OutLive  bool               // Out is a terminal, which shows colours
	Width    int                // of that terminal, in columns
}

// System returns the process's own surroundings.
func System() Surroundings {
	// A reader that went away, such as head or a log shipper, must not end a run
	// in the middle of its window: the write fails, and the run goes on.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// Nor may a crash, of this process or of a child, leave its memory on a disk.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	s := Surroundings{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Lookup: envconfig.OsLookuper(), Account: account()}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		// A question goes to the terminal even where the standard error is kept in a file.
		if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
			s.Person = tty
		}
	}
	s.OutLive = term.IsTerminal(int(os.Stdout.Fd()))
	if s.Live = term.IsTerminal(int(os.Stderr.Fd())); s.Live {
		s.Width, _, _ = term.GetSize(int(os.Stderr.Fd()))
	}
	return s
}

// settings are phasegate's own variables.
type settings struct {
	Journal string `env:"PHASEGATE_JOURNAL, default=phasegate-runs"`
	Log     string `env:"PHASEGATE_LOG, default=warn"`
	NoColor string `env:"NO_COLOR"`
}

// app is one call of phasegate.
type app struct {
	Surroundings
	settings
	stdout *output // what Out leads to
	level  slog.Level
	log    *slog.Logger
	person *dialog // nil where nobody is there

	open   func(ctx context.Context, place string) (journal.Store, error)
	opened journal.Store // nil until it is needed
	aside  string        // where shipped plans are unpacked; "" is beside the journals

	ci  string  // the flag --ci
	job *ci.Job // nil outside of one

	shown  *atomic.Pointer[view] // of the run at work; nil where there is none
	atOnce chan struct{}         // closed when the call is to end in the middle of its work
}

// Main runs the command that args name and returns the exit code.
func Main(args []string, around Surroundings) int {
	lean(args)
	return newApp(around).main(args)
}

func newApp(around Surroundings) *app {
	stdout := &output{to: around.Out}
	around.Out = stdout
	a := &app{Surroundings: around, stdout: stdout, open: openJournal, shown: &atomic.Pointer[view]{}, atOnce: make(chan struct{})}
	if around.Person != nil {
		a.person = &dialog{lines: bufio.NewReader(around.Person), to: around.Person}
	}
	return a
}

func (a *app) main(args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(context.Background()) }()
	var err error
	select {
	case err = <-ended:
	case <-a.atOnce:
		err = a.cutShort()
	}
	defer a.flush() // also what is told now
	code := a.report(err)
	a.flush()
	return a.isWhole(code, err)
}

// report prints an error with its hint, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return ExitDone
	}
	var ended *exitError
	if !errors.As(err, &ended) {
		ended = &exitError{ExitUsage, task.Hint(err, "phasegate --help shows the commands and their flags")}
	}
	if ended.err != nil {
		fmt.Fprintf(a.Err, "phasegate: %v\n", ended.err)
		if hint := task.HintOf(ended.err); hint != "" {
			fmt.Fprintf(a.Err, "  hint: %s\n", hint)
		}
		a.failJob(ended.err)
	}
	return ended.code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "phasegate",
		Short: "Run risky production cut-overs from a plan, and take them back",
		Long: `Phasegate runs risky production cut-overs from a plan file: phases, gates and
rollback hooks, each carried out as a task, each fact recorded in a journal.

` + exitHelp + `
Environment:
  PHASEGATE_JOURNAL  where runs are kept: a directory (phasegate-runs), or a
                     postgres:// URL when several machines carry a run on
  PHASEGATE_LOG      debug, info, warn or error (warn)
  NO_COLOR           any value turns colour off`,
		Example: `  phasegate validate plans/auth0-migration.yaml
  phasegate rehearse plans/auth0-migration.yaml
  phasegate run plans/auth0-migration.yaml
  phasegate rollback plans/auth0-migration.yaml`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.configure(cmd.Context()) },
	}
	root.PersistentFlags().StringVar(&a.settings.Journal, "journal", "",
		"where runs are kept, a directory or a postgres:// URL (default $PHASEGATE_JOURNAL, else phasegate-runs)")
	root.PersistentFlags().StringVar(&a.ci, "ci", "", "github or none (default github where GITHUB_ACTIONS is true)")
	root.AddCommand(
		a.previewPlan(),
		a.graph(),
		a.validate(),
		a.explain(),
		a.lint(),
		a.lsp(),
		a.runCommand(),
		a.rollback(),
		a.approve(),
		a.reject(),
		a.status(),
		a.audit(),
		a.backup(),
		a.rehearse(),
		a.tasks(),
		a.workflow(),
		a.version(),
		a.auth0Emulator(),
		a.sandboxAPI(),
	)
	return root
}

// configure reads the settings. A flag wins over its variable.
func (a *app) configure(ctx context.Context) error {
	flag := a.Journal
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{
		Target: &a.settings, Lookuper: a.Lookup, DefaultOverwrite: true,
	}); err != nil {
		return fail(ExitUsage, task.Hint(fmt.Errorf("read the settings: %w", err), "phasegate --help shows the PHASEGATE_ variables"))
	}
	if flag != "" {
		a.Journal = flag
	}
	if a.Journal == "" { // GitHub sets a variable for a secret that there is not
		a.Journal = defaultDir
	}
	if err := a.level.UnmarshalText([]byte(a.Log)); err != nil {
		return fail(ExitUsage, task.Hint(fmt.Errorf("PHASEGATE_LOG is %q", a.Log), "set it to debug, info, warn or error"))
	}
	if err := a.findJob(); err != nil {
		return err
	}
	a.log = a.logger(nil)
	return nil
}

// revision is the version of this build.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return version
	}
	return info.Main.Version
}

// version is set by the linker where the build knows it.
var version = "devel"
