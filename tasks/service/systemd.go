package service

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/runner/task"
)

// unit is a systemd unit. States as in
// https://www.freedesktop.org/software/systemd/man/latest/systemctl.html.
type unit struct {
	name string
	user bool // of the account's own systemd
}

func newUnit(u *url.URL) (controller, error) {
	name, err := onlyName(u, "a unit")
	if err != nil {
		return nil, err
	}
	query, err := parameters(u, "scope")
	if err != nil {
		return nil, err
	}
	scope := query.Get("scope")
	if scope != "" && scope != "system" && scope != "user" {
		return nil, fmt.Errorf("scope is %q: it is system (the default) or user", scope)
	}
	if !strings.Contains(name, ".") {
		name += ".service"
	}
	return unit{name, scope == "user"}, nil
}

func (s unit) check(ctx context.Context) error {
	if _, err := command.LookPath("systemctl"); err != nil {
		return task.Hint(fmt.Errorf("look at unit %s: systemctl is not installed", s.name),
			"run phasegate on the machine whose systemd runs the service")
	}
	_, err := s.running(ctx)
	return err
}

func (s unit) running(ctx context.Context) (bool, error) {
	out, err := s.systemctl(ctx, "show", "--property=LoadState,ActiveState", s.name)
	if err != nil {
		return false, fmt.Errorf("look at unit %s: %w", s.name, err)
	}
	state := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		state[key] = value
	}
	if load := state["LoadState"]; load != "loaded" {
		return false, task.Hint(fmt.Errorf("unit %s is %s", s.name, load), "list the units with systemctl list-unit-files")
	}
	// Activating counts as running: a unit that systemd is about to restart is not down.
	return state["ActiveState"] != "inactive" && state["ActiveState"] != "failed", nil
}

func (s unit) stop(ctx context.Context) error {
	if _, err := s.systemctl(ctx, "stop", s.name); err != nil {
		return fmt.Errorf("stop unit %s: %w", s.name, err)
	}
	return nil
}

func (s unit) start(ctx context.Context, _ *os.File) error {
	if _, err := s.systemctl(ctx, "start", s.name); err != nil {
		return task.Hint(fmt.Errorf("start unit %s: %w", s.name, err), s.advice())
	}
	return nil
}

func (s unit) line(action string) string { return "systemctl " + action + " " + s.name }

func (s unit) advice() string {
	return "read the unit's last words: journalctl --lines 50 --unit " + s.name
}

func (s unit) systemctl(ctx context.Context, args ...string) (string, error) {
	argv := []string{"systemctl", "--no-ask-password"}
	if s.user {
		argv = append(argv, "--user")
	}
	return command.Command{Argv: append(argv, args...)}.Output(ctx)
}
