// Package service stops and starts the service whose database is being cut over,
// and judges by its health page whether it works. A service is a Docker Compose
// service, a systemd unit or an init script; the tasks are the same for all.
package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// An Address says what a service is and where it is found:
//
//	compose://api?file=docker-compose.yml   the service api of a Compose project; file may be
//	                                        repeated, project=NAME names the project
//	systemd://medlogistics-api              the unit medlogistics-api.service; ?scope=user for
//	                                        a unit of the account's own systemd
//	exec:///srv/api/control                 an init script: called with start, stop or status;
//	                                        status exits with 0 if it runs, with 3 if not (LSB)
//
// A relative file is relative to the directory in which phasegate is started.
type Address struct {
	text    string
	control controller
}

// A controller is one kind of service manager, bound to one service.
type controller interface {
	// check says whether the manager can be asked about the service at all.
	check(ctx context.Context) error
	// running tells whether any part of the service runs.
	running(ctx context.Context) (bool, error)
	// stop and start are safe to call whatever the service's state.
	stop(ctx context.Context) error
	// start gives what a daemon may say meanwhile to the file log.
	start(ctx context.Context, log *os.File) error
	// line is the command that stop or start comes to, for people to read.
	line(action string) string
	// advice is what a person can look at if the service does not start.
	advice() string
}

// UnmarshalText reads an address from a plan.
func (a *Address) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil {
		return addressError(string(text), errors.New("it is not a URL"))
	}
	var control controller
	switch u.Scheme {
	case "compose":
		control, err = newCompose(u)
	case "systemd":
		control, err = newUnit(u)
	case "exec":
		control, err = newScript(u)
	default:
		err = errors.New("it begins with none of compose://, systemd:// and exec://")
	}
	if err != nil {
		return addressError(string(text), err)
	}
	*a = Address{string(text), control}
	return nil
}

func addressError(text string, err error) error {
	return task.Hint(fmt.Errorf("service %q: %w", text, err),
		"write compose://SERVICE?file=docker-compose.yml, systemd://UNIT or exec:///PATH/TO/SCRIPT")
}

// String returns the address as it stands in the plan.
func (a Address) String() string { return a.text }

func (a Address) validate() error {
	if a.control == nil {
		return task.Hint(errors.New("service is empty"),
			"write compose://SERVICE?file=docker-compose.yml, systemd://UNIT or exec:///PATH/TO/SCRIPT")
	}
	return nil
}

// start opens the file that takes what a daemon says before it opens a log of
// its own, and starts the service.
func (a Address) start(ctx context.Context, dir string) error {
	name := strings.Map(fileRune, a.text) + ".log"
	log, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the service's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	return a.control.start(ctx, log)
}

// fileRune keeps what is harmless in a file's name.
func fileRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

// parameters returns the values of an address's query, refusing unknown names.
func parameters(u *url.URL, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("what follows the question mark cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%q is not one of its parameters: %s", name, strings.Join(known, ", "))
		}
	}
	return query, nil
}

// onlyName returns what stands between the slashes and the question mark. A
// template's unit, api@1, reads like a user at a host.
func onlyName(u *url.URL, what string) (string, error) {
	name := u.Host
	if u.User != nil && u.Scheme == "systemd" {
		name = u.User.String() + "@" + u.Host
	} else if u.User != nil {
		name = ""
	}
	if name == "" || strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("after %s:// it needs the name of %s and nothing else", u.Scheme, what)
	}
	if strings.HasPrefix(name, "-") {
		return "", fmt.Errorf("%q begins with a dash", name)
	}
	return name, nil
}
