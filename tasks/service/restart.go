package service

import (
	"context"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/runner/task"
)

// Restart stops one instance of a service and starts it again, and returns when
// its own health page says that all is well. Where several instances share the
// work, a step for each of them, one after the other, restarts the service
// without a pause: the next one is stopped only when this one is healthy.
type Restart struct {
	Service Address           `with:"service,required"` // of the instance: compose://SERVICE?file=docker-compose.yml, systemd://UNIT or exec:///PATH/TO/SCRIPT
	URL     task.URL          `with:"url,required"`     // the health page of this very instance, not of what stands in front of all
	Expect  map[string]string `with:"expect"`           // top-level keys of its JSON answer and their values; default status: healthy, {} for any answer with status 200
	Timeout time.Duration     `with:"timeout,limit"`    // for all of it together; default 5m
	CAFile  string            `with:"ca_file"`          // PEM file of authorities to trust beside the system's
}

// Restarted tells how long the instance was away.
type Restarted struct {
	Service   string `json:"service"`    // address of the instance
	URL       string `json:"url"`        // the health page, without its query
	StopMS    int64  `json:"stop_ms"`    // until it was down, in milliseconds
	HealthyMS int64  `json:"healthy_ms"` // from the call of its start to the first healthy answer, in milliseconds
}

// Validate holds that the instance and the page are ones.
func (r *Restart) Validate() error {
	start := r.start()
	return start.Validate()
}

// Check holds that the instance's manager answers.
func (r *Restart) Check(ctx context.Context, env *task.Env) error {
	start := r.start()
	return start.Check(ctx, env)
}

func (r *Restart) start() Start {
	return Start{Service: r.Service, URL: r.URL, Expect: r.Expect, Timeout: r.Timeout, CAFile: r.CAFile}
}

// Run stops the instance and starts it. One that is down is started.
func (r *Restart) Run(ctx context.Context, env *task.Env) (Restarted, error) {
	receipt := Restarted{Service: r.Service.String(), URL: fetch.Shown(string(r.URL))}
	begin := time.Now()
	if err := r.stop(ctx); err != nil {
		if ctx.Err() != nil {
			return receipt, context.Cause(ctx)
		}
		return receipt, task.Hint(fmt.Errorf("not down within %s: %w", r.Timeout, err), "find out what keeps it, then go on with the run")
	}
	receipt.StopMS = milliseconds(begin)
	start := r.start()
	start.Timeout = max(time.Millisecond, (r.Timeout - time.Since(begin)).Round(time.Millisecond))
	started, err := start.Run(ctx, env)
	receipt.HealthyMS = started.HealthyMS
	return receipt, err
}

func (r *Restart) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	if err := r.Service.control.stop(ctx); err != nil {
		return err
	}
	return poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		running, err := r.Service.control.running(ctx)
		if err == nil && running {
			err = fmt.Errorf("service %s still runs", r.Service)
		}
		return err
	})
}
