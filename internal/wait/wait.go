// Package wait holds the two ways to let time pass that end with their
// context.
package wait

import (
	"context"
	"fmt"
	"time"
)

// Pause waits that long, or returns the context's cause when it ends earlier.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

const untilEvery = 20 * time.Millisecond

// Until asks at once and then every 20 ms until the answer is yes or an error,
// which it returns. When the limit has passed, the error says so.
func Until(ctx context.Context, limit time.Duration, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %s", limit))
	defer cancel()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		if err := Pause(ctx, untilEvery); err != nil {
			return err
		}
	}
}
