package applier

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

const (
	parkSQL = `INSERT INTO pgfed.parked (origin, history, position, xid, reason, sqlstate, tables, commit_time)
		VALUES ($1, $2::uuid, $3::pg_lsn, $4::bigint, $5, $6, '{}', $7::timestamptz)`
	parkChangeSQL = `INSERT INTO pgfed.parked_change (origin, history, position, ordinal, schema_name, table_name,
		operation, old_kind, old_row, new_row, detail)
		VALUES ($1, $2::uuid, $3::pg_lsn, $4::bigint, $5, $6, $7, $8, $9::jsonb, $10::jsonb, $11::jsonb)`
	parkKeySQL = `INSERT INTO pgfed.parked_key (origin, history, position, schema_name, table_name, key_hash)
		VALUES ($1, $2::uuid, $3::pg_lsn, $4, $5, $6) ON CONFLICT DO NOTHING`
)

// anyKey stands for every key of a table, in parked_key after a TRUNCATE.
const anyKey = "*"

// errJoins: the transaction touches a key of a parked one.
var errJoins = errors.New("a key of a parked transaction is touched")

// parkReason says why a transaction is parked.
type parkReason struct {
	commit                 change.LSN
	code, reason, sqlState string
}

func (m *Memory) remember(final change.LSN, r parkReason) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.park == nil {
		m.park = make(map[change.LSN]parkReason)
	}
	m.park[final] = r
}

func (m *Memory) recall(final change.LSN) *parkReason {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, found := m.park[final]; found {
		return &r
	}
	return nil
}

func (m *Memory) forget(final change.LSN) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.park, final)
}

// parkedTables collects a parked transaction's tables.
type parkedTables struct {
	names map[string]bool
}

func (t *parkedTables) add(table *change.Table) {
	if t.names == nil {
		t.names = make(map[string]bool)
	}
	t.names[table.String()] = true
}

// parkWhole keeps a transaction that is complete in memory, and moves the
// checkpoint past it in the same target transaction.
func (a *Applier) parkWhole(ctx context.Context, x *transaction, p *change.Part, why parkReason) error {
	var tables parkedTables
	err := a.retry(ctx, func() error {
		x.tally = tally{}
		tables = parkedTables{}
		if _, err := a.run(ctx, a.control.begin, nil); err != nil {
			return err
		}
		if err := a.beginPark(ctx, x, why); err != nil {
			return err
		}
		if err := a.parkChanges(ctx, x, p.Changes, &tables); err != nil {
			return err
		}
		if err := a.endPark(ctx, x, &tables); err != nil {
			return err
		}
		if err := a.mark(ctx, x); err != nil {
			return err
		}
		return a.commit(ctx, x)
	})
	if err != nil {
		a.rollBack(ctx)
		return fmt.Errorf("park %s/%s: %w", a.Origin, x.to.Position, err)
	}
	a.parkedOne(x)
	return nil
}

func (a *Applier) parkedOne(x *transaction) {
	a.tainted = true
	a.progress.Parked++
	a.meter().parkedOne()
	a.Logger.Warn("parked a transaction", "origin", a.Origin, "position", x.to.Position)
	a.committed(x)
}

func (a *Applier) beginPark(ctx context.Context, x *transaction, why parkReason) error {
	state := why.sqlState
	if state == "" {
		state = why.code
	}
	_, err := a.run(ctx, a.control.park, [][]byte{
		[]byte(a.Origin), []byte(x.to.Position.History.String()), []byte(x.to.Position.LSN.String()),
		strconv.AppendUint(nil, uint64(x.begin.XID), 10), []byte(why.reason), []byte(state), timestamp(x.begin),
	})
	return err
}

// parkChanges writes changes down as their origin made them, and the keys they
// touch.
func (a *Applier) parkChanges(ctx context.Context, x *transaction, changes []change.Change, tables *parkedTables) error {
	l := a.pipe(ctx)
	err := a.queueParked(l, x, changes, tables)
	if err == nil {
		err = l.finish()
	}
	if closed := l.close(); err == nil {
		err = closed
	}
	return err
}

func (a *Applier) queueParked(l *pipe, x *transaction, changes []change.Change, tables *parkedTables) error {
	place := [][]byte{[]byte(a.Origin), []byte(x.to.Position.History.String()), []byte(x.to.Position.LSN.String())}
	for i := range changes {
		c := &changes[i]
		values, err := parkedValues(c)
		if err != nil {
			return err
		}
		l.send(a.control.parkChange, append(place[:3:3], values...), request{want: 1})
		keys, err := touched(c)
		if err != nil {
			return err
		}
		for _, k := range keys {
			tables.add(k.table)
			l.send(a.control.parkKey, append(place[:3:3], []byte(k.table.Schema), []byte(k.table.Name), []byte(k.hash)), request{want: anyCount})
		}
		if l.full() {
			if err := l.turn(); err != nil {
				return err
			}
		}
	}
	return nil
}

