package service

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/medlogistics/phasegate/internal/fetch"
)

// lookTimeout is how long one look at a page may take. A page that needs longer
// is not healthy, and the next look may find it so.
const lookTimeout = 5 * time.Second

// healthy is what a health page says unless a step expects something else.
func healthy() map[string]string { return map[string]string{"status": "healthy"} }

// page is a health page and what it must say.
type page struct {
	url    string
	expect map[string]string // nil is healthy()
	client *fetch.Client
}

func newPage(url string, expect map[string]string, caFile string) (page, error) {
	client, err := fetch.New(caFile)
	if expect == nil {
		expect = healthy()
	}
	return page{url, expect, client}, err
}

// look asks the page once. Its error says in what the answer differs from a
// healthy one.
func (p page) look(ctx context.Context) (fetch.Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, fmt.Errorf("no answer within %s", lookTimeout))
	defer cancel()
	answer, err := p.client.Get(ctx, p.url, nil)
	if err != nil {
		return answer, err
	}
	if answer.Status != http.StatusOK {
		return answer, fmt.Errorf("the health page answers with status %d, not 200", answer.Status)
	}
	return answer, p.compare(answer.Body)
}

func (p page) compare(body []byte) error {
	if len(p.expect) == 0 {
		return nil
	}
	var said map[string]any
	if err := json.Unmarshal(body, &said); err != nil {
		return errors.New("the health page's answer is not a JSON object")
	}
	for _, key := range slices.Sorted(maps.Keys(p.expect)) {
		value, ok := said[key]
		if !ok {
			return fmt.Errorf("the health page's answer has no %q", key)
		}
		if got := fmt.Sprint(value); got != p.expect[key] {
			return fmt.Errorf("the health page says %s %.40q, not %q", key, got, p.expect[key])
		}
	}
	return nil
}

// refuses tells whether nobody answers at the page's address: nothing listens,
// or a proxy in front has nobody behind it. Who answers with a certificate that
// is not trusted, or not yet, answers.
func (p page) refuses(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	answer, err := p.client.Get(ctx, p.url, nil)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || ctx.Err() != nil {
		return false
	}
	return err != nil || answer.Status >= http.StatusBadGateway && answer.Status <= http.StatusGatewayTimeout
}
