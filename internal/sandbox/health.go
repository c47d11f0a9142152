package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	healthTimeout = 20 * time.Second
	healthPoll    = 10 * time.Millisecond
)

// awaitHealth returns when the page at url answers 200.
func awaitHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healthTimeout, errors.New("it does not get healthy"))
	defer cancel()
	tick := time.NewTicker(healthPoll)
	defer tick.Stop()
	for !healthy(ctx, url) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("start the API: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

func healthy(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
