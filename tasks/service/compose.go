package service

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/runner/task"
)

// compose is a service of a Docker Compose project, whichever generation of
// Compose is installed. The arguments used are common to both:
// https://docs.docker.com/reference/cli/docker/compose/.
type compose struct {
	service string
	files   []string // "" is Compose's own choice
	project string   // "" is Compose's own choice
}

func newCompose(u *url.URL) (controller, error) {
	name, err := onlyName(u, "a Compose service")
	if err != nil {
		return nil, err
	}
	query, err := parameters(u, "file", "project")
	if err != nil {
		return nil, err
	}
	if slices.Contains(query["file"], "") {
		return nil, errors.New("file is empty")
	}
	return compose{name, query["file"], query.Get("project")}, nil
}

func (c compose) check(ctx context.Context) error {
	for _, file := range c.files {
		if _, err := os.Stat(file); err != nil {
			return task.Hint(fmt.Errorf("read the Compose file: %w", err),
				"start phasegate in the file's directory, or write its whole path")
		}
	}
	services, err := c.output(ctx, "config", "--services")
	if err != nil {
		return err
	}
	if known := strings.Fields(services); !slices.Contains(known, c.service) {
		return fmt.Errorf("the Compose project has no service %s, only %s", c.service, strings.Join(known, ", "))
	}
	_, err = c.running(ctx)
	return err
}

func (c compose) running(ctx context.Context) (bool, error) {
	up, err := c.output(ctx, "ps", "--services", "--filter", "status=running")
	return slices.Contains(strings.Fields(up), c.service), err
}

func (c compose) stop(ctx context.Context) error {
	_, err := c.output(ctx, "stop", c.service)
	return err
}

// start makes the container if there is none, and makes it anew if its
// configuration has changed. It builds no image and touches no other service.
func (c compose) start(ctx context.Context, _ *os.File) error {
	_, err := c.output(ctx, "up", "--detach", "--no-deps", "--no-build", c.service)
	return err
}

func (c compose) line(action string) string {
	if action == "start" {
		action = "up --detach --no-deps --no-build"
	}
	return "docker compose " + action + " " + c.service
}

func (c compose) advice() string {
	return fmt.Sprintf("read the container's last words: docker compose logs --tail 50 %s", c.service)
}

func (c compose) output(ctx context.Context, args ...string) (string, error) {
	argv, err := composeProgram(ctx)
	if err != nil {
		return "", err
	}
	for _, file := range c.files {
		argv = append(argv, "--file", file)
	}
	if c.project != "" {
		argv = append(argv, "--project-name", c.project)
	}
	// What stands for Docker may run containers as its own children, which are to go on.
	out, err := command.Command{Argv: append(argv, args...), Lasting: args[0] == "up"}.Output(ctx)
	if err != nil {
		return "", engineError(verb(args[0])+" the Compose service "+c.service, err)
	}
	return out, nil
}

// composeProgram finds Docker's plugin or, where there is none, the older
// program of its own.
func composeProgram(ctx context.Context) ([]string, error) {
	if _, err := command.LookPath("docker"); err == nil {
		if _, err := (command.Command{Argv: []string{"docker", "compose", "version"}}).Output(ctx); err == nil {
			return []string{"docker", "compose"}, nil
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := command.LookPath("docker-compose"); err == nil {
		return []string{"docker-compose"}, nil
	}
	return nil, task.Hint(errors.New("neither docker compose nor docker-compose is installed"),
		"install Docker's Compose plugin on this machine, or run phasegate where it is")
}

func verb(subcommand string) string {
	switch subcommand {
	case "stop":
		return "stop"
	case "up":
		return "start"
	}
	return "look at"
}

// silences are what Docker's programs say when the engine does not answer them,
// as opposed to its answering with an error.
func silences() []string {
	return []string{
		"cannot connect to the docker daemon", "couldn't connect to docker daemon", "is the docker daemon running",
		"permission denied while trying to connect", "fetching server api version",
	}
}

// engineError tells an engine that does not answer, of which the older program
// makes pages of Python, from a service that fails.
func engineError(what string, err error) error {
	text := strings.ToLower(err.Error())
	for _, silence := range silences() {
		if strings.Contains(text, silence) {
			return task.Hint(fmt.Errorf("%s: the Docker Engine does not answer", what),
				"check that it runs and that this account may use it: docker info")
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}
