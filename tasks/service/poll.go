package service

import (
	"context"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// poll calls look, every so often, until it returns nil. If ctx ends first, it
// returns what look said last of its own accord.
func poll(ctx context.Context, every time.Duration, look func(context.Context) error) error {
	var said error
	for {
		err := look(ctx)
		if err == nil {
			return nil
		}
		if said == nil || ctx.Err() == nil {
			said = err
		}
		select {
		case <-ctx.Done():
			return said
		case <-time.After(every):
		}
	}
}

// milliseconds is how receipts give durations.
func milliseconds(since time.Time) int64 { return time.Since(since).Milliseconds() }

// positive refuses a time that is over before it begins.
func positive(timeout time.Duration) error {
	if timeout > 0 {
		return nil
	}
	return task.Hint(fmt.Errorf("timeout is %s", timeout), "write a duration above zero, such as 30s")
}
