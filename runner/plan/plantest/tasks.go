// Package plantest has tasks of every kind, with a configuration key of every
// type, for the tests of what reads plans. They do nothing.
package plantest

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

// Tasks are the tasks that the plans of runner/plan/testdata use.
func Tasks() task.Set {
	return task.NewSet(
		task.Look("postgres/backup", &Backup{Jobs: 2}, task.Copies),
		task.Look("postgres/ready", &Ready{}),
		task.Of("service/stop", &Stop{}),
		task.Of("service/start", &Start{}, task.Retryable),
		task.Look("service/reload", &Reload{}),
		task.Of("schema/apply", &Apply{}, task.Alters),
		task.Look("web/check", &Check{Status: 200}),
		task.Gate("gate/assert", &Assert{}),
		task.Gate("gate/approval", &Approval{}, task.Asks),
	)
}

// done is what the toys have in common: they do nothing.
type done struct{}

// Check finds nothing.
func (done) Check(context.Context, *task.Env) error { return nil }

// Level is how much is compared.
type Level string

// Words are the levels.
func (Level) Words() []string { return []string{"counts", "full"} }

// Backup keeps a copy of a database.
type Backup struct {
	done
	DSN      redact.Secret  `with:"dsn,required"`          // a secret
	To       string         `with:"to"`                    // a text
	Jobs     int            `with:"jobs" min:"1" max:"16"` // a whole number
	Rate     float64        `with:"rate"`                  // a number
	Full     bool           `with:"full"`                  // true or false
	Level    Level          `with:"level"`                 // one of two words
	Wait     time.Duration  `with:"wait" min:"1s"`         // a duration
	Largest  task.Bytes     `with:"largest"`               // a size
	Share    task.Percent   `with:"share"`                 // a percentage
	Config   task.Path      `with:"config"`                // a file or a directory
	Tables   []string       `with:"tables"`                // texts
	Labels   map[string]int `with:"labels"`                // numbers by name
	Ports    []int          `with:"ports"`                 // whole numbers
	Compare  *Comparison    `with:"compare"`               // one mapping
	Columns  []Comparison   `with:"columns"`               // several mappings
	Optional *string        `with:"optional"`              // a text or nothing
}

// Comparison is what a column is compared with.
type Comparison struct {
	Column string `with:"column,required"` // a text
	Rows   int    `with:"rows"`            // a whole number
}

// BackupReceipt tells where the copy is.
type BackupReceipt struct {
	File      string         `json:"file"`       // a text
	SizeBytes int64          `json:"size_bytes"` // a whole number
	Rate      float64        `json:"rate"`       // a number
	Proven    bool           `json:"proven"`     // true or false
	Tables    []string       `json:"tables"`     // texts
	Ports     []int          `json:"ports"`      // whole numbers
	Took      time.Duration  `json:"took"`       // a duration
	Finished  time.Time      `json:"finished"`   // a time
	Rows      map[string]int `json:"rows"`       // numbers by name
	Note      *string        `json:"note"`       // a text or nothing
}

// Run does nothing.
func (b *Backup) Run(context.Context, *task.Env) (BackupReceipt, error) { return BackupReceipt{}, nil }

// Files are the files that it reads.
func (b *Backup) Files() []string {
	if b.Config == "" {
		return nil
	}
	return []string{string(b.Config)}
}

// Ready looks at a database.
type Ready struct {
	done
	DSN redact.Secret `with:"dsn,required"` // a secret
}

// ReadyReceipt tells what was found.
type ReadyReceipt struct {
	Version     int     `json:"version"`      // a whole number
	SuccessRate float64 `json:"success_rate"` // a number
	Failed      int     `json:"failed"`       // a whole number
	TLS         bool    `json:"tls"`          // true or false
}

// Run does nothing.
func (r *Ready) Run(context.Context, *task.Env) (ReadyReceipt, error) { return ReadyReceipt{}, nil }

// ServiceReceipt tells how the service was.
type ServiceReceipt struct {
	Was string `json:"was"` // a text
}

// Stop stops a service.
type Stop struct {
	done
	Service string        `with:"service,required,held"` // a text
	Drain   int           `with:"drain"`                 // a whole number
	Timeout time.Duration `with:"timeout,limit"`         // a duration
}

// Validate refuses what no service can have.
func (s *Stop) Validate() error { return validService(s.Service, s.Drain) }

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

// Run does nothing.
func (s *Stop) Run(context.Context, *task.Env) (ServiceReceipt, error) { return ServiceReceipt{}, nil }

// Hold names the service.
func (s *Stop) Hold() string { return s.Service }

// Holds is always so.
func (s *Stop) Holds(context.Context, *task.Env) error { return nil }

// Reload is a task with the keys of the others that holds nothing.
type Reload struct {
	done
	Service string   `with:"service,required"` // a text
	Drain   int      `with:"drain"`            // a whole number
	Page    task.URL `with:"page"`             // the address of a page
}

// Validate refuses what no service can have.
func (r *Reload) Validate() error { return validService(r.Service, r.Drain) }

// Run does nothing.
func (r *Reload) Run(context.Context, *task.Env) (ServiceReceipt, error) {
	return ServiceReceipt{}, nil
}

// Start starts a service.
type Start struct {
	done
	Service string        `with:"service,required,held"` // a text
	Timeout time.Duration `with:"timeout,limit"`         // a duration
}

// Validate refuses what no service can have.
func (s *Start) Validate() error { return validService(s.Service, 0) }

// Run does nothing.
func (s *Start) Run(context.Context, *task.Env) (ServiceReceipt, error) { return ServiceReceipt{}, nil }

// Releases names the service.
func (s *Start) Releases() string { return s.Service }

// Apply applies the files of a directory.
type Apply struct {
	done
	Dir task.Path `with:"dir,required"` // a file or a directory
}

// Run does nothing.
func (a *Apply) Run(context.Context, *task.Env) (ServiceReceipt, error) { return ServiceReceipt{}, nil }

// Files are the files that it reads.
func (a *Apply) Files() []string {
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

// Check looks at a page.
type Check struct {
	done
	URL    string `with:"url,required"` // a text
	Status int    `with:"status"`       // a whole number
}

// Run does nothing.
func (c *Check) Run(context.Context, *task.Env) (ServiceReceipt, error) { return ServiceReceipt{}, nil }

// Validate refuses what no service can have.
func (c *Check) Validate() error {
	if c.Status < 100 {
		return fmt.Errorf("status %d is none of HTTP's", c.Status)
	}
	return nil
}

// Assert opens when its condition holds.
type Assert struct {
	done
	That task.Condition `with:"that,required"` // an expression
}

// Run does nothing.
func (a *Assert) Run(context.Context, *task.Env) (ServiceReceipt, error) {
	return ServiceReceipt{}, nil
}

// Approval opens when a person says so.
type Approval struct {
	done
	Environment string `with:"environment,required"` // a text
}

// Run does nothing.
func (a *Approval) Run(context.Context, *task.Env) (ServiceReceipt, error) {
	return ServiceReceipt{}, nil
}
