package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/prometheus"
)

// scrapeEvery is how often the API's metrics are looked at: what takes a hospital
// weeks takes a sandbox seconds.
const (
	scrapeEvery   = 50 * time.Millisecond
	keysUnusedFor = 3 * time.Second
)

// startMetrics has the instances of the API scraped.
func (s *Sandbox) startMetrics(ctx context.Context) error {
	targets := []string{s.env["API_URL"] + "/metrics"}
	if s.balancer != nil {
		targets = []string{s.env["API_URL_A"] + "/metrics", s.env["API_URL_B"] + "/metrics"}
	}
	var err error
	if s.metrics, err = prometheus.Start(ctx, scrapeEvery, targets...); err != nil {
		return err
	}
	s.env["METRICS_URL"], s.env["KEYS_UNUSED_FOR"] = s.metrics.URL(), keysUnusedFor.String()
	return nil
}

// testAccounts are the first users, who have a role each: what a plan may log in
// as when all others have passwords of their own.
func (s *Sandbox) testAccounts() {
	if s.people.Users == 0 {
		return
	}
	var ids []string
	for i := range min(3, s.people.Users) {
		ids = append(ids, "'"+s.people.User(i).ID+"'")
	}
	s.env["TEST_USERS_WHERE"] = "id in (" + strings.Join(ids, ", ") + ")"
	s.env["TEST_API_KEY"] = s.people.User(min(1, s.people.Users-1)).APIKey
}

// LetTimePass waits until the metrics go back as far as a plan asks them to, and
// whatever was done before is longer ago.
func (s *Sandbox) LetTimePass(ctx context.Context) error {
	if s.metrics == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(keysUnusedFor + 10*scrapeEvery):
		return nil
	}
}

// SetPasswords has everybody who has an account set a password of their own, as
// people do in the weeks after a cut-over.
func (s *Sandbox) SetPasswords() error {
	for _, user := range s.tenant.Users() {
		if err := s.tenant.SetPassword(user.ID, rand.Text()+"-aZ7"); err != nil {
			return fmt.Errorf("have users set their passwords: %w", err)
		}
	}
	return nil
}
