package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/config"
	"github.com/pgfed/pgfed/internal/report"
)

// ErrNotInstalled is wrapped when the database holds none of pgfed's objects.
var ErrNotInstalled = errors.New(`this database is not a member yet; run "replctl init"`)

// ErrNoHistory is wrapped when init was interrupted before its last step.
var ErrNoHistory = errors.New(`no history is recorded, so init did not finish; run "replctl init" again`)

// Node is who the database says it is.
type Node struct {
	Federation string
	Name       string
	Version    int // of the schema
}

// ReadNode reads who the database is; ErrNotInstalled when it is nobody.
func ReadNode(ctx context.Context, q Querier) (Node, error) {
	var n Node
	var installed bool
	if err := q.QueryRow(ctx, "SELECT to_regclass('pgfed.node') IS NOT NULL").Scan(&installed); err != nil {
		return n, fmt.Errorf("read the node's name: %w", err)
	}
	if !installed {
		return n, ErrNotInstalled
	}
	err := q.QueryRow(ctx, "SELECT federation, node, version FROM pgfed.node").Scan(&n.Federation, &n.Name, &n.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return n, ErrNotInstalled
	}
	if err != nil {
		return n, fmt.Errorf("read the node's name: %w", err)
	}
	return n, nil
}

// Check reports whether the database may serve as this node.
func (n Node) Check(f *config.Federation, node string) error {
	switch {
	case n.Federation != f.Federation:
		return fmt.Errorf("this database is node %s of federation %s, not of %s; check the database's address and the file", n.Name, n.Federation, f.Federation)
	case n.Name != node:
		return fmt.Errorf("this database is node %s of federation %s, not %s; check --node and the database's address", n.Name, n.Federation, node)
	case n.Version > SchemaVersion:
		return fmt.Errorf("this database was set up by a newer pgfed (schema version %d, this one knows %d); upgrade this program", n.Version, SchemaVersion)
	}
	return nil
}

// History is one recorded life of the database's write-ahead log.
type History struct {
	change.History
	Published change.LSN // what the stream durably held when the slot was last confirmed; 0 for nothing yet
	Confirmed change.LSN // what the slot was last confirmed to; 0 for nothing yet
}

// ReadHistory reads the newest history; ErrNoHistory when there is none.
func ReadHistory(ctx context.Context, q Querier) (History, error) {
	var h History
	var id, system, parent, fork, start, published, confirmed string
	var timeline int64
	err := q.QueryRow(ctx, `SELECT id::text, system, timeline, coalesce(parent::text, ''), coalesce(fork, '0/0')::text, start::text,
	       coalesce(published, '0/0')::text, coalesce(confirmed, '0/0')::text
	  FROM pgfed.history ORDER BY ordinal DESC LIMIT 1`).
		Scan(&id, &system, &timeline, &parent, &fork, &start, &published, &confirmed)
	if errors.Is(err, pgx.ErrNoRows) {
		return h, ErrNoHistory
	}
	if err != nil {
		return h, fmt.Errorf("read the history: %w", err)
	}
	h.Timeline = uint32(timeline)
	var errs [7]error
	h.ID, errs[0] = change.ParseID(id)
	h.Parent, errs[1] = change.ParseID(parent)
	h.System, errs[2] = strconv.ParseUint(system, 10, 64)
	h.Fork, errs[3] = change.ParseLSN(fork)
	h.Start, errs[4] = change.ParseLSN(start)
	h.Published, errs[5] = change.ParseLSN(published)
	h.Confirmed, errs[6] = change.ParseLSN(confirmed)
	if err := errors.Join(errs[:]...); err != nil {
		return h, fmt.Errorf("read the history: %w", err)
	}
	return h, nil
}

// ReadAncestors reads every history but the newest, oldest first.
func ReadAncestors(ctx context.Context, q Querier) ([]change.History, error) {
	rows, err := q.Query(ctx, `SELECT id::text, coalesce(parent::text, ''), coalesce(fork, '0/0')::text FROM pgfed.history ORDER BY ordinal`)
	if err != nil {
		return nil, fmt.Errorf("read the histories: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h change.History, err error) {
		var id, parent, fork string
		if err := row.Scan(&id, &parent, &fork); err != nil {
			return h, err
		}
		var errs [3]error
		h.ID, errs[0] = change.ParseID(id)
		h.Parent, errs[1] = change.ParseID(parent)
		h.Fork, errs[2] = change.ParseLSN(fork)
		return h, errors.Join(errs[:]...)
	})
	if err != nil {
		return nil, fmt.Errorf("read the histories: %w", err)
	}
	return list[:max(len(list)-1, 0)], nil
}

