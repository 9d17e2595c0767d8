package decoder

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/change"
)

// System says which life of which server a position belongs to.
type System struct {
	ID       uint64 // system identifier
	Timeline uint32
	Flushed  change.LSN // end of the log that is flushed (on a standby: replayed)
	Database string
}

// ErrOtherSystem says that the connection reached another server, or another
// timeline of it, than the one expected: a failover happened in between.
var ErrOtherSystem = errors.New("the server is another one than before")

// Identify asks the server who it is (IDENTIFY_SYSTEM).
func Identify(ctx context.Context, connString string) (System, error) {
	conn, err := connect(ctx, connString, "")
	if err != nil {
		return System{}, fmt.Errorf("identify system: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return identify(ctx, conn)
}

// checkSystem makes sure, on the connection that will be read, that it belongs
// to the life of the log that the caller took it for. The zero System is not
// checked.
func checkSystem(ctx context.Context, conn *pgx.Conn, expected System) error {
	if expected.ID == 0 {
		return nil
	}
	have, err := identify(ctx, conn)
	if err != nil {
		return err
	}
	if have.ID != expected.ID || have.Timeline != expected.Timeline {
		return fmt.Errorf("system %d on timeline %d, expected %d on %d: %w", have.ID, have.Timeline, expected.ID, expected.Timeline, ErrOtherSystem)
	}
	return nil
}

func identify(ctx context.Context, conn *pgx.Conn) (System, error) {
	answer, err := pglogrepl.IdentifySystem(ctx, conn.PgConn())
	if err != nil {
		return System{}, fmt.Errorf("identify system: %w", err)
	}
	id, err := parseSystemID(answer.SystemID)
	if err != nil {
		return System{}, fmt.Errorf("identify system: %w", err)
	}
	return System{
		ID:       id,
		Timeline: uint32(answer.Timeline),
		Flushed:  change.LSN(answer.XLogPos),
		Database: answer.DBName,
	}, nil
}

// Fork asks where a timeline left its parent (TIMELINE_HISTORY). Timeline 1
// has no parent: the result is 0, 0.
func Fork(ctx context.Context, connString string, timeline uint32) (parent uint32, at change.LSN, err error) {
	if timeline <= 1 {
		return 0, 0, nil
	}
	conn, err := connect(ctx, connString, "")
	if err != nil {
		return 0, 0, fmt.Errorf("read history of timeline %d: %w", timeline, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	history, err := pglogrepl.TimelineHistory(ctx, conn.PgConn(), int32(timeline))
	if err != nil {
		return 0, 0, fmt.Errorf("read history of timeline %d: %w", timeline, err)
	}
	if parent, at, err = parseFork(history.Content); err != nil {
		return 0, 0, fmt.Errorf("read history of timeline %d: %w", timeline, err)
	}
	return parent, at, nil
}
