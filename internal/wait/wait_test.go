package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/wait"
)

func TestPauseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.NoError(t, wait.Pause(t.Context(), time.Minute))
		require.Equal(t, time.Minute, time.Since(began))

		reason := errors.New("told to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		require.ErrorIs(t, wait.Pause(ctx, time.Minute), reason)
		require.Equal(t, time.Minute, time.Since(began))
	})
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		require.NoError(t, wait.Until(t.Context(), time.Second, func() (bool, error) {
			asked++
			return asked == 3, nil
		}))
		require.Equal(t, 3, asked)

		broken := errors.New("broken")
		require.ErrorIs(t, wait.Until(t.Context(), time.Second, func() (bool, error) { return false, broken }), broken)

		began := time.Now()
		require.EqualError(t, wait.Until(t.Context(), time.Second, func() (bool, error) { return false, nil }), "not within 1s")
		require.Equal(t, time.Second, time.Since(began))
	})
}
