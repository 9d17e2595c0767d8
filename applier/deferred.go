package applier

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// A DEFERRABLE unique constraint is checked by a trigger that stays silent in
// a replica session: a clash would be written without a word. So the values
// that a transaction gives to such a constraint's columns are looked up at its
// end, where the origin checked them too (PITFALLS D3).

// These bound what is remembered of a transaction, values and records of what
// gave them; beyond them the whole table is checked.
const (
	deferredLimit = 10000
	deferredBytes = 8 << 20
)

// deferredCheck looks for a second row with the same values.
type deferredCheck struct {
	once
	record *record
	table  string
}

// deferredChecks are those of a transaction.
type deferredChecks struct {
	values []deferredCheck
	bytes  int
	whole  map[string]deferredCheck // by query
}

// noteDeferred remembers what an accepted change gave to deferred constraints.
func (x *transaction) noteDeferred(it *item, img *image) error {
	if it.Change.Op == change.Delete {
		return nil
	}
	for _, index := range it.plan.deferred {
		q, byValue := it.plan.secondRow(index, img)
		if q.sql == "" {
			continue
		}
		r, err := describeChange(it.Change, it.Change.Table, it.Verdict, conflict.MultipleUniqueConflicts, conflict.Halt, nil)
		if err != nil {
			return err
		}
		check := deferredCheck{once: q, record: r, table: it.Change.Table.String()}
		size := len(r.old) + len(r.new) + len(q.sql)
		if byValue && len(x.deferred.values) < deferredLimit && x.deferred.bytes+size <= deferredBytes {
			x.deferred.bytes += size
			check.values = cloneValues(q.values)
			x.deferred.values = append(x.deferred.values, check)
			continue
		}
		if byValue {
			check.once = it.plan.anyTwice(index)
		}
		if x.deferred.whole == nil {
			x.deferred.whole = make(map[string]deferredCheck)
		}
		x.deferred.whole[check.sql] = check
	}
	return nil
}

func cloneValues(values [][]byte) [][]byte {
	cloned := make([][]byte, len(values))
	for i, v := range values {
		cloned[i] = slices.Clone(v)
	}
	return cloned
}

// secondRow finds a second row with the new row's values; by looking at the
// whole table when the change does not bring them all. Nothing to look for
// when a value is NULL.
func (p *plan) secondRow(x *targetIndex, img *image) (q once, byValue bool) {
	if x.exclusion || !x.comparable() {
		return once{}, false // not checked, as under native replication
	}
	var conditions []string
	for _, key := range x.keys {
		source := -1
		if key.column >= 0 {
			source = slices.Index(p.columns, key.column)
		}
		if source < 0 || img.new[source].Kind == change.Unchanged {
			return p.anyTwice(x), false
		}
		if img.new[source].Kind == change.Null {
			return once{}, false
		}
		q.values = append(q.values, img.new[source].Bytes)
		q.oids = append(q.oids, p.target.columns[key.column].typeOID)
		conditions = append(conditions, fmt.Sprintf("t.%s %s %s $%d", key.expression, key.collation, key.operator, len(q.values)))
	}
	q.sql = fmt.Sprintf("SELECT 1 FROM %s AS t WHERE %s OFFSET 1 LIMIT 1", x.rows, strings.Join(conditions, " AND "))
	return q, true
}

func (p *plan) anyTwice(x *targetIndex) once {
	keys := make([]string, len(x.keys))
	known := make([]string, len(x.keys))
	for i, key := range x.keys {
		keys[i] = "(" + key.expression + ") " + key.collation
		known[i] = "(" + key.expression + ") IS NOT NULL"
	}
	return once{sql: fmt.Sprintf("SELECT 1 FROM %s AS t WHERE %s GROUP BY %s HAVING count(*) > 1 LIMIT 1",
		x.rows, strings.Join(known, " AND "), strings.Join(keys, ", "))}
}

// checkDeferred looks for clashes at the transaction's end.
func (a *Applier) checkDeferred(ctx context.Context, x *transaction) error {
	checks := x.deferred.values
	for _, check := range x.deferred.whole {
		checks = append(checks, check)
	}
	for i := range checks {
		check := &checks[i]
		result := a.conn.PgConn().ExecParams(ctx, check.sql, check.once.values, check.oids, nil, nil).Read()
		if result.Err != nil {
			return result.Err
		}
		if len(result.Rows) > 0 {
			return &unresolved{record: check.record, halt: lasting(CodeConflict, check.table,
				"see replctl conflicts list; make the local row agree, then applying resumes by itself",
				"%s: two rows would share the values of a deferrable unique constraint", check.record.kind)}
		}
	}
	return nil
}
