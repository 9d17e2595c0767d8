package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgfed/pgfed/internal/change"
)

// Row is a row of pgfed.checkpoint: what this database has applied of one
// origin.
type Row struct {
	Position change.Position
	// Generation and Sequence are hints where to look in the origin's stream.
	Generation change.ID
	Sequence   uint64
	CommitTime time.Time // of the last transaction applied, at its origin; zero: none yet
	AppliedAt  time.Time // by this database's clock
}

// ErrFenced means that the checkpoint is not where this applier left it:
// somebody else applies the same origin. The transaction must be rolled back
// and the applier must end.
var ErrFenced = errors.New("another applier moved the checkpoint")

// Querier is what *pgx.Conn and pgx.Tx have in common.
type Querier interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error)
}

// Positions travel as text: neither uuid nor pg_lsn depends on the session's
// settings, and parameters of type text can be sent unprepared.
const (
	selectSQL = `SELECT origin, history::text, lsn::text, coalesce(generation::text, ''), sequence, commit_time, applied_at
FROM pgfed.checkpoint`

	initializeSQL = `INSERT INTO pgfed.checkpoint (origin, history, lsn, applied_at)
VALUES ($1::text, $2::text::uuid, $3::text::pg_lsn, clock_timestamp())
ON CONFLICT (origin) DO NOTHING`

	// AdvanceSQL moves one origin's checkpoint by compare-and-set. Its
	// arguments come from AdvanceArgs; its command tag goes to Advanced.
	AdvanceSQL = `UPDATE pgfed.checkpoint
SET history = $4::text::uuid, lsn = $5::text::pg_lsn, generation = $6::text::uuid, sequence = $7::text::bigint,
    commit_time = $8::text::timestamptz, applied_at = clock_timestamp()
WHERE origin = $1::text AND history = $2::text::uuid AND lsn = $3::text::pg_lsn`
)

// Load reads the whole durable frontier. With lock it waits for transactions
// that are still moving it and holds the rows until tx ends.
func Load(ctx context.Context, q Querier, lock bool) (map[string]Row, error) {
	sql := selectSQL + " ORDER BY origin"
	if lock {
		sql += " FOR UPDATE"
	}
	return read(ctx, q, sql)
}

// Read reads one origin's row; not found before the first contact. Lock is as
// in Load.
func Read(ctx context.Context, q Querier, origin string, lock bool) (row Row, found bool, err error) {
	sql := selectSQL + " WHERE origin = $1::text"
	if lock {
		sql += " FOR UPDATE"
	}
	rows, err := read(ctx, q, sql, origin)
	if err != nil {
		return Row{}, false, err
	}
	row, found = rows[origin]
	return row, found, nil
}

func read(ctx context.Context, q Querier, sql string, arguments ...any) (map[string]Row, error) {
	found, err := q.Query(ctx, sql, arguments...)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	defer found.Close()
	rows := make(map[string]Row)
	for found.Next() {
		origin, row, err := scan(found)
		if err != nil {
			return nil, fmt.Errorf("read the checkpoint: %w", err)
		}
		rows[origin] = row
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	return rows, nil
}

func scan(found pgx.Rows) (origin string, row Row, err error) {
	var history, lsn, generation string
	var sequence int64
	var commitTime *time.Time
	if err := found.Scan(&origin, &history, &lsn, &generation, &sequence, &commitTime, &row.AppliedAt); err != nil {
		return "", Row{}, err
	}
	row.Sequence = uint64(sequence)
	if commitTime != nil {
		row.CommitTime = *commitTime
	}
	if row.Position.History, err = change.ParseID(history); err != nil {
		return "", Row{}, err
	}
	if row.Position.LSN, err = change.ParseLSN(lsn); err != nil {
		return "", Row{}, err
	}
	row.Generation, err = change.ParseID(generation)
	return origin, row, err
}

// Initialize writes the row of an origin that this database meets for the
// first time: it has applied everything up to at. It is safe to repeat; a row
// that says something else is ErrFenced.
func Initialize(ctx context.Context, q Querier, origin string, at change.Position) error {
	if origin == "" || at.History.IsZero() {
		return fmt.Errorf("initialize the checkpoint of %q at %s: want an origin and a history", origin, at)
	}
	if _, err := q.Exec(ctx, initializeSQL, origin, at.History.String(), at.LSN.String()); err != nil {
		return fmt.Errorf("initialize the checkpoint of %s: %w", origin, err)
	}
	row, found, err := Read(ctx, q, origin, false)
	switch {
	case err != nil:
		return err
	case !found || row.Position != at:
		return fmt.Errorf("initialize the checkpoint of %s at %s: %w: it is at %s", origin, at, ErrFenced, row.Position)
	}
	return nil
}

// AdvanceArgs returns the arguments of AdvanceSQL: a string each, or nil for
// NULL. It refuses to go anywhere but forward. AppliedAt is not used: the
// database's clock fills it.
func AdvanceArgs(origin string, from change.Position, to Row) ([]any, error) {
	p := to.Position
	switch {
	case origin == "" || from.History.IsZero() || p.History.IsZero():
		return nil, fmt.Errorf("advance %q from %s to %s: want an origin and two histories", origin, from, p)
	case p.History == from.History && p.LSN <= from.LSN:
		return nil, fmt.Errorf("advance %s from %s to %s: not forward", origin, from, p)
	case to.Sequence > math.MaxInt64:
		return nil, fmt.Errorf("advance %s: sequence %d is too large", origin, to.Sequence)
	}
	var generation, commitTime any
	if !to.Generation.IsZero() {
		generation = to.Generation.String()
	}
	if !to.CommitTime.IsZero() {
		commitTime = to.CommitTime.UTC().Format("2006-01-02T15:04:05.999999Z")
	}
	return []any{
		origin, from.History.String(), from.LSN.String(),
		p.History.String(), p.LSN.String(), generation, fmt.Sprint(to.Sequence), commitTime,
	}, nil
}

// Advanced judges the command tag of AdvanceSQL: ErrFenced when the row was
// not at from.
func Advanced(tag pgconn.CommandTag, origin string, from, to change.Position) error {
	switch n := tag.RowsAffected(); n {
	case 1:
		return nil
	case 0:
		return fmt.Errorf("advance %s from %s to %s: %w", origin, from, to, ErrFenced)
	default:
		return fmt.Errorf("advance %s from %s to %s: %d rows changed, want one", origin, from, to, n)
	}
}

// Advance moves one origin's checkpoint, in the transaction that writes the
// rows.
func Advance(ctx context.Context, q Querier, origin string, from change.Position, to Row) error {
	arguments, err := AdvanceArgs(origin, from, to)
	if err != nil {
		return err
	}
	tag, err := q.Exec(ctx, AdvanceSQL, arguments...)
	if err != nil {
		return fmt.Errorf("advance %s from %s to %s: %w", origin, from, to.Position, err)
	}
	return Advanced(tag, origin, from, to.Position)
}
