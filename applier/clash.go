package applier

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// localRow is a row of ours that a change met, locked.
type localRow struct {
	place   rowPlace
	values  []change.Value // by target column, as text
	json    []byte
	sameKey bool // it has the new row's key
}

// once is a statement that is built for one use.
type once struct {
	sql    string
	oids   []uint32
	values [][]byte
}

// selectLocal begins a query for localRow.
func (p *plan) selectLocal(b *strings.Builder) {
	b.WriteString("SELECT t.tableoid, t.ctid")
	for i := range p.target.columns {
		b.WriteString(", t." + p.target.columns[i].quoted)
	}
	fmt.Fprintf(b, " FROM %s AS t WHERE ", p.target.rows)
}

// lockRows runs a query that selectLocal began.
func (e *encounter) lockRows(ctx context.Context, q once) ([]localRow, error) {
	p := e.it.plan
	result := e.a.conn.PgConn().ExecParams(ctx, q.sql, q.values, q.oids, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	rows := make([]localRow, 0, len(result.Rows))
	for _, fields := range result.Rows {
		row := localRow{place: rowPlace{string(fields[0]), string(fields[1])}}
		var names []string
		var shown []change.Value
		for i, field := range fields[2:] {
			v := change.Value{Kind: change.Text, Bytes: field}
			if field == nil {
				v.Kind = change.Null
			}
			row.values = append(row.values, v)
			if !p.target.columns[i].local {
				names, shown = append(names, p.target.columns[i].name), append(shown, v)
			}
		}
		row.json = appendRow(nil, names, shown)
		rows = append(rows, row)
	}
	return rows, nil
}

// meant finds and locks the row that an update or delete is about. It differs
// when it has the key but not the content that the origin saw.
func (e *encounter) meant(ctx context.Context) (row *localRow, differs bool, err error) {
	p := e.it.plan
	row, err = e.lockOne(ctx, func(b *builder) {
		if p.full {
			b.sameRow()
		} else {
			b.matches(p.key, e.it.Change.OldKind != change.OldNone)
		}
	})
	if row != nil || err != nil || p.pk == nil {
		return row, false, err
	}
	row, err = e.lockOne(ctx, func(b *builder) { b.matches(p.pk, true) })
	return row, row != nil, err
}

// lockOne locks one row, nil if there is none. A lock that had to wait for a
// transaction which deleted the row and inserted it again finds nothing,
// because the new one is not in its snapshot: only a look without a lock
// proves that there is none (PITFALLS D13).
func (e *encounter) lockOne(ctx context.Context, where func(*builder)) (*localRow, error) {
	for range attempts {
		row, err := e.lookUp(ctx, where, " FOR UPDATE")
		if row != nil || err != nil {
			return row, err
		}
		row, err = e.lookUp(ctx, where, "")
		if row == nil || err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("lock a row of %s: it moved at each of %d attempts", e.it.Change.Table, attempts)
}

func (e *encounter) lookUp(ctx context.Context, where func(*builder), lock string) (*localRow, error) {
	b := e.it.plan.builder()
	e.it.plan.selectLocal(&b.Builder)
	where(b)
	b.WriteString(" LIMIT 1" + lock)
	st := b.finish()
	values, err := st.bind(nil, e.img)
	if err != nil {
		return nil, malformed(e.it.Change.Table, err)
	}
	rows, err := e.lockRows(ctx, once{st.sql, st.oids, values})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// inTheWay finds and locks the rows that forbid the change's new row by a
// unique index or an exclusion constraint: all of them, not just the one that
// the error names. own is the row that the change updates, nil for an insert.
func (e *encounter) inTheWay(ctx context.Context, own *localRow) ([]localRow, error) {
	q, found := e.it.plan.blockers(e.img, own)
	if !found {
		return nil, nil
	}
	result := e.a.conn.PgConn().ExecParams(ctx, q.sql, q.values, q.oids, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	var places []rowPlace
	same := make(map[rowPlace]bool)
	for _, fields := range result.Rows {
		place := rowPlace{string(fields[0]), string(fields[1])}
		if _, seen := same[place]; !seen {
			places = append(places, place)
		}
		same[place] = same[place] || string(fields[2]) == "t"
	}
	if places == nil {
		return nil, nil
	}
	var b strings.Builder
	e.it.plan.selectLocal(&b)
	b.WriteString(among + " ORDER BY t.tableoid, t.ctid FOR UPDATE")
	q = placesOf(places)
	q.sql = b.String()
	rows, err := e.lockRows(ctx, q)
	for i := range rows {
		rows[i].sameKey = same[rows[i].place]
	}
	return rows, err
}

// blockers builds the query for the rows in the way of a new row. The new row
// is made with every column of ours, so that expressions, predicates and
// generated columns of indexes can be computed.
func (p *plan) blockers(img *image, own *localRow) (q once, found bool) {
	var b strings.Builder
	b.WriteString("WITH pgfed_new AS (SELECT ")
	q.values, q.oids = p.writeNewRow(&b, img, own)
	b.WriteString("), pgfed_full AS (SELECT pgfed_new.*")
	for i := range p.target.columns {
		if c := &p.target.columns[i]; c.generated {
			fmt.Fprintf(&b, ", (%s) AS %s", c.expression, c.quoted)
		}
	}
	b.WriteString(" FROM pgfed_new) ")
	for i := range p.target.indexes {
		x := &p.target.indexes[i]
		if x.deferred || !x.comparable() {
			continue
		}
		if found {
			b.WriteString(" UNION ALL ")
		}
		found = true
		p.writeBlocker(&b, x, own)
	}
	q.sql = b.String()
	return q, found
}

// writeNewRow writes the new row's columns: what the change brings, what stays
// of the row it updates, NULL for columns of ours on an insert.
func (p *plan) writeNewRow(b *strings.Builder, img *image, own *localRow) (values [][]byte, oids []uint32) {
	given := make(map[int]change.Value)
	for i, at := range p.columns {
		if at >= 0 && img.new[i].Kind != change.Unchanged {
			given[at] = img.new[i]
		}
	}
	separator := ""
	for i := range p.target.columns {
		c := &p.target.columns[i]
		if c.generated {
			continue
		}
		b.WriteString(separator)
		separator = ", "
		if v, found := given[i]; found {
			if v.Kind == change.Null {
				v.Bytes = nil
			}
			values, oids = append(values, v.Bytes), append(oids, c.typeOID)
			fmt.Fprintf(b, "$%d::%s AS %s", len(values), c.typeName, c.quoted)
		} else if own != nil {
			fmt.Fprintf(b, "o.%[1]s AS %[1]s", c.quoted)
		} else {
			// Not a cast: a domain may allow no NULL.
			fmt.Fprintf(b, "(SELECT t.%[1]s FROM ONLY %[2]s AS t WHERE false) AS %[1]s", c.quoted, p.target.quoted)
		}
	}
	if own != nil {
		fmt.Fprintf(b, " FROM %s AS o WHERE %s", p.target.rows, own.place.is("o"))
	}
	return values, oids
}

// comparable: every key has an operator that was found.
func (x *targetIndex) comparable() bool {
	for _, key := range x.keys {
		if key.operator == "" {
			return false
		}
	}
	return true
}

// writeBlocker writes the query for one index: its keys of the new row beside
// those of the table, both within the index's predicate.
func (p *plan) writeBlocker(b *strings.Builder, x *targetIndex, own *localRow) {
	fmt.Fprintf(b, "SELECT t.tableoid, t.ctid, %s FROM %s AS t, (SELECT ", p.hasNewKey(x), p.target.rows)
	for i, key := range x.keys {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "(%s) AS pgfed_k%d", key.expression, i)
	}
	b.WriteString(" FROM pgfed_full")
	if x.predicate != "" {
		fmt.Fprintf(b, " WHERE (%s)", x.predicate)
	}
	b.WriteString(") AS n WHERE ")
	for i, key := range x.keys {
		if i > 0 {
			b.WriteString(" AND ")
		}
		compare := fmt.Sprintf("(%s) %s %s n.pgfed_k%d", key.expression, key.collation, key.operator, i)
		if x.nullsSame {
			compare = fmt.Sprintf("(%s OR (%s) IS NULL AND n.pgfed_k%d IS NULL)", compare, key.expression, i)
		}
		b.WriteString(compare)
	}
	if x.predicate != "" {
		fmt.Fprintf(b, " AND (%s)", x.predicate)
	}
	if own != nil {
		fmt.Fprintf(b, " AND NOT (%s)", own.place.is("t"))
	}
}

// hasNewKey is the condition that a row in the way has the very key of the new
// one: under a key WITHOUT OVERLAPS others are in the way too.
func (p *plan) hasNewKey(x *targetIndex) string {
	if x.oid != p.keyIndex {
		return "false"
	}
	same := []string{"true"}
	for i, key := range x.keys {
		if key.equality != key.operator {
			same = append(same, fmt.Sprintf("(%s) %s n.pgfed_k%d", key.expression, key.equality, i))
		}
	}
	return strings.Join(same, " AND ")
}

// sameKey returns the row that has the new row's key, nil if none.
func sameKey(rows []localRow) *localRow {
	for i := range rows {
		if rows[i].sameKey {
			return &rows[i]
		}
	}
	return nil
}

// holders are the owners of rows, for the rule to weigh.
func (e *encounter) holders(rows []localRow) []string {
	rule := e.it.plan.rule
	if rule.Kind != conflict.ByColumn {
		return nil
	}
	at := e.it.plan.target.column(rule.Column)
	if at < 0 {
		return nil
	}
	holders := make([]string, len(rows))
	for i := range rows {
		holders[i] = e.ownerOf(rows[i].values[at])
	}
	return holders
}

// ownerOf reads the owner out of a value of the owner column.
func (e *encounter) ownerOf(v change.Value) string {
	p := e.it.plan
	if p.target.columns[p.target.column(p.rule.Column)].typeOID == bpcharOID || blankPadded(e.it.Change.Table, p.rule.Column) {
		v.Bytes = bytes.TrimRight(v.Bytes, " ")
	}
	return p.rule.OwnerOf(v)
}

// placed is the owner of the change's new row, "" where it is not known.
func (e *encounter) placed() string {
	p := e.it.plan
	if p.rule.Kind != conflict.ByColumn || e.it.Change.Op == change.Delete || p.target.column(p.rule.Column) < 0 {
		return ""
	}
	for i, c := range e.it.Change.Table.Columns {
		if c.Name == p.rule.Column {
			return e.ownerOf(e.img.new[i])
		}
	}
	return ""
}

// equals reports whether a row of ours has the new row's text in every column
// that the origin sent.
func (e *encounter) equals(row *localRow) bool {
	for i, at := range e.it.plan.columns {
		if at < 0 {
			continue
		}
		have, want := row.values[at], e.img.new[i]
		if have.Kind != want.Kind || string(have.Bytes) != string(want.Bytes) {
			return false
		}
	}
	return true
}

// displace deletes locked rows.
func (e *encounter) displace(ctx context.Context, rows []localRow) error {
	places := make([]rowPlace, len(rows))
	for i := range rows {
		places[i] = rows[i].place
	}
	q := placesOf(places)
	q.sql = fmt.Sprintf("DELETE FROM %s AS t WHERE %s", e.it.plan.target.rows, among)
	return e.a.conn.PgConn().ExecParams(ctx, q.sql, q.values, q.oids, nil, nil).Read().Err
}

// buildOverwrite writes the columns in set into a locked row. A value that
// cannot be updated (GENERATED ALWAYS AS IDENTITY) and differs makes it a
// replacement of the row.
func (p *plan) buildOverwrite(row *localRow, set []bool, img *image) once {
	var q once
	value := func(source int) string {
		v := img.new[source]
		if v.Kind == change.Null {
			v.Bytes = nil
		}
		q.values = append(q.values, v.Bytes)
		q.oids = append(q.oids, p.target.columns[p.columns[source]].typeOID)
		return fmt.Sprintf("$%d", len(q.values))
	}
	var assignments []string
	replace := false
	for i, wanted := range set {
		if !wanted {
			continue
		}
		c := &p.target.columns[p.columns[i]]
		if c.always {
			replace = replace || string(row.values[p.columns[i]].Bytes) != string(img.new[i].Bytes)
			continue
		}
		assignments = append(assignments, c.quoted+" = "+value(i))
	}
	switch {
	case replace:
		q.values, q.oids = nil, nil
		q.sql = p.replaceSQL(row, set, value)
	case assignments != nil:
		q.sql = fmt.Sprintf("UPDATE %s AS t SET %s WHERE %s", p.target.rows, strings.Join(assignments, ", "), row.place.is("t"))
	default:
		q.sql = fmt.Sprintf("SELECT 1 FROM %s AS t WHERE %s FOR UPDATE", p.target.rows, row.place.is("t"))
	}
	return q
}

func (p *plan) replaceSQL(row *localRow, set []bool, value func(source int) string) string {
	var names, values []string
	for i := range p.target.columns {
		c := &p.target.columns[i]
		if c.generated {
			continue
		}
		names = append(names, c.quoted)
		from := "old." + c.quoted
		for source, at := range p.columns {
			if at == i && set[source] {
				from = value(source)
			}
		}
		values = append(values, from)
	}
	return fmt.Sprintf(`WITH old AS (DELETE FROM %[1]s AS t WHERE %[2]s RETURNING t.*)
		INSERT INTO %[5]s (%[3]s) OVERRIDING SYSTEM VALUE SELECT %[4]s FROM old`,
		p.target.rows, row.place.is("t"), strings.Join(names, ", "), strings.Join(values, ", "), p.target.quoted)
}
