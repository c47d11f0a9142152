package service

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/runner/task"
)

// notRunning is the exit status of an init script's status for a service that
// does not run, by the Linux Standard Base:
// https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/iniscrptact.html.
const notRunning = 3

// script is an init script.
type script struct{ path string }

func newScript(u *url.URL) (controller, error) {
	if u.Host != "" || u.User != nil || len(u.Path) < 2 {
		return nil, errors.New("after exec:// it needs the whole path of a script, with a third slash")
	}
	if _, err := parameters(u); err != nil {
		return nil, errors.New("a script takes no parameters")
	}
	return script{u.Path}, nil
}

func (s script) check(ctx context.Context) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("find the service's script: %w", err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return task.Hint(fmt.Errorf("the service's script %s cannot be executed", s.path), "make it executable: chmod +x "+s.path)
	}
	_, err = s.running(ctx)
	return err
}

func (s script) running(ctx context.Context) (bool, error) {
	err := s.call(ctx, "status", nil)
	if failed, ok := errors.AsType[*command.Error](err); ok && failed.ExitCode == notRunning {
		return false, nil
	}
	if err != nil && ctx.Err() == nil {
		err = task.Hint(err, "its status must exit with 0 if the service runs and with 3 if it does not")
	}
	return err == nil, err
}

func (s script) stop(ctx context.Context) error { return s.call(ctx, "stop", nil) }

func (s script) start(ctx context.Context, log *os.File) error { return s.call(ctx, "start", log) }

func (s script) line(action string) string { return s.path + " " + action }

func (s script) advice() string { return "read the service's own log" }

func (s script) call(ctx context.Context, action string, log *os.File) error {
	err := command.Command{
		Argv: []string{s.path, action},
		// GitHub's runner ends every process that carries its mark when a job ends, daemons too:
		// https://github.com/actions/runner/issues/598.
		Env: []string{"RUNNER_TRACKING_ID="},
		Log: log,
		// A service that was started goes on, whatever becomes of this process.
		Lasting: action == "start",
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("%s the service by %s: %w", action, s.path, err)
	}
	return nil
}
