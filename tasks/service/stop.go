package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Stop stops a service and returns when it is down: its manager says so, its
// page no longer answers, and its connections to the database are gone. The
// manager is told to stop also a service that is down, so that none comes back
// by itself.
type Stop struct {
	Service  Address       `with:"service,required,held"` // compose://SERVICE?file=docker-compose.yml, systemd://UNIT or exec:///PATH/TO/SCRIPT
	URL      task.URL      `with:"url"`                   // a page of the service that must no longer answer: refused, or 502 to 504 from a proxy in front
	Database redact.Secret `with:"database"`              // connection string of the database that the service must have let go of
	Ignore   []string      `with:"ignore"`                // application names whose connections to the database may stay, such as a monitor's
	Timeout  time.Duration `with:"timeout,limit"`         // for all of it together; default 1m
}

// Stopped tells how long the service took to be down.
type Stopped struct {
	Service string `json:"service"`  // address of the service
	StopMS  int64  `json:"stop_ms"`  // until its manager and its page said that it was down, in milliseconds
	DrainMS int64  `json:"drain_ms"` // from then until its connections were gone, in milliseconds
	Ignored int    `json:"ignored"`  // connections that were left because they are to be ignored
}

// Validate holds that the service and the page are ones.
func (s *Stop) Validate() error {
	if err := s.Service.validate(); err != nil {
		return err
	}
	if s.URL != "" {
		if err := fetch.CheckURL(string(s.URL)); err != nil {
			return fmt.Errorf("url: %w", err)
		}
	}
	return positive(s.Timeout)
}

// Check holds that the service's manager and the database answer.
func (s *Stop) Check(ctx context.Context, _ *task.Env) error {
	if err := s.Service.control.check(ctx); err != nil || s.Database.IsZero() {
		return err
	}
	drain, err := openDrain(ctx, s.Database, s.Ignore)
	if err != nil {
		return err
	}
	drain.close(ctx)
	return nil
}

// Run stops the service and waits.
func (s *Stop) Run(ctx context.Context, env *task.Env) (Stopped, error) {
	receipt := Stopped{Service: s.Service.String()}
	begin := time.Now()
	within, cancel := context.WithTimeoutCause(ctx, s.Timeout, fmt.Errorf("not done within %s", s.Timeout))
	defer cancel()
	was, err := s.Service.control.running(within)
	if err != nil {
		return receipt, err
	}
	if err := s.Service.control.stop(within); err != nil {
		return receipt, err
	}
	if err := s.waitDown(within); err != nil {
		return receipt, s.late(ctx, err)
	}
	receipt.StopMS = milliseconds(begin)
	env.Log.Info("the service is down", "service", receipt.Service, "ms", receipt.StopMS)
	if err := s.waitDrained(within, &receipt); err != nil {
		return receipt, s.late(ctx, err)
	}
	if !was {
		return receipt, task.Skip("the service was down already")
	}
	return receipt, nil
}

// late tells an interruption from a timeout.
func (s *Stop) late(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	hint := task.HintOf(err)
	if hint == "" {
		hint = "find out what keeps it, then go on with the run; connections that may stay are named by ignore"
	}
	return task.Hint(fmt.Errorf("not down within %s: %w", s.Timeout, err), hint)
}

func (s *Stop) waitDown(ctx context.Context) error {
	page, err := newPage(string(s.URL), nil, "")
	if err != nil {
		return err
	}
	return poll(ctx, 250*time.Millisecond, func(ctx context.Context) error {
		running, err := s.Service.control.running(ctx)
		if err != nil {
			return err
		}
		if running {
			return fmt.Errorf("service %s still runs", s.Service)
		}
		if s.URL != "" && !page.refuses(ctx) {
			return errors.New("its page still answers")
		}
		return nil
	})
}

func (s *Stop) waitDrained(ctx context.Context, receipt *Stopped) error {
	if s.Database.IsZero() {
		return nil
	}
	begin := time.Now()
	drain, err := openDrain(ctx, s.Database, s.Ignore)
	if err != nil {
		return err
	}
	defer drain.close(ctx)
	err = poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		ignored, err := drain.connections(ctx)
		receipt.Ignored = ignored
		return err
	})
	if err != nil {
		return err
	}
	receipt.DrainMS = milliseconds(begin)
	return nil
}

// Hold is the service that is kept down.
func (s *Stop) Hold() string { return s.Service.String() }

// Holds fails if the service runs again.
func (s *Stop) Holds(ctx context.Context, _ *task.Env) error {
	running, err := s.Service.control.running(ctx)
	if err != nil {
		return err
	}
	if running {
		return fmt.Errorf("service %s runs again", s.Service)
	}
	return nil
}
