package applier

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/change"
)

// A constraint may be DEFERRABLE at the origin and not here. A transaction that
// swaps values then runs into its own rows: one change displaces a row that a
// later one means, or that would not be in the way any more at its end. So what
// a transaction has taken out of the way is remembered until then, and is there
// for its own changes as if it had stayed.

// displacedRows are those of a transaction, by table and identity.
type displacedRows struct {
	rows  map[displacedKey][]displacedRow
	count int
	bytes int
	turns uint64
	lost  map[uint32]bool // tables with more rows than are remembered
}

type displacedRow struct {
	localRow
	plan *plan
	turn uint64 // in which order they were displaced
}

type displacedKey struct {
	table    uint32 // here: partitions of the origin's may be one table
	identity string
}

// remember keeps rows as they were before a change of the transaction deleted
// or overwrote them, within the bounds of what deferred constraints remember.
// Unless the identity is FULL its key is not deferrable: the row that had the
// new row's key was not the origin's.
func (d *displacedRows) remember(p *plan, rows []localRow) {
	if !p.full && p.key == nil {
		return // no later change means a row of this table
	}
	for i := range rows {
		if !p.full && rows[i].sameKey {
			continue
		}
		size := rows[i].size()
		if d.count >= deferredLimit || d.bytes+size > deferredBytes {
			if d.lost == nil {
				d.lost = make(map[uint32]bool)
			}
			d.lost[p.target.oid] = true
			continue
		}
		if d.rows == nil {
			d.rows = make(map[displacedKey][]displacedRow)
		}
		key := displacedKey{p.target.oid, p.identityOf(func(source int) change.Value { return rows[i].values[p.places[source]] })}
		d.turns++
		d.rows[key] = append(d.rows[key], displacedRow{rows[i], p, d.turns})
		d.count++
		d.bytes += size
	}
}

func (row *localRow) size() (bytes int) {
	for _, v := range row.values {
		bytes += len(v.Bytes)
	}
	return bytes
}

// take takes back the last row of an identity, nil if there is none.
func (d *displacedRows) take(key displacedKey) *localRow {
	rows := d.rows[key]
	if len(rows) == 0 {
		return nil
	}
	last := &rows[len(rows)-1].localRow
	d.count--
	d.bytes -= last.size()
	if d.rows[key] = rows[:len(rows)-1]; len(rows) == 1 {
		delete(d.rows, key)
	}
	return last
}

// truncated forgets the rows of a table that a TRUNCATE means, all where means
// is nil, but for those of spared partitions: nothing brings them back.
func (d *displacedRows) truncated(table *target, spared []uint32, means func(*localRow) bool) {
	holds := func(row *localRow) bool {
		return !slices.ContainsFunc(spared, func(oid uint32) bool { return row.place.table == fmt.Sprint(oid) })
	}
	for key, rows := range d.rows {
		kept := rows[:0]
		for i := range rows {
			row := &rows[i].localRow
			of := key.table == table.oid && holds(row) || row.place.table == fmt.Sprint(table.oid)
			if of && (means == nil || means(row)) {
				d.count--
				d.bytes -= row.size()
				continue
			}
			kept = append(kept, rows[i])
		}
		if d.rows[key] = kept; len(kept) == 0 {
			delete(d.rows, key)
		}
	}
	if spared == nil && means == nil {
		delete(d.lost, table.oid)
	}
}

// identityOf is the text of the columns that changes of the table are found by.
func (p *plan) identityOf(value func(source int) change.Value) string {
	var b []byte
	for _, source := range p.identity() {
		v := value(source)
		b = binary.AppendUvarint(append(b, v.Kind), uint64(len(v.Bytes)))
		b = append(b, v.Bytes...)
	}
	return string(b)
}

// identity are those columns, in source.Columns.
func (p *plan) identity() (sources []int) {
	if !p.full {
		for _, m := range p.key {
			sources = append(sources, m.source)
		}
		return sources
	}
	for at := range p.target.columns {
		if source := slices.Index(p.columns, at); source >= 0 {
			sources = append(sources, source)
		}
	}
	return sources
}

