// Package web looks at web pages.
package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Check holds that a web page answers as it should: with the right status, with
// a text in it, soon enough. It asks once; a step that may have to wait says
// retry. A redirect is not followed: its status is what is judged.
type Check struct {
	URL          task.URL                 `with:"url,required"`  // the page, http or https
	Status       int                      `with:"status"`        // the HTTP status it must answer with; default 200
	BodyContains string                   `with:"body_contains"` // a text that must stand in its first MiB; default none
	MaxLatency   time.Duration            `with:"max_latency"`   // the longest it may take, connecting included; default no limit but timeout
	Timeout      time.Duration            `with:"timeout,limit"` // when to stop waiting for the answer; default 10s
	Headers      map[string]redact.Secret `with:"headers"`       // request headers by name, such as X-API-Key
	CAFile       string                   `with:"ca_file"`       // PEM file of authorities to trust beside the system's
}

// Page is what the page answered.
type Page struct {
	URL       string `json:"url"`        // the page, without its query
	Status    int    `json:"status"`     // HTTP status
	LatencyMS int64  `json:"latency_ms"` // duration of the request, in milliseconds
	Bytes     int    `json:"bytes"`      // size of the body, up to one MiB
}

// Validate holds that the address is one and the limits are possible.
func (c *Check) Validate() error {
	if err := fetch.CheckURL(string(c.URL)); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if c.Status < 100 || c.Status > 599 {
		return fmt.Errorf("status is %d: an HTTP status is from 100 to 599", c.Status)
	}
	if c.Timeout <= 0 || c.MaxLatency < 0 {
		return errors.New("timeout and max_latency are durations above zero, such as 10s")
	}
	return nil
}

// Check holds that the request can be made. The page may be down until an
// earlier step has started its server.
func (c *Check) Check(context.Context, *task.Env) error {
	_, err := fetch.New(c.CAFile)
	return err
}

// Run asks for the page and judges the answer.
func (c *Check) Run(ctx context.Context, _ *task.Env) (Page, error) {
	client, err := fetch.New(c.CAFile)
	if err != nil {
		return Page{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no answer within %s", c.Timeout))
	defer cancel()
	answer, err := client.Get(ctx, string(c.URL), c.Headers)
	receipt := Page{fetch.Shown(string(c.URL)), answer.Status, answer.Latency.Milliseconds(), len(answer.Body)}
	if err == nil {
		err = c.judge(answer)
	}
	return receipt, err
}

func (c *Check) judge(answer fetch.Answer) error {
	page := fetch.Shown(string(c.URL))
	switch {
	case answer.Status != c.Status && answer.Location != "":
		return task.Hint(fmt.Errorf("%s answers with status %d, a redirect, not with %d", page, answer.Status, c.Status),
			"redirects are not followed: write the address that it leads to, or expect the redirect's status")
	case answer.Status != c.Status:
		return fmt.Errorf("%s answers with status %d, not with %d", page, answer.Status, c.Status)
	case !bytes.Contains(answer.Body, []byte(c.BodyContains)):
		return fmt.Errorf("%s does not contain %q", page, c.BodyContains)
	case c.MaxLatency > 0 && answer.Latency > c.MaxLatency:
		return fmt.Errorf("%s took %s to answer, more than %s", page, answer.Latency.Round(time.Millisecond), c.MaxLatency)
	}
	return nil
}
