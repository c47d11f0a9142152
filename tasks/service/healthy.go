package service

import (
	"context"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/runner/task"
)

// Healthy holds that a service works, by what its health page says. That the
// service's process runs, or that its database lets one connect, proves
// nothing and is not asked.
type Healthy struct {
	URL     task.URL          `with:"url,required"`  // the health page, http or https
	Expect  map[string]string `with:"expect"`        // top-level keys of its JSON answer and their values; default status: healthy, {} for any answer with status 200
	Timeout time.Duration     `with:"timeout,limit"` // how long to go on asking until it is so; default 10s
	CAFile  string            `with:"ca_file"`       // PEM file of authorities to trust beside the system's
}

// Health is what the page said.
type Health struct {
	URL       string `json:"url"`        // the page that was asked, without its query
	Status    int    `json:"status"`     // HTTP status of the last answer
	LatencyMS int64  `json:"latency_ms"` // duration of the request that it answered, in milliseconds
	Looks     int    `json:"looks"`      // how often it was asked
}

// Validate holds that the address is one.
func (h *Healthy) Validate() error {
	if err := fetch.CheckURL(string(h.URL)); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return positive(h.Timeout)
}

// Check holds that the request can be made. The page itself may be down until
// an earlier step has started the service.
func (h *Healthy) Check(context.Context, *task.Env) error {
	_, err := newPage(string(h.URL), h.Expect, h.CAFile)
	return err
}

// Run asks until the page says that all is well.
func (h *Healthy) Run(ctx context.Context, _ *task.Env) (Health, error) {
	page, err := newPage(string(h.URL), h.Expect, h.CAFile)
	if err != nil {
		return Health{}, err
	}
	receipt := Health{URL: fetch.Shown(string(h.URL))}
	within, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	err = poll(within, 250*time.Millisecond, func(within context.Context) error {
		answer, err := page.look(within)
		receipt.Looks++
		if answer.Status != 0 {
			receipt.Status, receipt.LatencyMS = answer.Status, answer.Latency.Milliseconds()
		}
		return err
	})
	if ctx.Err() != nil {
		return receipt, context.Cause(ctx)
	}
	if err != nil {
		return receipt, task.Hint(fmt.Errorf("not healthy within %s: %w", h.Timeout, err), "read the service's log")
	}
	return receipt, nil
}
