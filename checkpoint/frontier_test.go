package checkpoint_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/internal/change"
)

// id makes a readable history id.
func id(n byte) change.ID { return change.ID{15: n} }

func at(history byte, lsn change.LSN) change.Position {
	return change.Position{History: id(history), LSN: lsn}
}

func TestFrontierStandsWhereTheDatabaseSays(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	require.Zero(t, f.Applied("west"))
	f.Set("west", at(1, 100))
	f.Set("central", change.Position{})
	require.Equal(t, at(1, 100), f.Applied("west"))
	require.Equal(t, change.Vector{"west": at(1, 100)}, f.Snapshot())
	require.Equal(t, change.Vector{"west": at(1, 100)}, f.Begun())
}

func TestBegunIsNotedBeforeItIsApplied(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Set("west", at(1, 100))
	f.NoteBegun("west", at(1, 120))
	require.Equal(t, change.Vector{"west": at(1, 120)}, f.Begun())
	require.Equal(t, at(1, 100), f.Applied("west"))

	f.NoteBegun("west", at(1, 110)) // an attempt that was rolled back comes again, smaller
	require.Equal(t, change.Vector{"west": at(1, 120)}, f.Begun(), "an intent is never taken back")

	f.Advance("west", at(1, 130))
	require.Equal(t, change.Vector{"west": at(1, 130)}, f.Begun(), "what is applied was begun")

	f.Set("west", at(1, 100)) // the database crashed and lost unflushed commits
	require.Equal(t, at(1, 100), f.Applied("west"))
	require.Equal(t, change.Vector{"west": at(1, 130)}, f.Begun())
}

func TestFrontierMovesOnlyForward(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	require.Panics(t, func() { f.Advance("west", at(1, 1)) }, "before Set")
	require.Panics(t, func() { f.NoteBegun("west", at(1, 1)) }, "before Set")
	f.Set("west", at(1, 100))
	require.Panics(t, func() { f.Advance("west", at(1, 99)) })
	f.Advance("west", at(1, 100)) // nothing new is not backwards
	f.Learn("west", change.History{ID: id(2), Parent: id(1), Fork: 90})
	f.Advance("west", at(2, 95))
	require.Panics(t, func() { f.Advance("west", at(1, 200)) }, "back into the parent")
}

func TestItsOwnEntriesAreNotWaitedFor(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Set("west", at(1, 100))
	f.Set("east", at(9, 1))
	seen := change.Vector{"east": at(9, 999), "west": at(1, 101), "central": at(3, 1), "north": at(4, 1)}
	require.Equal(t, []string{"central", "north", "west"}, f.Covers(seen, ""))
	require.Equal(t, []string{"central", "north"}, f.Covers(seen, "west"), "a stream is in order anyway")
	require.NotContains(t, f.Begun(), "east")
}

func TestHistoriesGoOnAfterOneAnother(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Learn("west", change.History{ID: id(2), Parent: id(1), Fork: 100, Start: 100})
	f.Learn("west", change.History{ID: id(3), Parent: id(2), Fork: 200, Start: 200})
	for _, c := range []struct {
		about      string
		have, need change.Position
		want       bool
	}{
		{"the same history", at(2, 150), at(2, 150), true},
		{"the same history, not yet", at(2, 150), at(2, 151), false},
		{"a parent's position before the fork", at(2, 150), at(1, 99), true},
		{"a parent's position behind the fork is lost for everybody", at(2, 150), at(1, 130), true},
		{"a grandparent's", at(3, 201), at(1, 130), true},
		{"a child's position is not reached in the parent", at(1, 130), at(2, 120), false},
		{"up to the fork both are one: the child's is reached", at(1, 90), at(2, 80), true},
		{"up to the fork both are one: the child's is not reached", at(1, 70), at(2, 80), false},
		{"up to the fork both are one: the parent's is not reached", at(2, 70), at(1, 80), false},
		{"through two forks", at(3, 90), at(1, 95), false},
		{"an unknown history", at(7, 1), at(1, 1), false},
		{"of an unknown history", at(3, 1000), at(7, 1), false},
	} {
		f.Set("west", c.have)
		require.Equal(t, c.want, len(f.Covers(change.Vector{"west": c.need}, "")) == 0, c.about)
	}
}

func TestHistoriesInACircleEnd(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Learn("west", change.History{ID: id(1), Parent: id(2), Fork: 100})
	f.Learn("west", change.History{ID: id(2), Parent: id(1), Fork: 100})
	f.Set("west", at(1, 50))
	require.Equal(t, []string{"west"}, f.Covers(change.Vector{"west": at(3, 1)}, ""))
}

