package transport

import (
	"errors"
	"fmt"

	"github.com/pgfed/pgfed/internal/change"
)

// What reading a stream can end with. ErrSessionLost and ErrStreamMissing
// pass by themselves: open a new subscription, with a pause. The others last
// until a person has acted.
var (
	// ErrGap: changes behind the reader's position are no longer, or were
	// never, in the stream. Errors are of type *GapError.
	ErrGap = errors.New("changes are missing from the stream")
	// ErrForeignHistory: the stream tells of another life of the origin's
	// write-ahead log than the reader's, and no known fork leads from one to
	// the other.
	ErrForeignHistory = errors.New("foreign history")
	// ErrForeignGeneration: a message names a generation that its stream
	// does not know.
	ErrForeignGeneration = errors.New("foreign generation")
	// ErrFormat: the message was written in a format that this version does
	// not read.
	ErrFormat = errors.New("unknown wire format")
	// ErrCorrupt: the message is damaged.
	ErrCorrupt = errors.New("corrupt message")
	// ErrStreamMissing: the broker has no such stream. It may just have been
	// lost, and its owner will make a new one.
	ErrStreamMissing = errors.New("stream does not exist")
	// ErrSessionLost: connection, consumer or continuity was lost; a new
	// subscription finds the place again.
	ErrSessionLost = errors.New("session lost")
	// ErrNotMember: the stream or message belongs to another federation or
	// node.
	ErrNotMember = errors.New("not a member of this federation")
)

// What publishing can end with.
var (
	// ErrFenced: somebody else has appended to the stream. The publisher must
	// give up; whoever holds the replication slot opens another.
	ErrFenced = errors.New("fenced: another publisher has appended to the stream")
	// ErrStreamRegressed: the stream no longer ends where it ended before: its
	// storage was lost, purged or set back. Open a new publisher, and capture
	// again from its Start.
	ErrStreamRegressed = errors.New("the stream has lost what it had acknowledged")
	// ErrForeignStream: the stream of our name belongs to another federation,
	// node, database or format.
	ErrForeignStream = errors.New("the stream belongs to somebody else")
	// ErrOrphanedTail: the stream holds changes of the parent history from
	// behind the fork, which this history does not contain. Errors are of
	// type *OrphanError.
	ErrOrphanedTail = errors.New("the stream ends behind the fork of this history")
	// ErrTooLarge: something that cannot be cut does not fit the broker's
	// max_payload.
	ErrTooLarge = errors.New("does not fit the broker's max_payload")
)

// errInterleaved: pieces of two large transactions of one publisher took
// turns. Format 1 does not do that.
var errInterleaved = fmt.Errorf("%w: pieces of different transactions take turns, which format %d does not know", ErrFormat, formatVersion)

// GapError says between which positions changes are missing.
type GapError struct {
	Have change.LSN // where the reader stands; 0: it wanted the beginning
	Need change.LSN // where a reader of the stream must stand at least
}

func (e *GapError) Error() string {
	if e.Have == 0 {
		return fmt.Sprintf("%v: the stream no longer begins at the beginning of the history but at %v", ErrGap, e.Need)
	}
	return fmt.Sprintf("%v: have %v, the stream goes on from %v", ErrGap, e.Have, e.Need)
}

// Is makes the error an ErrGap.
func (e *GapError) Is(target error) bool { return target == ErrGap }

// FormatError names both formats.
type FormatError struct{ Have, Want byte }

func (e *FormatError) Error() string {
	return fmt.Sprintf("%v: the message has format %d, this version reads format %d", ErrFormat, e.Have, e.Want)
}

// Is makes the error an ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// OrphanError says how far the stream goes beyond the fork.
type OrphanError struct{ Tail, Fork change.LSN }

func (e *OrphanError) Error() string {
	return fmt.Sprintf("%v: it ends at %v, the fork is at %v", ErrOrphanedTail, e.Tail, e.Fork)
}

// Is makes the error an ErrOrphanedTail.
func (e *OrphanError) Is(target error) bool { return target == ErrOrphanedTail }

// corrupt makes an ErrCorrupt that says what is wrong.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
