package applier

import (
	"context"
	"encoding/binary"
	"fmt"
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
	lost  map[uint32]bool // tables with more rows than are remembered
}

type displacedRow struct {
	localRow
	plan *plan
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
		d.rows[key] = append(d.rows[key], displacedRow{rows[i], p})
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

// identityOf is the text of the columns that changes of the table are found by.
func (p *plan) identityOf(value func(source int) change.Value) string {
	var b []byte
	add := func(source int) {
		v := value(source)
		b = binary.AppendUvarint(append(b, v.Kind), uint64(len(v.Bytes)))
		b = append(b, v.Bytes...)
	}
	if !p.full {
		for _, m := range p.key {
			add(m.source)
		}
		return string(b)
	}
	for at := range p.target.columns {
		if source := slices.Index(p.columns, at); source >= 0 {
			add(source)
		}
	}
	return string(b)
}

// displaced takes back the row that an update or delete means, nil if the
// transaction has displaced none such.
func (e *encounter) displaced() (*localRow, error) {
	p, d := e.it.plan, &e.x.displaced
	old := e.img.old
	if e.it.Change.OldKind == change.OldNone {
		old = e.img.new
	}
	key := displacedKey{p.target.oid, p.identityOf(func(source int) change.Value { return old[source] })}
	if rows := d.rows[key]; len(rows) > 0 {
		last := &rows[len(rows)-1].localRow
		d.count--
		d.bytes -= last.size()
		if d.rows[key] = rows[:len(rows)-1]; len(rows) == 1 {
			delete(d.rows, key)
		}
		return last, nil
	}
	if d.lost[p.target.oid] {
		return nil, lasting(CodeConflict, p.source.String(), "make unique constraints DEFERRABLE here as at the origin; applying resumes by itself",
			"a transaction changes a row that may have given way to another of its changes, of which more have than are remembered")
	}
	return nil, nil
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
// transaction's end.
func (a *Applier) restoreDisplaced(ctx context.Context, x *transaction) error {
	for _, rows := range x.displaced.rows {
		for i := range rows {
			err := a.guardedOnce(ctx, rows[i].plan.putBack(rows[i].values))
			switch {
			case err == nil || constraintInTheWay(err):
			case sqlState(err) != "" && Lasting(err):
				return describe(err, rows[i].plan.source.String())
			default:
				return err
			}
		}
	}
	return nil
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