// displaced takes back the row that an update or delete means, nil if the
// transaction has displaced none such.
func (e *encounter) displaced(ctx context.Context) (*localRow, error) {
	p, d := e.it.plan, &e.x.displaced
	old := e.img.old
	if e.it.Change.OldKind == change.OldNone {
		old = e.img.new
	}
	key := displacedKey{p.target.oid, p.identityOf(func(source int) change.Value { return old[source] })}
	if row := d.take(key); row != nil {
		return row, nil
	}
	if len(d.rows) > 0 {
		// A column of another type than at the origin (date and timestamp, json
		// and jsonb) says the same value otherwise.
		here, err := e.asHere(ctx, old)
		if err != nil {
			return nil, err
		}
		key.identity = p.identityOf(func(source int) change.Value { return here[source] })
		if row := d.take(key); row != nil {
			return row, nil
		}
	}
	if d.lost[p.target.oid] {
		return nil, lasting(CodeConflict, p.source.String(), "make unique constraints DEFERRABLE here as at the origin, or the local rows agree; applying resumes by itself",
			"a transaction changes a row that may have given way to another of its changes, of which more have than are remembered")
	}
	return nil, nil
}

// asHere is the identity in an image as columns of ours say it.
func (e *encounter) asHere(ctx context.Context, old []change.Value) (map[int]change.Value, error) {
	p := e.it.plan
	var q once
	var columns []string
	for _, source := range p.identity() {
		v, c := old[source], &p.target.columns[p.places[source]]
		if v.Kind == change.Null {
			v.Bytes = nil
		}
		q.values, q.oids = append(q.values, v.Bytes), append(q.oids, c.typeOID)
		columns = append(columns, fmt.Sprintf("$%d::%s", len(q.values), c.typeName))
	}
	q.sql = "SELECT " + strings.Join(columns, ", ")
	result := e.a.conn.PgConn().ExecParams(ctx, q.sql, q.values, q.oids, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	here := make(map[int]change.Value, len(columns))
	for i, source := range p.identity() {
		here[source] = change.Value{Kind: change.Text, Bytes: result.Rows[0][i]}
		if result.Rows[0][i] == nil {
			here[source] = change.Value{Kind: change.Null}
		}
	}
	return here, nil
}

// restore updates a displaced row: it is inserted with what the change gives
// it. What was not sent, and what only this node has, is as it was.
func (e *encounter) restore(ctx context.Context, row *localRow) error {
	p := e.it.plan
	values := slices.Clone(row.values)
	for source, at := range p.columns {
		if at >= 0 && e.img.new[source].Kind != change.Unchanged {
			values[at] = e.img.new[source]
		}
	}
	return e.force(ctx, p.putBack(values), nil)
}

// restoreDisplaced puts rows back that nothing stands in the way of at the
// transaction's end, those first that were displaced last: where two exclude
// each other, the later one came from the transaction itself.
func (a *Applier) restoreDisplaced(ctx context.Context, x *transaction) error {
	for _, row := range x.displaced.latestFirst() {
		err := a.guardedOnce(ctx, row.plan.putBack(row.values))
		switch {
		case err == nil || constraintInTheWay(err):
		case sqlState(err) != "" && Lasting(err):
			return describe(err, row.plan.source.String())
		default:
			return err
		}
	}
	return nil
}

func (d *displacedRows) latestFirst() []displacedRow {
	all := slices.Concat(slices.Collect(maps.Values(d.rows))...)
	slices.SortFunc(all, func(r, s displacedRow) int { return cmp.Compare(s.turn, r.turn) })
	return all
}

// putBack inserts a row of ours with all of its values.
func (p *plan) putBack(values []change.Value) (q once) {
	var names, params []string
	for i := range p.target.columns {
		c := &p.target.columns[i]
		if c.generated {
			continue
		}
		if values[i].Kind == change.Null {
			values[i].Bytes = nil
		}
		q.values, q.oids = append(q.values, values[i].Bytes), append(q.oids, c.typeOID)
		names, params = append(names, c.quoted), append(params, fmt.Sprintf("$%d", len(q.values)))
	}
	q.sql = fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)", p.target.quoted, strings.Join(names, ", "), strings.Join(params, ", "))
	return q
}