// parkedValues are the parameters of parkChangeSQL behind the position.
func parkedValues(c *change.Change) ([][]byte, error) {
	ordinal := strconv.AppendUint(nil, c.Ordinal, 10)
	if c.Op == change.Truncate {
		if len(c.Truncated) == 0 {
			return nil, malformed(nil, errors.New("a TRUNCATE of no table"))
		}
		first := c.Truncated[0]
		return [][]byte{ordinal, []byte(first.Schema), []byte(first.Name), []byte(c.Op.String()), {}, nil, nil, truncateDetail(c)}, nil
	}
	var img image
	if err := img.read(c); err != nil {
		return nil, err
	}
	var old, new []byte
	kind := []byte{}
	if c.OldKind != change.OldNone {
		kind = []byte{c.OldKind}
		old = appendTuple(nil, c, img.old, c.OldKind == change.OldKey)
	}
	if c.Op != change.Delete {
		new = appendTuple(nil, c, img.new, false)
	}
	return [][]byte{ordinal, []byte(c.Table.Schema), []byte(c.Table.Name), []byte(c.Op.String()), kind, old, new, tableDetail(c.Table)}, nil
}

// tableDetail notes the replica identity: a retry finds rows by it.
func tableDetail(t *change.Table) []byte {
	b := append([]byte(`{"identity": "`), t.Identity, '"')
	b = append(b, `, "key": [`...)
	separator := ""
	for _, c := range t.Columns {
		if c.Key {
			b = appendJSON(append(b, separator...), []byte(c.Name))
			separator = ", "
		}
	}
	return append(b, "]}"...)
}

func truncateDetail(c *change.Change) []byte {
	b := []byte(`{"tables": [`)
	for i, t := range c.Truncated {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, `{"schema": `...)
		b = appendJSON(b, []byte(t.Schema))
		b = append(b, `, "table": `...)
		b = append(appendJSON(b, []byte(t.Name)), '}')
	}
	b = append(b, `], "cascade": `...)
	b = strconv.AppendBool(b, c.Cascade)
	b = append(b, `, "restart_identity": `...)
	return append(strconv.AppendBool(b, c.RestartIdentity), '}')
}

func (a *Applier) endPark(ctx context.Context, x *transaction, tables *parkedTables) error {
	names := make([]string, 0, len(tables.names))
	for name := range tables.names {
		names = append(names, name)
	}
	sort.Strings(names)
	_, err := a.conn.Exec(ctx, `UPDATE pgfed.parked SET tables = $4 WHERE origin = $1 AND history = $2::text::uuid AND position = $3::text::pg_lsn`,
		a.Origin, x.to.Position.History.String(), x.to.Position.LSN.String(), names)
	return err
}

// touchedKey is a key that a change reads or writes.
type touchedKey struct {
	table *change.Table
	hash  string
}

// touched lists a change's keys: before it and, where that differs, after it.
func touched(c *change.Change) ([]touchedKey, error) {
	if c.Op == change.Truncate {
		keys := make([]touchedKey, len(c.Truncated))
		for i, t := range c.Truncated {
			keys[i] = touchedKey{t, anyKey}
		}
		return keys, nil
	}
	_, values, err := conflict.Key(c)
	if err != nil {
		return nil, malformed(c.Table, err)
	}
	keys := []touchedKey{{c.Table, conflict.KeyHash(c.Table.Schema, c.Table.Name, values)}}
	if c.Op == change.Update && c.OldKind != change.OldNone {
		after := change.Change{Op: change.Insert, Table: c.Table, New: c.New}
		if _, values, err = conflict.Key(&after); err != nil {
			return nil, malformed(c.Table, err)
		}
		keys = append(keys, touchedKey{c.Table, conflict.KeyHash(c.Table.Schema, c.Table.Name, values)})
	}
	return keys, nil
}

// joins reports errJoins when accepted changes touch a key of a parked
// transaction of this origin: they wait with it, or they would be applied to a
// row that is not as they saw it.
func (a *Applier) joins(ctx context.Context, items []item) error {
	if !a.tainted {
		return nil
	}
	var schemas, tables, hashes []string
	for i := range items {
		if !items[i].Verdict.Accept && items[i].Change.Op != change.Truncate {
			continue
		}
		keys, err := touched(items[i].Change)
		if err != nil {
			return err
		}
		for _, k := range keys {
			schemas, tables, hashes = append(schemas, k.table.Schema), append(tables, k.table.Name), append(hashes, k.hash)
		}
	}
	var joins bool
	err := a.conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pgfed.parked_key WHERE origin = $1), EXISTS (
			SELECT 1 FROM unnest($2::text[], $3::text[], $4::text[]) AS u(s, t, h)
			JOIN pgfed.parked_key k ON k.origin = $1 AND k.schema_name = u.s AND k.table_name = u.t
				AND (k.key_hash = u.h OR k.key_hash = '*' OR u.h = '*'))`,
		a.Origin, schemas, tables, hashes).Scan(&a.tainted, &joins)
	if err != nil {
		return err
	}
	if joins {
		return &Halt{Code: CodeJoins, Reason: "touches a key of a parked transaction", Err: errJoins,
			Remedy: "see replctl parked list"}
	}
	return nil
}

// haltAtClash records a clash that no rule decides, in a transaction of its
// own because everything else was rolled back, and halts. A clash met again at
// the next try is on record already.
func (a *Applier) haltAtClash(ctx context.Context, x *transaction, clash *unresolved) error {
	x.provisional = false
	tag, err := a.run(ctx, a.control.record, clash.record.values(a.Origin, x))
	if err != nil {
		return fmt.Errorf("record a conflict of %s/%s: %w", a.Origin, x.to.Position, err)
	}
	if tag.RowsAffected() > 0 {
		a.progress.Conflicts++
		a.meter().conflict(recorded{clash.record.kind, clash.record.resolution})
	}
	return a.halt(clash.halt, x.to.Position)
}
