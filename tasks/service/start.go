package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/runner/task"
)

// Start starts a service and returns when its health page says that all is
// well. That its process runs, or that its database lets one connect, is not
// enough. What a daemon says before it opens its own log goes to a file in the
// run's directory.
type Start struct {
	Service Address           `with:"service,required,held"` // compose://SERVICE?file=docker-compose.yml, systemd://UNIT or exec:///PATH/TO/SCRIPT
	URL     task.URL          `with:"url,required"`          // the health page, http or https
	Expect  map[string]string `with:"expect"`                // top-level keys of its JSON answer and their values; default status: healthy, {} for any answer with status 200
	Timeout time.Duration     `with:"timeout,limit"`         // how long it may take to become healthy; default 5m
	CAFile  string            `with:"ca_file"`               // PEM file of authorities to trust beside the system's
}

// Started tells how long the service took to be healthy.
type Started struct {
	Service   string `json:"service"`    // address of the service
	URL       string `json:"url"`        // the health page, without its query
	HealthyMS int64  `json:"healthy_ms"` // from the call to the first healthy answer, in milliseconds; 0 if it was healthy before
}

const (
	healthEvery  = 200 * time.Millisecond // between two looks at the health page
	runningEvery = 3 * time.Second        // between two looks at whether it still runs
	reportEvery  = 10 * time.Second       // between two lines in the log
)

// Validate holds that the service and the page are ones.
func (s *Start) Validate() error {
	if err := s.Service.validate(); err != nil {
		return err
	}
	if err := fetch.CheckURL(string(s.URL)); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return positive(s.Timeout)
}

// Check holds that the service's manager answers.
func (s *Start) Check(ctx context.Context, _ *task.Env) error {
	if _, err := newPage(string(s.URL), s.Expect, s.CAFile); err != nil {
		return err
	}
	return s.Service.control.check(ctx)
}

// Run starts the service and waits.
func (s *Start) Run(ctx context.Context, env *task.Env) (Started, error) {
	receipt := Started{Service: s.Service.String(), URL: fetch.Shown(string(s.URL))}
	page, err := newPage(string(s.URL), s.Expect, s.CAFile)
	if err != nil {
		return receipt, err
	}
	begin := time.Now()
	within, cancel := context.WithTimeoutCause(ctx, s.Timeout, fmt.Errorf("not done within %s", s.Timeout))
	defer cancel()
	running, err := s.Service.control.running(within)
	if err != nil {
		return receipt, err
	}
	if running {
		if _, err := page.look(within); err == nil {
			return receipt, task.Skip("the service runs and is healthy already")
		}
	}
	if err := s.Service.start(within, env.Dir); err != nil {
		return receipt, err
	}
	if err := s.waitHealthy(within, env, page, begin); err != nil {
		if ctx.Err() != nil {
			return receipt, context.Cause(ctx)
		}
		return receipt, task.Hint(err, s.Service.control.advice())
	}
	receipt.HealthyMS = milliseconds(begin)
	return receipt, nil
}

// errEnded ends the wait for a service that does not run any more.
var errEnded = errors.New("the service has ended again without becoming healthy")

// waitHealthy looks until the page is healthy, the service has ended by itself,
// or ctx ends.
func (s *Start) waitHealthy(ctx context.Context, env *task.Env, page page, begin time.Time) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.watch(ctx, giveUp)
	}()
	defer func() { giveUp(nil); <-ended }()
	reported := begin
	err := poll(ctx, healthEvery, func(ctx context.Context) error {
		_, err := page.look(ctx)
		if time.Since(reported) >= reportEvery {
			reported = time.Now()
			env.Log.Info("not healthy yet", "service", s.Service.String(), "seconds", int(time.Since(begin).Seconds()), "reason", err)
		}
		env.Progress(int64(time.Since(begin).Seconds()), int64(s.Timeout.Seconds()), "s")
		return err
	})
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, errEnded) {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return fmt.Errorf("not healthy within %s: %w", s.Timeout, err)
}

// watch gives up when the service is found down twice in a row: once may be its
// manager's pause before it starts it again.
func (s *Start) watch(ctx context.Context, giveUp context.CancelCauseFunc) {
	down := 0
	for down < 2 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(runningEvery):
		}
		running, err := s.Service.control.running(ctx)
		if err == nil && !running {
			down++
		} else {
			down = 0
		}
	}
	giveUp(errEnded)
}

// Releases is the service that a stop kept down.
func (s *Start) Releases() string { return s.Service.String() }
