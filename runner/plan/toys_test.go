package plan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// toys are tasks of every kind, with a configuration key of every type.
func toys() task.Set {
	return task.NewSet(
		task.Look("postgres/backup", &backup{Jobs: 2}, task.Copies),
		task.Look("postgres/ready", &ready{}),
		task.Of("service/stop", &stop{}),
		task.Of("service/start", &start{}, task.Retryable),
		task.Look("service/reload", &reload{}),
		task.Of("schema/apply", &apply{}, task.Alters),
		task.Look("web/check", &check{Status: 200}),
		task.Gate("gate/assert", &assert{}),
		task.Gate("gate/approval", &approval{}, task.Asks),
	)
}

// done is what the toys have in common: they do nothing.
type done struct{}

func (done) Check(context.Context, *task.Env) error { return nil }

type level string

func (level) Words() []string { return []string{"counts", "full"} }

type backup struct {
	done
	DSN      redact.Secret  `with:"dsn,required"`
	To       string         `with:"to"`
	Jobs     int            `with:"jobs" min:"1" max:"16"`
	Rate     float64        `with:"rate"`
	Full     bool           `with:"full"`
	Level    level          `with:"level"`
	Wait     time.Duration  `with:"wait" min:"1s"`
	Largest  task.Bytes     `with:"largest"`
	Share    task.Percent   `with:"share"`
	Config   task.Path      `with:"config"`
	Tables   []string       `with:"tables"`
	Labels   map[string]int `with:"labels"`
	Ports    []int          `with:"ports"`
	Compare  *comparison    `with:"compare"`
	Columns  []comparison   `with:"columns"`
	Optional *string        `with:"optional"`
}

type comparison struct {
	Column string `with:"column,required"`
	Rows   int    `with:"rows"`
}

type backupReceipt struct {
	File      string         `json:"file"`
	SizeBytes int64          `json:"size_bytes"`
	Rate      float64        `json:"rate"`
	Proven    bool           `json:"proven"`
	Tables    []string       `json:"tables"`
	Ports     []int          `json:"ports"`
	Took      time.Duration  `json:"took"`
	Finished  time.Time      `json:"finished"`
	Rows      map[string]int `json:"rows"`
	Note      *string        `json:"note"`
}

func (b *backup) Run(context.Context, *task.Env) (backupReceipt, error) { return backupReceipt{}, nil }

func (b *backup) Files() []string {
	if b.Config == "" {
		return nil
	}
	return []string{string(b.Config)}
}

type ready struct {
	done
	DSN redact.Secret `with:"dsn,required"`
}

type readyReceipt struct {
	Version     int     `json:"version"`
	SuccessRate float64 `json:"success_rate"`
	Failed      int     `json:"failed"`
	TLS         bool    `json:"tls"`
}

func (r *ready) Run(context.Context, *task.Env) (readyReceipt, error) { return readyReceipt{}, nil }

type serviceReceipt struct {
	Was string `json:"was"`
}

type stop struct {
	done
	Service string `with:"service,required,held"`
	Drain   int    `with:"drain"`
}

func (s *stop) Validate() error { return validService(s.Service, s.Drain) }

func validService(service string, drain int) error {
	var errs []error
	if drain < 0 {
		errs = append(errs, task.Hint(errors.New("drain is a number of connections, so not below 0"), "write 0 or more"))
	}
	if service == "none" {
		errs = append(errs, errors.New("a service has a name"))
	}
	return errors.Join(errs...)
}

func (s *stop) Run(context.Context, *task.Env) (serviceReceipt, error) { return serviceReceipt{}, nil }

func (s *stop) Hold() string { return s.Service }

func (s *stop) Holds(context.Context, *task.Env) error { return nil }

// reload is a task with the keys of the others that holds nothing.
type reload struct {
	done
	Service string `with:"service,required"`
	Drain   int    `with:"drain"`
}

func (r *reload) Validate() error { return validService(r.Service, r.Drain) }

func (r *reload) Run(context.Context, *task.Env) (serviceReceipt, error) {
	return serviceReceipt{}, nil
}

type start struct {
	done
	Service string `with:"service,required,held"`
}

func (s *start) Validate() error { return validService(s.Service, 0) }

func (s *start) Run(context.Context, *task.Env) (serviceReceipt, error) { return serviceReceipt{}, nil }

func (s *start) Releases() string { return s.Service }

type apply struct {
	done
	Dir task.Path `with:"dir,required"`
}

func (a *apply) Run(context.Context, *task.Env) (serviceReceipt, error) { return serviceReceipt{}, nil }

func (a *apply) Files() []string {
	files, err := os.ReadDir(string(a.Dir))
	if err != nil {
		return []string{string(a.Dir)}
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, filepath.Join(string(a.Dir), f.Name()))
	}
	return paths
}

type check struct {
	done
	URL    string `with:"url,required"`
	Status int    `with:"status"`
}

func (c *check) Run(context.Context, *task.Env) (serviceReceipt, error) { return serviceReceipt{}, nil }

func (c *check) Validate() error {
	if c.Status < 100 {
		return fmt.Errorf("status %d is none of HTTP's", c.Status)
	}
	return nil
}

type assert struct {
	done
	That task.Condition `with:"that,required"`
}

func (a *assert) Run(context.Context, *task.Env) (serviceReceipt, error) {
	return serviceReceipt{}, nil
}

type approval struct {
	done
	Environment string `with:"environment,required"`
}

func (a *approval) Run(context.Context, *task.Env) (serviceReceipt, error) {
	return serviceReceipt{}, nil
}
