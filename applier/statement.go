package applier

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgfed/pgfed/internal/change"
)

// textOID is the type text, the same on every server.
const textOID = 25

// statement is a prepared statement and where its parameters come from. All
// parameters and results are text: a column's own input function reads what
// the origin's output function wrote.
type statement struct {
	plan   *plan
	sql    string
	oids   []uint32
	params []param
	at     *prepared // at the server; nil: not asked for yet
}

// param takes a value from the old or the new tuple.
type param struct {
	old     bool
	source  int
	oneByte bool // see targetColumn
}

// builder writes one statement.
type builder struct {
	strings.Builder
	plan *plan
	st   *statement
}

func (p *plan) builder() *builder {
	return &builder{plan: p, st: &statement{plan: p}}
}

func (b *builder) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(b, format, args...) // a strings.Builder never fails
}

func (b *builder) finish() *statement {
	b.st.sql = b.String()
	return b.st
}

// value writes a parameter of the column's own type.
func (b *builder) value(old bool, source int) {
	b.st.params = append(b.st.params, param{old, source, b.column(source).oneByte})
	b.st.oids = append(b.st.oids, b.column(source).typeOID)
	b.WriteString("$" + strconv.Itoa(len(b.st.params)))
}

// text writes a parameter of type text.
func (b *builder) text(old bool, source int) {
	b.st.params = append(b.st.params, param{old: old, source: source})
	b.st.oids = append(b.st.oids, textOID)
	b.WriteString("$" + strconv.Itoa(len(b.st.params)))
}

func (b *builder) column(source int) *targetColumn {
	return &b.plan.target.columns[b.plan.places[source]]
}

// buildInsert names every column the origin sent: NULL stays NULL whatever the
// default here (PITFALLS D2). Columns of ours alone get their defaults.
func (p *plan) buildInsert() *statement {
	b := p.builder()
	var names []string
	always := false
	for i := range p.columns {
		if p.columns[i] >= 0 {
			names = append(names, b.column(i).quoted)
			always = always || b.column(i).always
		}
	}
	b.WriteString("INSERT INTO " + p.target.quoted + " ")
	if names == nil {
		b.WriteString("DEFAULT VALUES")
		return b.finish()
	}
	b.printf("(%s) ", strings.Join(names, ", "))
	if always {
		b.WriteString("OVERRIDING SYSTEM VALUE ")
	}
	b.WriteString("VALUES (")
	separator := ""
	for i := range p.columns {
		if p.columns[i] >= 0 {
			b.WriteString(separator)
			b.value(false, i)
			separator = ", "
		}
	}
	b.WriteString(")")
	return b.finish()
}

// buildUpdate sets the columns that are true in set. An identity column that
// is GENERATED ALWAYS cannot be set: it is part of the condition, and where it
// differs the exact path replaces the row.
func (p *plan) buildUpdate(oldKind byte, set []bool) *statement {
	b := p.builder()
	b.printf("UPDATE %s AS t SET ", p.target.rows)
	separator := ""
	var pinned []int
	for i, wanted := range set {
		if !wanted {
			continue
		}
		if b.column(i).always {
			pinned = append(pinned, i)
			continue
		}
		b.WriteString(separator + b.column(i).quoted + " = ")
		b.value(false, i)
		separator = ", "
	}
	locks := false
	if separator == "" {
		nothing := p.noChange()
		if locks = nothing == ""; locks {
			b.Reset()
			b.printf("SELECT 1 FROM %s AS t", p.target.rows)
		}
		b.WriteString(nothing)
	}
	b.where(oldKind)
	for _, i := range pinned {
		b.printf(" AND t.%s = ", b.column(i).quoted)
		b.value(false, i)
	}
	if locks {
		b.WriteString(" FOR UPDATE")
	}
	return b.finish()
}

// noChange is an assignment that changes nothing, for updates that set nothing
// we could set; "" for a table that has no column to assign.
func (p *plan) noChange() string {
	for i := range p.target.columns {
		c := &p.target.columns[i]
		if !c.generated && !c.always {
			return c.quoted + " = t." + c.quoted
		}
	}
	return ""
}

func (p *plan) buildDelete(oldKind byte) *statement {
	b := p.builder()
	b.printf("DELETE FROM %s AS t", p.target.rows)
	b.where(oldKind)
	return b.finish()
}

// buildConfirm looks for a written row by the key that the origin sent. It is
// needed where part of that key is derived here: by another expression the row
// got another key, and later changes would meet a wrong row or none.
func (p *plan) buildConfirm() *statement {
	if !slices.ContainsFunc(p.key, func(m match) bool { return p.target.columns[m.column].generated }) {
		return nil
	}
	b := p.builder()
	b.printf("SELECT 1 FROM %s AS t WHERE ", p.target.rows)
	b.matches(p.key, false)
	return b.finish()
}

// where finds the one row. By key it is one by the index's uniqueness; a whole
// old row may be there several times, then any one of them is meant and the
// innermost select takes one (PITFALLS D10).
func (b *builder) where(oldKind byte) {
	b.WriteString(" WHERE ")
	switch {
	case !b.plan.full:
		b.matches(b.plan.key, oldKind != change.OldNone)
	case b.plan.pk != nil:
		b.matches(b.plan.pk, true)
		b.WriteString(" AND ")
		b.sameRow()
	default:
		b.printf("(t.tableoid, t.ctid) = (SELECT t.tableoid, t.ctid FROM %s AS t WHERE ", b.plan.target.rows)
		b.sameRow()
		b.WriteString(" LIMIT 1 FOR UPDATE)")
	}
}

// matches compares columns with an index's own operators.
func (b *builder) matches(matches []match, old bool) {
	for i, m := range matches {
		if i > 0 {
			b.WriteString(" AND ")
		}
		if m.operator == "" {
			b.sameText(old, m.source)
			continue
		}
		b.WriteString("t." + b.plan.target.columns[m.column].quoted)
		if m.collation != "" {
			b.WriteString(" " + m.collation)
		}
		b.WriteString(" " + m.operator + " ")
		b.value(old, m.source)
	}
}

// sameRow compares every column with the whole old row.
func (b *builder) sameRow() {
	separator := ""
	for i := range b.plan.columns {
		if b.plan.columns[i] >= 0 {
			b.WriteString(separator)
			b.sameText(true, i)
			separator = " AND "
		}
	}
	if separator == "" {
		b.WriteString("true")
	}
}

// sameText compares a column with the origin's text byte by byte. concat calls
// the type's output function, as capture does; a cast to text would not (bool,
// char(n), inet). So types without equality work, and what differs in its
// text only (1.0 and 1.00) differs.
func (b *builder) sameText(old bool, source int) {
	const text = "(CASE WHEN %[1]s IS DISTINCT FROM NULL THEN pg_catalog.concat(%[1]s) END) COLLATE pg_catalog.\"C\""
	c := b.column(source)
	b.printf(text+" IS NOT DISTINCT FROM ", "t."+c.quoted)
	if looksAlike(b.plan.source.Columns[source], c) {
		b.text(old, source)
		return
	}
	var parameter builder
	parameter.plan, parameter.st = b.plan, b.st
	parameter.value(old, source)
	b.printf(text, parameter.String()+"::"+c.typeName)
}