// AddHistory records a new history, such as that of a promoted standby. A
// history that is recorded already is left as it is.
func AddHistory(ctx context.Context, q Querier, h change.History) error {
	_, err := q.Exec(ctx, `INSERT INTO pgfed.history (id, system, timeline, parent, fork, start)
	VALUES ($1::text::uuid, $2, $3, nullif($4, '')::uuid, CASE WHEN $4 <> '' THEN $5::text::pg_lsn END, $6::text::pg_lsn)
	ON CONFLICT (id) DO NOTHING`,
		h.ID.String(), strconv.FormatUint(h.System, 10), int64(h.Timeline), h.Parent.String(), h.Fork.String(), h.Start.String())
	if err != nil {
		return fmt.Errorf("record history %s: %w", h.ID.Short(), err)
	}
	return nil
}

// SetPublished remembers how far the stream durably is and what the slot is
// about to be confirmed to. It writes only when one of them changed; whoever
// calls it for every idle position writes WAL for ever, so call it before the
// slot is confirmed past a transaction of ours, not for idle WAL.
func SetPublished(ctx context.Context, q Querier, history change.ID, published, confirmed change.LSN) error {
	tag, err := q.Exec(ctx, `UPDATE pgfed.history SET published = $2::text::pg_lsn, confirmed = $3::text::pg_lsn
	 WHERE id = $1::text::uuid AND (published IS DISTINCT FROM $2::text::pg_lsn OR confirmed IS DISTINCT FROM $3::text::pg_lsn)`,
		history.String(), published.String(), confirmed.String())
	if err != nil {
		return fmt.Errorf("record what is published: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	var known bool
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pgfed.history WHERE id = $1::text::uuid)", history.String()).Scan(&known); err != nil {
		return fmt.Errorf("record what is published: %w", err)
	}
	if !known {
		return fmt.Errorf("record what is published: history %s: %w", history.Short(), ErrNoHistory)
	}
	return nil
}

// Unpublished lists, as schema.name, tables that the file selects and whose
// changes are not captured, because they came after init.
func Unpublished(ctx context.Context, q Querier, f *config.Federation) ([]string, error) {
	tables, err := catalog.ReadTables(ctx, q, f)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range tables.Unpublished() {
		names = append(names, t.String())
	}
	return names, nil
}

// Conflicts reads the newest conflict records, at most limit.
func Conflicts(ctx context.Context, q Querier, limit int) ([]report.Conflict, error) {
	rows, err := q.Query(ctx, `SELECT schema_name, table_name, origin, position::text, ordinal, kind, key_hash, resolution,
	       coalesce(commit_time, recorded_at), operation, coalesce(owner, ''), history::text, recorded_at
	  FROM pgfed.conflict_history ORDER BY recorded_at DESC, origin, position DESC, ordinal DESC LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read conflicts: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (report.Conflict, error) {
		var c report.Conflict
		var position, history string
		var ordinal int64
		err := row.Scan(&c.Schema, &c.Table, &c.Origin, &position, &ordinal, &c.Kind, &c.KeyHash, &c.Resolution,
			&c.Time, &c.Operation, &c.Owner, &history, &c.Recorded)
		if err != nil {
			return c, err
		}
		c.Ordinal = uint64(ordinal)
		c.Time, c.Recorded = c.Time.UTC(), c.Recorded.UTC()
		c.Position, c.History, err = parsePosition(position, history)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read conflicts: %w", err)
	}
	return list, nil
}

// Parked reads the newest parked transactions, at most limit rows: one for
// each table that a transaction touched.
func Parked(ctx context.Context, q Querier, limit int) ([]report.Parked, error) {
	rows, err := q.Query(ctx, `SELECT t, origin, position::text, reason, sqlstate, parked_at, history::text
	  FROM pgfed.parked, unnest(CASE WHEN cardinality(tables) = 0 THEN '{"."}' ELSE tables END) AS t
	 ORDER BY parked_at DESC, origin, position DESC, t LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read parked transactions: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (report.Parked, error) {
		var p report.Parked
		var name, position, history string
		var at time.Time
		if err := row.Scan(&name, &p.Origin, &position, &p.Reason, &p.SQLState, &at, &history); err != nil {
			return p, err
		}
		p.Schema, p.Table, _ = strings.Cut(name, ".")
		p.Time = at.UTC()
		var err error
		p.Position, p.History, err = parsePosition(position, history)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read parked transactions: %w", err)
	}
	return list, nil
}

func parsePosition(lsn, history string) (change.LSN, change.ID, error) {
	position, err := change.ParseLSN(lsn)
	if err != nil {
		return 0, change.ID{}, err
	}
	id, err := change.ParseID(history)
	return position, id, err
}

// Count counts conflict records and parked transactions.
func Count(ctx context.Context, q Querier) (report.Counts, error) {
	var c report.Counts
	err := q.QueryRow(ctx, "SELECT (SELECT count(*) FROM pgfed.conflict_history), (SELECT count(*) FROM pgfed.parked)").Scan(&c.Conflicts, &c.Parked)
	if err != nil {
		return c, fmt.Errorf("count conflicts and parked transactions: %w", err)
	}
	return c, nil
}