// A node that met an origin which has published nothing yet asks nobody to
// wait for it.
func TestTheStartOfAHistoryIsNotWaitedFor(t *testing.T) {
	first := change.History{ID: id(1), Start: 100}
	f := checkpoint.NewFrontier("east")
	f.Learn("west", first)
	f.Set("west", at(1, 100))
	require.Empty(t, f.Begun())
	f.Advance("west", at(1, 110))
	require.Equal(t, change.Vector{"west": at(1, 110)}, f.Begun())

	other := checkpoint.NewFrontier("central")
	other.Learn("west", first)
	require.Empty(t, other.Covers(change.Vector{"west": at(1, 100)}, ""))
	require.Equal(t, []string{"west"}, other.Covers(change.Vector{"west": at(1, 101)}, ""))
}

func TestANewHistoryReplacesWhatWasBegun(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Set("west", at(1, 100))
	f.NoteBegun("west", at(1, 130)) // orphaned by the promotion
	f.Learn("west", change.History{ID: id(2), Parent: id(1), Fork: 110})
	f.Set("west", at(2, 100)) // the same place, by its new name
	require.Equal(t, at(1, 130), f.Begun()["west"], "an intent in the orphaned range counts until the child is past the fork")
	f.NoteBegun("west", at(2, 120))
	require.Equal(t, at(2, 120), f.Begun()["west"])
}

func TestWait(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Set("west", at(1, 100))
	f.Set("central", at(2, 10))
	ended := make(chan error)
	go func() {
		ended <- f.Wait(t.Context(), change.Vector{"west": at(1, 110), "central": at(2, 20)}, "")
	}()
	f.Advance("west", at(1, 105))
	f.Advance("central", at(2, 20))
	require.Never(t, func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	}, 20*time.Millisecond, time.Millisecond)
	f.Advance("west", at(1, 110))
	require.NoError(t, <-ended)
}

func TestWaitEndsWhenALineageIsLearned(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Set("west", at(2, 150))
	ended := make(chan error)
	go func() { ended <- f.Wait(t.Context(), change.Vector{"west": at(1, 110)}, "") }()
	f.Learn("west", change.History{ID: id(2), Parent: id(1), Fork: 120})
	require.NoError(t, <-ended)
}

func TestWaitNamesWhatIsMissing(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Set("west", at(1, 100))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := f.Wait(ctx, change.Vector{"west": at(1, 101), "central": at(2, 1)}, "")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var wait *checkpoint.WaitError
	require.ErrorAs(t, err, &wait)
	require.Equal(t, []string{"central", "west"}, wait.Missing)

	reason := errors.New("the federation is over")
	over, end := context.WithCancelCause(t.Context())
	end(reason)
	require.ErrorIs(t, f.Wait(over, change.Vector{"central": at(2, 1)}, ""), reason)
	require.NoError(t, f.Wait(over, change.Vector{"west": at(1, 100)}, ""), "what is there needs no wait")
}

func TestReady(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	ended := make(chan error)
	go func() { ended <- f.Ready(t.Context(), "west", "east", "central") }()
	f.Set("west", at(1, 1))
	f.Set("central", change.Position{}) // never met, and known to be
	require.NoError(t, <-ended)

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.EqualError(t, f.Ready(ctx, "west", "north"), "wait for north: context deadline exceeded")
}

// No wait is lost between a look and a sleep.
func TestManyWaiters(t *testing.T) {
	f := checkpoint.NewFrontier("east")
	f.Set("west", at(1, 0))
	const steps = 1000
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			for lsn := change.LSN(1); lsn <= steps; lsn++ {
				if err := f.Wait(t.Context(), change.Vector{"west": at(1, lsn)}, ""); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for lsn := change.LSN(1); lsn <= steps; lsn++ {
		f.NoteBegun("west", at(1, lsn))
		f.Advance("west", at(1, lsn))
		f.Begun()
	}
	waiting.Wait()
}

// Begun covers applied and, inside a history, never falls.
func TestBegunNeverFalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := checkpoint.NewFrontier("east")
		f.Set("west", at(1, 50))
		floor := change.LSN(50)
		t.Repeat(map[string]func(*rapid.T){
			"note": func(t *rapid.T) { f.NoteBegun("west", at(1, change.LSN(rapid.IntRange(1, 100).Draw(t, "lsn")))) },
			"advance": func(t *rapid.T) {
				f.Advance("west", at(1, change.LSN(rapid.IntRange(int(f.Applied("west").LSN), 100).Draw(t, "lsn"))))
			},
			"reconnect": func(t *rapid.T) { f.Set("west", at(1, change.LSN(rapid.IntRange(1, 100).Draw(t, "lsn")))) },
			"": func(t *rapid.T) {
				begun := f.Begun()["west"]
				require.True(t, begun.Covers(f.Applied("west")))
				require.GreaterOrEqual(t, begun.LSN, floor)
				floor = begun.LSN
			},
		})
	})
}
